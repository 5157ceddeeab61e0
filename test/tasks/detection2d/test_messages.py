"""2D boxes to `vision_msgs`."""

import pytest
import torch

pytest.importorskip("vision_msgs", reason="ROS is not set up")

from std_msgs.msg import Header

from centernet_ros.structures import Detections2D
from centernet_ros.tasks.detection2d.messages import OUTPUTS, from_messages, to_messages


def header():
    header = Header(frame_id="front_camera_optical")
    header.stamp.sec, header.stamp.nanosec = 12, 345
    return header


def test_boxes_scores_and_names():
    detections = Detections2D(
        torch.tensor([[10.25, 20.5, 30.75, 60.5], [-4.0, 0.0, 8.0, 6.0]]),
        torch.tensor([0.75, 0.5]),
        torch.tensor([1, 0]),
    )
    array = to_messages(detections, ("person", "car"), header())
    assert array.header == header()
    first, second = array.detections
    for detection in (first, second):
        assert detection.header == header()
        assert detection.id == ""
        assert len(detection.results) == 1
    centre = first.bbox.center
    assert (centre.position.x, centre.position.y, centre.theta) == (20.5, 40.5, 0.0)
    assert (first.bbox.size_x, first.bbox.size_y) == (20.5, 40.0)
    assert first.results[0].hypothesis.class_id == "car"
    assert first.results[0].hypothesis.score == 0.75
    assert first.results[0].pose.pose.position.x == 0
    assert second.results[0].hypothesis.class_id == "person"
    # What stands out of the image is not cut off: a tracker wants the whole object.
    assert second.bbox.center.position.x - second.bbox.size_x / 2 == -4


def test_a_negative_size_is_none():
    detections = Detections2D(
        torch.tensor([[30.0, 20.0, 10.0, 60.0]]), torch.tensor([0.5]), torch.tensor([0])
    )
    (detection,) = to_messages(detections, ("car",), header()).detections
    assert (detection.bbox.center.position.x, detection.bbox.size_x) == (20, 0)
    assert detection.bbox.size_y == 40


def test_nothing_gives_an_array_with_a_header():
    array = to_messages(Detections2D.empty(), ("car",), header())
    assert array.header == header()
    assert array.detections == []


def test_results_come_back():
    detections = Detections2D(
        torch.tensor([[10.25, 20.5, 30.75, 60.5], [-4.0, 0.0, 8.0, 6.0]]),
        torch.tensor([0.75, 0.1]),
        torch.tensor([1, 0]),
    )
    names = "person", "car"
    back = from_messages(to_messages(detections, names, header()), names)
    for name in ("boxes", "scores", "labels"):
        assert torch.equal(getattr(back, name), getattr(detections, name))
    assert len(from_messages(to_messages(Detections2D.empty(), names, header()), names)) == 0


def test_results_of_other_classes_are_refused():
    detections = Detections2D(torch.ones(1, 4), torch.ones(1), torch.zeros(1, dtype=torch.int64))
    array = to_messages(detections, ("bus",), header())
    with pytest.raises(ValueError, match="class 'bus' of a detection, known: person, car"):
        from_messages(array, ("person", "car"))
    array.detections[0].results = []
    with pytest.raises(ValueError, match="class none of a detection"):
        from_messages(array, ("person", "car"))


def test_the_topic():
    (output,) = OUTPUTS
    assert output.topic == "detections_2d"
    assert output.to_message is to_messages


def test_tracks_go_to_the_ids():
    detections = Detections2D(torch.ones(2, 4), torch.ones(2), torch.zeros(2, dtype=torch.int64))
    tracked = to_messages(detections, ("car",), header(), ids=["7", "3"])
    assert [detection.id for detection in tracked.detections] == ["7", "3"]
    assert [
        detection.id for detection in to_messages(detections, ("car",), header()).detections
    ] == ["", ""]
