"""The node inside the test's process: states, parameters and what is not done when nobody looks."""

import numpy as np
import pytest
import rclpy
import torch
from lifecycle_msgs.msg import State
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image
from vision_msgs.msg import Detection2DArray

from centernet_ros.checkpoint import CheckpointError
from centernet_ros.detector import Detector
from centernet_ros.presets import ModelPreset
from centernet_ros.ros import outputs
from centernet_ros.ros.node import CenterNetNode, open_detector
from centernet_ros.ros.parameters import NodeParameters

PRESET = ModelPreset("detection2d", "resnet18", ("car",), input_size=(64, 96))
SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE


class CountingDetector(Detector):
    """Finds nothing, and counts how often it is asked."""

    def __init__(self, parameters=None):
        super().__init__(self.count, PRESET)
        self.calls = 0

    def count(self, batch):
        self.calls += 1
        grid = batch.shape[2] // 4, batch.shape[3] // 4
        maps = {name: torch.zeros(1, 2, *grid) for name in ("size", "offset")}
        return {"heatmap": torch.full((1, 1, *grid), -9.0), **maps}


@pytest.fixture
def make_node(peer):
    """Makes nodes that the peer's executor spins."""
    nodes = []

    def make(open_detector=CountingDetector, **parameters):
        overrides = [Parameter(name, value=value) for name, value in parameters.items()]
        node = CenterNetNode(
            open_detector,
            name=f"centernet_{len(nodes)}",
            context=peer.context,
            parameter_overrides=overrides,
        )
        nodes.append(node)
        peer.executor.add_node(node)
        return node

    yield make
    for node in nodes:
        peer.executor.remove_node(node)
        node.destroy_node()


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


def test_foreign_weights_are_named(tmp_path):
    path = tmp_path / "foreign.pth"
    path.write_bytes(b"PK\x03\x04 not ours")
    with pytest.raises(CheckpointError, match=r"foreign\.pth cannot be read"):
        open_detector(NodeParameters(weights=str(path)))


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
        ({"wights": "x"}, "unknown parameter 'wights'; known: weights, device"),
    ],
)
def test_bad_parameters_are_named(peer, parameters, reason):
    overrides = [Parameter(name, value=value) for name, value in parameters.items()]
    with pytest.raises(ValueError, match=reason):
        CenterNetNode(CountingDetector, context=peer.context, parameter_overrides=overrides)
    assert rclpy.ok(context=peer.context)
