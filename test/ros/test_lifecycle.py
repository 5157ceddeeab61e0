"""A lifecycle manager takes the node up and down through its services."""

import re
from pathlib import Path

import pytest
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from sensor_msgs.msg import Image
from vision_msgs.msg import Detection2DArray

UP = (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE)
DOWN = (Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_CLEANUP)


@pytest.fixture(scope="module")
def node(start_node):
    with start_node("-p", "autostart:=false") as child:
        yield child


@pytest.fixture
def change(peer, node):
    def change_state(*transitions):
        for transition in transitions:
            request = ChangeState.Request(transition=Transition(id=transition))
            assert peer.call(ChangeState, "centernet/change_state", request).success

    return change_state


def state(peer):
    answer = peer.call(GetState, "centernet/get_state", GetState.Request())
    return answer.current_state.label


def thread_count(child):
    status = Path(f"/proc/{child.process.pid}/status").read_text()
    return int(re.search(r"Threads:\s+(\d+)", status)[1])


def test_up_and_down_five_times(peer, node, change, picture, image_message):
    assert state(peer) == "unconfigured"
    image = image_message(picture((96, 320), ((100, 30, 180, 60), (0, 255, 0))))
    counts = []
    with (
        peer.publishing(Image, "image") as camera,
        peer.listening(Detection2DArray, "centernet/detections_2d") as detections,
    ):
        for _ in range(5):
            change(*UP)
            assert state(peer) == "active"
            again = ChangeState.Request(transition=Transition(id=UP[0]))
            assert not peer.call(ChangeState, "centernet/change_state", again).success
            assert len(peer.exchange(camera, image, detections).detections) == 1
            change(*DOWN)
            assert state(peer) == "unconfigured"
            peer.spin_until(lambda: camera.get_subscription_count() == 0)
            counts.append(thread_count(node))
    # The first time PyTorch and DDS start threads that stay.
    assert counts[-1] == counts[0]
    assert node.stop() == 0
    assert "Traceback" not in node.output
    assert node.output.count("transition 1 refused: the node is active") == 5
