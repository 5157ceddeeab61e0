"""3D boxes as RViz shows them."""

import numpy as np
import pytest

pytest.importorskip("visualization_msgs", reason="ROS is not set up")

from std_msgs.msg import Header
from vision_msgs.msg import Detection3D, Detection3DArray, ObjectHypothesisWithPose
from visualization_msgs.msg import Marker

from centernet_ros.ros.markers import LIFETIME, THINNEST, to_markers
from centernet_ros.tasks.detection3d.messages import to_box

CLASSES = "person", "car"


def array(*boxes, name="car", track=""):
    message = Detection3DArray(header=Header(frame_id="front_optical"))
    message.header.stamp.sec = 12
    for dimensions, location, yaw in boxes:
        hypothesis = ObjectHypothesisWithPose()
        hypothesis.hypothesis.class_id, hypothesis.hypothesis.score = name, 0.756
        box = to_box(dimensions, location, yaw)
        detection = Detection3D(header=message.header, results=[hypothesis], bbox=box, id=track)
        message.detections.append(detection)
    return message


CAR = (1.5, 1.8, 4.2), (2.0, 1.6, 20.0), 0.5


def position(marker):
    place = marker.pose.position
    return np.array([place.x, place.y, place.z])


def test_all_of_the_image_before_go_first():
    first, *others = to_markers(array(), CLASSES).markers
    assert (first.action, first.header.frame_id) == (Marker.DELETEALL, "front_optical")
    assert others == []


def test_each_detection_is_a_box_an_arrow_and_a_label():
    message = array(CAR, CAR, track="7")
    _, *markers = to_markers(message, CLASSES).markers
    assert [marker.ns for marker in markers] == 2 * ["boxes", "headings", "labels"]
    assert [marker.id for marker in markers] == [0, 0, 0, 1, 1, 1]
    for marker in markers:
        assert marker.header == message.header
        assert marker.action == Marker.ADD
        assert marker.lifetime == LIFETIME
        assert marker.color.a > 0
        assert marker.scale.z > 0
        turn = marker.pose.orientation
        assert turn.x**2 + turn.y**2 + turn.z**2 + turn.w**2 == pytest.approx(1)
    box, arrow, label = markers[:3]
    assert (box.type, box.pose) == (Marker.CUBE, message.detections[0].bbox.center)
    assert (box.scale.x, box.scale.y, box.scale.z) == pytest.approx((4.2, 1.8, 1.5))
    assert (box.color.r, box.color.g, box.color.b) == pytest.approx((1, 158 / 255, 0), abs=1e-3)
    assert (arrow.type, arrow.pose) == (Marker.ARROW, box.pose)
    assert [point.x for point in arrow.points] == pytest.approx([0, 4.2])
    assert (label.type, label.text) == (Marker.TEXT_VIEW_FACING, "car 7 0.76")


@pytest.mark.parametrize("yaw", [0.0, 0.5, -2.5])
def test_labels_hang_above_their_boxes(yaw):
    """Up is -y in an optical frame, however the box is turned."""
    box, _, label = to_markers(array((*CAR[:2], yaw)), CLASSES).markers[1:]
    np.testing.assert_allclose(position(label) - position(box), (0, -1.5 / 2 - 0.6, 0), atol=1e-9)


def test_labels_hang_above_boxes_of_another_frame():
    message = array(CAR)
    turn = message.detections[0].bbox.center.orientation
    turn.x, turn.y, turn.z, turn.w = 0.0, 0.0, np.sin(0.3), np.cos(0.3)
    box, _, label = to_markers(message, CLASSES).markers[1:]
    np.testing.assert_allclose(position(label) - position(box), (0, 0, 1.5 / 2 + 0.6), atol=1e-9)


def test_without_a_track_the_label_has_no_number():
    assert to_markers(array(CAR, name="person"), CLASSES).markers[-1].text == "person 0.76"


def test_nothing_is_too_thin_to_be_shown():
    box, arrow, _ = to_markers(array(((0.0, 0.0, 0.0), *CAR[1:])), CLASSES).markers[1:]
    assert (box.scale.x, box.scale.y, box.scale.z) == (THINNEST, THINNEST, THINNEST)
    assert arrow.points[1].x > arrow.scale.z
