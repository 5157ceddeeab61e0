"""People to this package's messages."""

import pytest
import torch

pytest.importorskip("vision_msgs", reason="ROS is not set up")

from std_msgs.msg import Header

from centernet_ros.structures import Poses
from centernet_ros.tasks.pose.messages import OUTPUTS, to_messages


def header():
    header = Header(frame_id="front_camera_optical")
    header.stamp.sec, header.stamp.nanosec = 12, 345
    return header


def two_people():
    keypoints = torch.arange(2 * 17 * 2, dtype=torch.float32).view(2, 17, 2)
    return Poses(
        boxes=torch.tensor([[10.25, 20.5, 30.75, 60.5], [9.0, 9.0, 8.0, 6.0]]),
        scores=torch.tensor([0.75, 0.5]),
        labels=torch.tensor([0, 0]),
        keypoints=keypoints - 0.5,
        keypoint_scores=torch.linspace(0, 1, 34).view(2, 17),
    )


def test_every_person_has_all_joints_by_name():
    array = to_messages(two_people(), ("person",), header())
    assert array.header == header()
    first, second = array.people
    for person in array.people:
        assert person.header == header()
        assert person.id == ""
    assert first.score == 0.75
    assert (first.center_x, first.center_y) == (20.5, 40.5)
    assert (first.size_x, first.size_y) == (20.5, 40.0)
    names = [point.name for point in first.key_points]
    assert names[:3] == ["nose", "left_eye", "right_eye"]
    assert names[5:7] == ["left_shoulder", "right_shoulder"]
    assert names[15:] == ["left_ankle", "right_ankle"]
    assert len(set(names)) == 17
    wrist = second.key_points[names.index("left_wrist")]
    assert (wrist.x, wrist.y) == (34 + 2 * 9 - 0.5, 34 + 2 * 9 + 0.5)
    assert wrist.score == pytest.approx(26 / 33)


def test_negative_sizes_are_none():
    _, second = to_messages(two_people(), ("person",), header()).people
    assert (second.size_x, second.size_y) == (0, 0)
    assert (second.center_x, second.center_y) == (8.5, 7.5)


def test_nothing_gives_an_array_with_a_header():
    array = to_messages(Poses.empty(), ("person",), header())
    assert array.header == header()
    assert array.people == []


def test_the_topics():
    assert [output.topic for output in OUTPUTS] == ["poses", "detections_2d"]
    assert all(output.move is None for output in OUTPUTS)
    boxes = OUTPUTS[1].to_message(two_people(), ("person",), header())
    assert boxes.detections[0].results[0].hypothesis.class_id == "person"


def test_tracks_go_to_the_ids():
    array = to_messages(two_people(), ("person",), header(), ids=["7", "3"])
    assert [person.id for person in array.people] == ["7", "3"]
