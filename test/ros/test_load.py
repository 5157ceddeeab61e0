"""Parameters that change while images come at 20 Hz: no image is lost, none judged by a mixture."""

import itertools
import threading
import time

import numpy as np
import pytest
from rcl_interfaces.msg import Parameter as ParameterMessage
from rcl_interfaces.msg import ParameterType, ParameterValue
from rcl_interfaces.srv import SetParametersAtomically
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image
from vision_msgs.msg import Detection2DArray

from centernet_ros.msg import Timing
from centernet_ros.ros import worker
from counting import PRESET, CountingDetector
from truth import corners_of

SECONDS = 4.0
PERIOD = 0.05
OBJECTS = {
    # Box: colour; its class is the brightest channel and its score the brightness.
    (20, 20, 60, 60): (0, 255, 0),
    (100, 30, 140, 50): (0, 190, 0),
    (180, 10, 200, 70): (255, 0, 0),
    (240, 20, 300, 80): (190, 0, 0),
}
ALL = {"score_threshold": 0.3, "class_thresholds": [""], "classes": [""], "max_detections": 100}
PARAMETERS = {
    "all": ALL,
    "best car": {**ALL, "score_threshold": 0.9, "classes": ["car"], "max_detections": 1},
    "sure cars": {**ALL, "class_thresholds": ["car: 0.9"]},
}
ANSWERS = {
    "all": sorted(OBJECTS),
    "best car": [(20, 20, 60, 60)],
    "sure cars": sorted(set(OBJECTS) - {(100, 30, 140, 50)}),
}


@pytest.fixture(scope="module", autouse=True)
def node(start_node):
    # A queue as long as the test: what the node does not get is none of its losses.
    deep = "qos_overrides./image.subscription.depth:=1000"
    with start_node("-p", deep) as child:
        child.wait_for_output("detection2d with resnet18", 60)
        yield child


def request_of(values):
    request = SetParametersAtomically.Request()
    for name, value in values.items():
        kind = {float: "double", int: "integer", list: "string_array"}[type(value)]
        entry = ParameterValue(type=getattr(ParameterType, f"PARAMETER_{kind.upper()}"))
        setattr(entry, f"{kind}_value", value)
        request.parameters.append(ParameterMessage(name=name, value=entry))
    return request


def boxes_of(array):
    return sorted(tuple(round(value) for value in corners_of(d)) for d in array.detections)


def test_each_image_is_judged_by_one_set_of_parameters(peer, node, picture, image_message):
    image = image_message(picture((96, 320), *OBJECTS.items()))
    client = peer.node.create_client(SetParametersAtomically, "centernet/set_parameters_atomically")
    with (
        peer.publishing(Image, "image") as camera,
        peer.listening(Detection2DArray, "centernet/detections_2d", 1000) as received,
        peer.listening(Timing, "centernet/timing", 1000) as timings,
    ):
        peer.spin_until(client.service_is_ready)
        peer.exchange(camera, image, received)
        peer.exchange(camera, image, timings)
        peer.spin_for(0.5)
        received.clear()
        before = timings[-1]
        sent, pending, changes = [], [], itertools.cycle(PARAMETERS.values())

        def tick():
            sent.append(peer.next_header(image).frame_id)
            camera.publish(image)
            # The next change as soon as the last one is answered.
            if all(future.done() for future in pending):
                pending.append(client.call_async(request_of(next(changes))))

        end = time.monotonic() + SECONDS
        peer.spin_until(lambda: time.monotonic() > end, every=PERIOD, do=tick)
        peer.spin_until(lambda: timings[-1].header.frame_id == sent[-1])
        peer.spin_until(lambda: received[-1].header.frame_id == sent[-1])
        peer.spin_until(lambda: all(future.done() for future in pending))
    assert all(future.result().result.successful for future in pending)
    assert len(pending) > 5
    dropped = timings[-1].frames_dropped - before.frames_dropped
    assert timings[-1].frames_received - before.frames_received == len(sent)
    assert [answer.header.frame_id for answer in received] == [
        frame for frame in sent if frame in {answer.header.frame_id for answer in received}
    ], "each at most once, in order"
    assert len(received) == len(sent) - dropped, "what is not answered was replaced by a newer one"
    kinds = [
        next((kind for kind, boxes in ANSWERS.items() if boxes == found), f"mixture {found}")
        for found in map(boxes_of, received)
    ]
    assert set(kinds) == set(ANSWERS)
    assert "Traceback" not in node.output
    peer.node.destroy_client(client)


def test_a_change_counts_from_the_next_image_on(peer, make_node, image_message, monkeypatch):
    """Also for the number of peaks, which is the network's and not the selection's."""
    detector = CountingDetector()
    node = make_node(lambda parameters: detector)
    assert node.start()
    usual, peaks, changed = PRESET.max_detections, [], threading.Event()
    open_frame, decode = worker.open_frame, detector.decode

    def open_while_parameters_change(*arguments):
        if not changed.is_set():
            node.set_parameters([Parameter("max_detections", value=usual + 7)])
            changed.set()
        return open_frame(*arguments)

    def decode_and_tell(maps, views):
        peaks.append(detector.max_detections)
        return decode(maps, views)

    monkeypatch.setattr(worker, "open_frame", open_while_parameters_change)
    detector.decode = decode_and_tell
    message = image_message(np.zeros((48, 64, 3), np.uint8))
    with (
        peer.publishing(Image, "image") as camera,
        peer.listening(Detection2DArray, f"{node.get_name()}/detections_2d"),
    ):
        peer.spin_until(lambda: len(peaks) > 1, every=0.1, do=lambda: camera.publish(message))
    assert peaks[:2] == [usual, usual + 7]
