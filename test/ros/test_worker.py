"""Results go before drawings, and a thread that hangs is no secret."""

import threading
import time
from contextlib import ExitStack

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.lifecycle import TransitionCallbackReturn
from sensor_msgs.msg import Image
from vision_msgs.msg import Detection2DArray

from centernet_ros.msg import Timing
from centernet_ros.ros import outputs, worker
from centernet_ros.ros.diagnostics import STUCK
from counting import CountingDetector

SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE


@pytest.fixture
def black(image_message):
    def make():
        return image_message(np.zeros((48, 64, 3), np.uint8))

    return make


class Gate:
    """Holds up a thread until it is opened."""

    def __init__(self):
        self.reached, self.opened = threading.Event(), threading.Event()

    def pass_through(self):
        self.reached.set()
        assert self.opened.wait(60)


@pytest.fixture
def gate():
    gate = Gate()
    yield gate
    gate.opened.set()


@pytest.fixture
def held(gate):
    """A detector whose network waits at the gate."""
    detector = CountingDetector()
    infer = detector.infer

    def infer_behind_the_gate(batch):
        gate.pass_through()
        return infer(batch)

    def hold():
        detector.infer = infer_behind_the_gate

    detector.hold = hold
    return detector


def test_a_drawing_holds_up_no_results(peer, make_node, black, gate, held, monkeypatch):
    """Front and rear are one batch, as both came while left was in work."""
    drawing = Gate()
    monkeypatch.setattr(
        outputs, "draw_results", lambda image, *_: drawing.pass_through() or image.copy()
    )
    node = make_node(lambda parameters: held, cameras=["left", "front", "rear"])
    assert node.start()
    held.hold()
    front = next(stream for stream in node.streams if stream.name == "front")
    send = front.outputs.publish_results
    monkeypatch.setattr(
        front.outputs, "publish_results", lambda *results: time.sleep(0.5) or send(*results)
    )
    counts = {stream.name: stream.counts for stream in node.streams}
    with ExitStack() as stack:
        stack.callback(drawing.opened.set)

        def listen(kind, topic):
            return stack.enter_context(peer.listening(kind, f"{node.get_name()}/{topic}"))

        listen(Detection2DArray, "left/detections_2d")
        results = {name: listen(Detection2DArray, f"{name}/detections_2d") for name in counts}
        timings = {name: listen(Timing, f"{name}/timing") for name in counts}
        pictures = listen(Image, "front/debug_image")
        peer.spin_until(lambda: front.outputs.drawing_wanted)
        peer.spin_until(lambda: all(stream.outputs.wanted for stream in node.streams))
        for name, count in counts.items():
            camera = stack.enter_context(peer.publishing(Image, f"{name}/image"))
            peer.spin_until(camera.get_subscription_count)
            camera.publish(black())
            peer.spin_until(lambda count=count: count.received and gate.reached.is_set())
        gate.opened.set()
        peer.spin_until(lambda: results["front"] and results["rear"] and timings["rear"])
        assert held.batches[-1] == 2
        peer.spin_until(drawing.reached.is_set)
        assert not pictures
        peer.spin_for(0.3)
        drawing.opened.set()
        peer.spin_until(lambda: pictures)
    front_timing, rear_timing = timings["front"][0], timings["rear"][0]
    assert front_timing.publish >= 0.5 > rear_timing.publish, "each has its own"
    assert rear_timing.queued >= 0.5
    peer.spin_until(lambda: [counts[name].processed for name in counts] == [1, 1, 1])


def test_an_image_that_cannot_be_drawn_has_its_results(peer, make_node, black, monkeypatch, capfd):
    def fail(*_):
        raise RuntimeError("no colour left")

    monkeypatch.setattr(outputs, "draw_results", fail)
    node = make_node()
    assert node.start()
    counts = node.streams[0].counts
    with (
        peer.publishing(Image, "image") as camera,
        peer.listening(Image, f"{node.get_name()}/debug_image"),
        peer.listening(Detection2DArray, f"{node.get_name()}/detections_2d") as received,
    ):
        peer.spin_until(lambda: node.streams[0].outputs.drawing_wanted)
        for _ in range(2):
            peer.exchange(camera, black(), received)
        peer.spin_until(lambda: counts.processed + counts.dropped == counts.received)
        assert counts.rejected == 0
    log = capfd.readouterr().err
    assert log.count("image on /image cannot be drawn: no colour left") == 1
    assert log.count("Traceback") == 1


def test_a_camera_that_cannot_be_rectified_lacks_no_place_in_space(peer, make_node, black):
    node = make_node(undistort=True)
    assert node.start()
    message = black()

    def found():
        statuses = (status for report in reports for status in report.status)
        return next((s for s in statuses if s.name == f"{node.get_name()}: camera"), None)

    with (
        peer.publishing(Image, "image") as camera,
        peer.listening(Detection2DArray, f"{node.get_name()}/detections_2d"),
        peer.listening(DiagnosticArray, "/diagnostics") as reports,
    ):

        def publish():
            reports.clear()
            camera.publish(message)

        status = peer.spin_until(
            lambda: (status := found()) and status.level == DiagnosticStatus.WARN and status,
            every=0.1,
            do=publish,
        )
    assert status.message == "cannot rectify: no camera_info came on /camera_info"
    counts = node.streams[0].counts
    assert (counts.processed > 0, counts.unplaced) == (True, 0)


@pytest.fixture
def hanging(peer, make_node, black, gate, held, monkeypatch):
    """A node whose thread does not end in time, its camera's publisher and its answers."""
    monkeypatch.setattr(worker, "STOP_TIMEOUT", 0.1)
    node = make_node(lambda parameters: held)
    assert node.start()
    held.hold()
    with (
        peer.publishing(Image, "image") as camera,
        peer.listening(Detection2DArray, f"{node.get_name()}/detections_2d") as received,
    ):
        peer.spin_until(gate.reached.is_set, every=0.1, do=lambda: camera.publish(black()))
        yield node, camera, received


def test_a_thread_that_hangs_fails_the_deactivation_which_may_be_repeated(
    peer, hanging, black, gate, monkeypatch, capfd
):
    node, camera, received = hanging
    assert node.trigger_deactivate() == FAILURE
    assert node.state == "active"
    assert node._monitor._node_health().state == STUCK
    said = "cannot deactivate: the images in work are not done after 0.1 s"
    assert said in capfd.readouterr().err
    monkeypatch.undo()
    gate.opened.set()
    assert node.trigger_deactivate() == SUCCESS
    assert node.trigger_activate() == SUCCESS
    peer.exchange(camera, black(), received)


def test_a_thread_that_hangs_does_not_hinder_the_end(hanging, capfd):
    node, _, _ = hanging
    assert node.trigger_shutdown() == SUCCESS
    assert (node.state, node.engine) == ("finalized", None)
    assert "the images in work are not done after 0.1 s" in capfd.readouterr().err
