"""People with their joints: the node as a process, all over DDS."""

import numpy as np
import pytest
from sensor_msgs.msg import Image
from vision_msgs.msg import Detection2DArray

from centernet_ros.msg import PersonArray
from headers import HEADERS, assert_every_output_echoes

SIZE = 480, 640
BOXES = [(60, 80, 160, 380), (400, 100, 480, 290)]


@pytest.fixture(scope="module", autouse=True)
def node(start_node):
    with start_node("-p", "autostart:=true", variables={"STAND_IN_TASK": "pose"}) as child:
        child.wait_for_output("pose with resnet18", 60)
        yield child


@pytest.fixture(scope="module")
def camera(peer):
    with peer.publishing(Image, "image") as publisher:
        yield publisher


def test_people_joints_and_boxes(peer, node, camera, picture, image_message):
    message = image_message(picture(SIZE, *((box, (255, 255, 255)) for box in BOXES)))
    with (
        peer.listening(PersonArray, "centernet/poses") as people,
        peer.listening(Detection2DArray, "centernet/detections_2d") as boxes,
        peer.listening(Image, "centernet/debug_image") as drawings,
    ):
        answer = peer.exchange(camera, message, people)
        header = answer.header
        flat = peer.spin_until(lambda: next((b for b in boxes if b.header == header), None))
        drawn = peer.spin_until(lambda: next((d for d in drawings if d.header == header), None))
    assert len(answer.people) == len(flat.detections) == 2
    along = np.linspace(0.1, 0.9, 17)
    for person in answer.people:
        assert person.header == header
        assert person.id == ""
        x1, y1, x2, y2 = min(BOXES, key=lambda box: abs((box[0] + box[2]) / 2 - person.center_x))
        assert (person.center_x, person.center_y) == pytest.approx(((x1 + x2) / 2, (y1 + y2) / 2))
        assert (person.size_x, person.size_y) == pytest.approx((x2 - x1, y2 - y1), abs=0.01)
        joints = np.array([(point.x, point.y) for point in person.key_points])
        expected = np.stack([x1 + along * (x2 - x1), y1 + along * (y2 - y1)], axis=1)
        np.testing.assert_allclose(joints, expected, atol=0.01)
        assert min(point.score for point in person.key_points) > 0.9
    assert {d.results[0].hypothesis.class_id for d in flat.detections} == {"person"}
    assert bytes(drawn.data) != bytes(message.data)


@pytest.mark.parametrize("kind", HEADERS)
def test_every_output_carries_the_images_header(peer, picture, image_message, kind):
    image = image_message(picture(SIZE, *((box, (255, 255, 255)) for box in BOXES)))
    assert_every_output_echoes(peer, "pose", image, kind)


def test_nobody_gives_an_empty_array(peer, camera, picture, image_message):
    with peer.listening(PersonArray, "centernet/poses") as people:
        answer = peer.exchange(camera, image_message(picture(SIZE)), people)
    assert answer.people == []


def test_no_camera_info_is_missed(node):
    assert "camera_info" not in node.output
    assert "WARN" not in node.output
