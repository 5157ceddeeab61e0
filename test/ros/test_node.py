"""The node inside the test's process: states, parameters and what is not done when nobody looks."""

import importlib.util
import threading
from contextlib import ExitStack

import numpy as np
import pytest
import rclpy
import torch
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.msg import State
from rclpy.duration import Duration
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image
from vision_msgs.msg import Detection2DArray

from centernet_ros.checkpoint import CheckpointError, save_checkpoint
from centernet_ros.models import build_model
from centernet_ros.presets import ModelPreset
from centernet_ros.ros import outputs
from centernet_ros.ros.node import CenterNetNode, open_detector
from centernet_ros.ros.parameters import NodeParameters
from counting import CountingDetector, InSpace

SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE


def state_of(node):
    return node._state_machine.current_state[0]


def test_without_a_listener_nothing_is_inferred(peer, make_node, image_message, monkeypatch):
    drawn = []
    monkeypatch.setattr(
        outputs, "draw_results", lambda image, *_: drawn.append(image) or image.copy()
    )
    detector = CountingDetector()
    node = make_node(lambda parameters: detector)
    assert node.start()
    warm_up = detector.calls
    message = image_message(np.zeros((48, 64, 3), np.uint8))
    with peer.publishing(Image, "image") as camera:
        peer.spin_until(
            lambda: node.streams[0].counts.idle >= 3, every=0.05, do=lambda: camera.publish(message)
        )
        assert (detector.calls, node.streams[0].counts.processed) == (warm_up, 0)

        with peer.listening(Detection2DArray, "centernet_0/detections_2d") as received:
            peer.exchange(camera, message, received)
        assert detector.calls > warm_up
        assert not drawn, "nobody looked at the debug image"

        with peer.listening(Image, "centernet_0/debug_image") as received:
            peer.exchange(camera, message, received)
        assert drawn


def test_images_that_wait_at_the_same_time_go_through_the_network_together(
    peer, make_node, image_message
):
    detector, started, release = CountingDetector(), threading.Event(), threading.Event()
    infer = detector.infer

    def infer_when_released(batch):
        started.set()
        assert release.wait(60)
        return infer(batch)

    node = make_node(lambda parameters: detector, cameras=["front", "left", "rear"])
    assert node.start()
    assert detector.batches == [3], "as many as there may be were tried at the start"
    detector.infer = infer_when_released
    counts = {stream.name: stream.counts for stream in node.streams}
    with ExitStack() as stack:
        cameras, received = {}, {}
        for name in counts:
            cameras[name] = stack.enter_context(peer.publishing(Image, f"{name}/image"))
            topic = f"{node.get_name()}/{name}/detections_2d"
            received[name] = stack.enter_context(peer.listening(Detection2DArray, topic))
        messages = {name: image_message(np.zeros((48, 64, 3), np.uint8)) for name in counts}
        peer.spin_until(lambda: all(stream.outputs.wanted for stream in node.streams))
        for name in ("front", "left", "rear"):
            peer.next_header(messages[name])
            peer.spin_until(cameras[name].get_subscription_count)
            cameras[name].publish(messages[name])
            peer.spin_until(lambda name=name: counts[name].received and started.is_set())
        release.set()
        for name, message in messages.items():
            (answer,) = peer.spin_until(lambda name=name: received[name])
            assert answer.header == message.header
    assert detector.batches[1:] == [1, 2]


def test_a_camera_with_a_period_is_looked_at_so_often_only(peer, make_node, image_message):
    node = make_node(cameras=["front", "rear"], periods=[0.0, 3600.0])
    assert node.start()
    front, rear = (stream.counts for stream in node.streams)
    message = image_message(np.zeros((48, 64, 3), np.uint8))
    with (
        peer.publishing(Image, "front/image") as first,
        peer.publishing(Image, "rear/image") as second,
    ):

        def publish():
            first.publish(message)
            second.publish(message)

        peer.spin_until(lambda: min(front.received, rear.received) > 5, every=0.02, do=publish)
    assert front.skipped == 0
    assert rear.skipped == rear.received - 1


def test_old_images_are_counted_and_not_worked_on(peer, make_node, image_message):
    node = make_node(max_age=10.0)
    assert node.start()
    message = image_message(np.zeros((48, 64, 3), np.uint8))
    topic = f"{node.get_name()}/detections_2d"
    with (
        peer.publishing(Image, "image") as camera,
        peer.listening(Detection2DArray, topic) as received,
    ):
        counts = node.streams[0].counts
        message.header.stamp = (node.get_clock().now() - Duration(seconds=11)).to_msg()
        peer.spin_until(lambda: counts.stale, every=0.1, do=lambda: camera.publish(message))
        assert not received
        message.header.stamp = node.get_clock().now().to_msg()
        peer.spin_until(lambda: received, every=0.1, do=lambda: camera.publish(message))
        node.set_parameters([Parameter("max_age", value=0.0)])
        peer.exchange(camera, message, received)


def test_drawing_can_be_switched_off(peer, make_node, image_message):
    node = make_node(draw=False)
    assert node.start()
    message = image_message(np.zeros((48, 64, 3), np.uint8))
    with (
        peer.publishing(Image, "image") as camera,
        peer.listening(Image, f"{node.get_name()}/debug_image") as drawings,
    ):
        counts = node.streams[0].counts
        peer.spin_until(
            lambda: counts.processed > 2, every=0.05, do=lambda: camera.publish(message)
        )
        assert not drawings
        node.set_parameters([Parameter("draw", value=True)])
        peer.exchange(camera, message, drawings)


def test_a_gpu_that_fails_costs_no_image(peer, make_node, image_message):
    opened = []

    def open_detector(parameters):
        opened.append(parameters.device)
        return CountingDetector()

    node = make_node(open_detector)
    assert node.start()
    message = image_message(np.zeros((48, 64, 3), np.uint8))
    # From here on the network is on a GPU that is not there.
    node._engine.detector.device = torch.device("cuda:99")
    with (
        peer.publishing(Image, "image") as camera,
        peer.listening(Detection2DArray, f"{node.get_name()}/detections_2d") as received,
    ):
        peer.exchange(camera, message, received)
    assert opened == ["auto", "cpu"]
    assert node._engine.failure
    assert node.streams[0].counts.rejected == 0


def test_classes_are_checked_against_the_network(make_node):
    node = make_node(classes=["car"])
    assert node.trigger_configure() == SUCCESS
    for name, value, reason in (
        ("classes", ["bus"], "unknown class 'bus'; known: car"),
        ("class_thresholds", ["bus: 0.1"], "unknown class 'bus'; known: car"),
        ("class_thresholds", ["car: 2"], "expected a class and a score of 0 to 1"),
    ):
        (result,) = node.set_parameters([Parameter(name, value=value)])
        assert not result.successful
        assert reason in result.reason
    assert node.parameters.classes == ("car",)
    node = make_node(classes=["bus"])
    assert node.trigger_configure() == FAILURE


def test_a_target_frame_without_tf_is_refused(make_node):
    pytest.importorskip("vision_msgs")
    if importlib.util.find_spec("tf2_ros"):
        pytest.skip("tf2_ros is installed")
    node = make_node(lambda parameters: InSpace(), target_frame="base_link")
    assert node.trigger_configure() == SUCCESS
    assert node.trigger_activate() == FAILURE


def test_an_error_of_one_image_does_not_stop_the_node(peer, make_node, image_message):
    detector = CountingDetector()
    node = make_node(lambda parameters: detector)
    assert node.start()
    infer = detector.infer
    message = image_message(np.zeros((48, 64, 3), np.uint8))

    def fail(batch):
        raise RuntimeError("out of memory")

    with (
        peer.publishing(Image, "image") as camera,
        peer.listening(Detection2DArray, "centernet_0/detections_2d") as received,
    ):
        peer.exchange(camera, message, received)
        detector.infer = fail
        peer.spin_until(
            lambda: node.streams[0].counts.rejected, every=0.05, do=lambda: camera.publish(message)
        )
        detector.infer = infer
        peer.exchange(camera, message, received)


def test_a_failed_configure_can_be_repeated(make_node):
    failures = [CheckpointError("damaged"), RuntimeError("a bug")]

    def make_detector(parameters):
        if failures:
            raise failures.pop(0)
        return CountingDetector()

    node = make_node(make_detector)
    for _ in range(2):
        assert node.trigger_configure() == FAILURE
        assert state_of(node) == State.PRIMARY_STATE_UNCONFIGURED
    assert node.trigger_configure() == SUCCESS
    assert node.trigger_activate() == SUCCESS
    assert node.trigger_shutdown() == SUCCESS
    assert state_of(node) == State.PRIMARY_STATE_FINALIZED


def test_diagnostics_tell_of_a_node_that_was_shut_down(peer, make_node):
    node = make_node()
    assert node.start()
    assert node.trigger_shutdown() == SUCCESS
    with peer.listening(DiagnosticArray, "/diagnostics") as reports:
        name = f"{node.get_name()}: network"
        status = peer.spin_until(
            lambda: next((s for report in reports for s in report.status if s.name == name), None)
        )
    assert (status.level, status.message) == (DiagnosticStatus.OK, "finalized")


def test_qualities_of_service_that_belong_to_nothing_are_told_once(make_node, capfd):
    given = "qos_overrides./image.subscription.depth"
    lost = ["qos_overrides./imege.subscription.depth", "qos_overrides./image.publisher.depth"]
    node = make_node(**dict.fromkeys([given, *lost], 2))
    assert node.start()
    log = capfd.readouterr().err
    (line,) = (line for line in log.splitlines() if "without effect" in line)
    assert f"without effect: {', '.join(lost)};" in line
    assert node.get_parameter(given).value == 2


def test_foreign_weights_are_named(tmp_path):
    path = tmp_path / "foreign.pth"
    path.write_bytes(b"PK\x03\x04 not ours")
    with pytest.raises(CheckpointError, match=r"foreign\.pth cannot be read"):
        open_detector(NodeParameters(weights=str(path)))


@pytest.mark.parametrize("fit", [False, True])
@pytest.mark.parametrize("task", ["detection2d", "detection3d"])
def test_centres_are_looked_for_where_the_task_has_them(task, fit, tmp_path):
    path = tmp_path / "random.safetensors"
    preset = ModelPreset(task, "resnet18", ("car",), input_size=(32, 32))
    save_checkpoint(path, build_model("resnet18", task, 1), preset)
    parameters = NodeParameters(weights=str(path), backend="torch", device="cpu", fit_centre=fit)
    task_of_detector = open_detector(parameters).task
    assert getattr(task_of_detector, "fit_centre", False) == (fit and task == "detection3d")


def test_parameters_are_taken_over_at_configure(make_node):
    seen = []

    def make_detector(parameters):
        seen.append(parameters.weights)
        return CountingDetector()

    node = make_node(make_detector, weights="one", score_threshold=0.7)
    node.trigger_configure()
    (result,) = node.set_parameters([Parameter("weights", value="two")])
    assert not result.successful
    assert "cannot be changed while the node is configured" in result.reason
    node.trigger_cleanup()
    (result,) = node.set_parameters([Parameter("weights", value="two")])
    assert result.successful
    node.trigger_configure()
    assert seen == ["one", "two"]


def test_zero_threads_are_those_of_the_process_again(make_node):
    own = torch.get_num_threads()
    node = make_node(threads=own + 1)
    try:
        for threads, expected in ((own + 1, own + 1), (0, own)):
            node.set_parameters([Parameter("threads", value=threads)])
            node.trigger_configure()
            assert torch.get_num_threads() == expected
            node.trigger_cleanup()
    finally:
        torch.set_num_threads(own)


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({"device": "gpu"}, "parameter device is 'gpu', known: auto, cpu, cuda, cuda:N"),
        ({"backend": "tensorrt"}, "parameter backend is 'tensorrt', known: auto, torch"),
        ({"weights": ""}, "parameter weights is ''"),
        ({"score_threshold": 1.5}, "parameter score_threshold is 1.5, expected 0.0 to 1.0"),
        ({"score_threshold": float("nan")}, "parameter score_threshold is nan"),
        ({"score_threshold": 1}, "parameter score_threshold is 1, expected a decimal number"),
        ({"max_detections": 0}, "parameter max_detections is 0, expected 1 to 1000"),
        ({"autostart": "yes"}, "parameter autostart is 'yes', expected a truth value"),
        ({"precision": "int8"}, "parameter precision is 'int8', known: auto, float32, bf"),
        ({"cameras": ["a", "a"]}, "parameter cameras names one twice: a, a"),
        ({"wights": "x"}, "unknown parameter 'wights'; known: weights, device"),
    ],
)
def test_bad_parameters_are_named(peer, parameters, reason):
    overrides = [Parameter(name, value=value) for name, value in parameters.items()]
    with pytest.raises(ValueError, match=reason):
        CenterNetNode(CountingDetector, context=peer.context, parameter_overrides=overrides)
    assert rclpy.ok(context=peer.context)
