"""Messages are made of values and shared defaults, at least three times faster than field by field.

The naive way is that of a tutorial: every message constructed, every field set by its setter.
"""

import time

import numpy as np
import pytest
import torch

pytest.importorskip("vision_msgs", reason="ROS is not set up")

from geometry_msgs.msg import TransformStamped
from rclpy.serialization import deserialize_message, serialize_message
from std_msgs.msg import Header
from vision_msgs.msg import (
    BoundingBox2D,
    BoundingBox3D,
    Detection2D,
    Detection2DArray,
    Detection3D,
    Detection3DArray,
    ObjectHypothesisWithPose,
)
from visualization_msgs.msg import MarkerArray

from centernet_ros.benchmark.timing import measure, speed_up
from centernet_ros.msg import KeyPoint, Person, PersonArray
from centernet_ros.ros.building import builder
from centernet_ros.ros.markers import to_markers
from centernet_ros.structures import Detections3D, Poses
from centernet_ros.tasks.detection2d.messages import to_messages as to_boxes
from centernet_ros.tasks.detection3d.messages import move
from centernet_ros.tasks.detection3d.messages import to_messages as to_boxes_in_space
from centernet_ros.tasks.pose.joints import JOINT_NAMES
from centernet_ros.tasks.pose.messages import to_messages as to_people

COUNT = 100
HEADER = Header(frame_id="front_optical")
CLASSES = "person", "car"


def random(*shape):
    return torch.rand(shape, generator=torch.Generator().manual_seed(0)).sort(0).values


def cars():
    boxes = torch.cat([100 * random(COUNT, 2), 100 + 100 * random(COUNT, 2)], dim=1)
    return Detections3D(
        boxes=boxes,
        scores=random(COUNT),
        labels=torch.ones(COUNT, dtype=torch.int64),
        dimensions=1 + random(COUNT, 3),
        locations=20 * random(COUNT, 3),
        yaws=random(COUNT),
        alphas=random(COUNT),
    )


def people():
    found = cars()
    points, scores = 100 * random(COUNT, 17, 2), random(COUNT, 17)
    return Poses(found.boxes, found.scores, torch.zeros_like(found.labels), points, scores)


def naive_boxes(found):
    array = Detection2DArray()
    array.header = HEADER
    for (x1, y1, x2, y2), score in zip(found.boxes.tolist(), found.scores.tolist(), strict=True):
        hypothesis = ObjectHypothesisWithPose()
        hypothesis.hypothesis.class_id = "car"
        hypothesis.hypothesis.score = score
        box = BoundingBox2D()
        box.center.position.x = (x1 + x2) / 2
        box.center.position.y = (y1 + y2) / 2
        box.size_x = x2 - x1
        box.size_y = y2 - y1
        detection = Detection2D()
        detection.header = HEADER
        detection.results = [hypothesis]
        detection.bbox = box
        array.detections.append(detection)
    return array


def naive_boxes_in_space(found):
    rows = zip(
        found.dimensions.tolist(),
        found.locations.tolist(),
        found.yaws.tolist(),
        found.scores.tolist(),
        strict=True,
    )
    array = Detection3DArray()
    array.header = HEADER
    for (height, width, length), (x, y, z), yaw, score in rows:
        box = BoundingBox3D()
        box.size.x, box.size.y, box.size.z = length, width, height
        place, turn = box.center.position, box.center.orientation
        place.x, place.y, place.z = x, y - height / 2, z
        cos, sin = np.cos(yaw / 2) * np.sqrt(0.5), np.sin(yaw / 2) * np.sqrt(0.5)
        turn.x, turn.y, turn.z, turn.w = float(cos), float(sin), float(-sin), float(cos)
        hypothesis = ObjectHypothesisWithPose()
        hypothesis.hypothesis.class_id = "car"
        hypothesis.hypothesis.score = score
        hypothesis.pose.pose = box.center
        detection = Detection3D()
        detection.header = HEADER
        detection.results = [hypothesis]
        detection.bbox = box
        array.detections.append(detection)
    return array


def naive_people(found):
    rows = zip(
        found.boxes.tolist(),
        found.scores.tolist(),
        found.keypoints.tolist(),
        found.keypoint_scores.tolist(),
        strict=True,
    )
    array = PersonArray()
    array.header = HEADER
    for (x1, y1, x2, y2), score, points, point_scores in rows:
        person = Person()
        person.header = HEADER
        person.score = score
        person.center_x, person.center_y = (x1 + x2) / 2, (y1 + y2) / 2
        person.size_x, person.size_y = x2 - x1, y2 - y1
        key_points = []
        for name, (x, y), point_score in zip(JOINT_NAMES, points, point_scores, strict=True):
            point = KeyPoint()
            point.name = name
            point.x = x
            point.y = y
            point.score = point_score
            key_points.append(point)
        person.key_points = key_points
        array.people.append(person)
    return array


@pytest.mark.parametrize(
    ("found", "naive", "ours"),
    [
        (cars(), naive_boxes, to_boxes),
        (cars(), naive_boxes_in_space, to_boxes_in_space),
        (people(), naive_people, to_people),
    ],
    ids=["detection2d", "detection3d", "pose"],
)
def test_a_hundred_results_take_a_third_of_the_naive_time(found, naive, ours):
    """6.3, 6.5 and 4.0 times when it was made, more with rclpy's checks of each field."""
    assert ours(found, CLASSES, HEADER) == naive(found)
    times = measure(
        {"naive": lambda: naive(found), "ours": lambda: ours(found, CLASSES, HEADER)},
        20,
        clock=time.process_time,
    )
    assert speed_up(times["naive"], times["ours"]).value > 3


@pytest.mark.parametrize(
    "message",
    [
        to_boxes(cars(), CLASSES, HEADER, ids=["7"] * COUNT),
        move(to_boxes_in_space(cars(), CLASSES, HEADER), TransformStamped()),
        to_people(people(), CLASSES, HEADER),
    ],
    ids=["detection2d", "detection3d", "pose"],
)
def test_what_is_built_can_be_sent(message):
    sent = serialize_message(message)
    assert deserialize_message(sent, type(message)) == message


def test_markers_can_be_sent():
    markers = to_markers(to_boxes_in_space(cars(), CLASSES, HEADER), CLASSES)
    received = deserialize_message(serialize_message(markers), MarkerArray)
    assert len(received.markers) == 1 + 3 * COUNT
    for sent, marker in zip(markers.markers, received.markers, strict=True):
        # Colours lose digits on the way: they are sent in single precision.
        assert (marker.header, marker.ns, marker.id) == (sent.header, sent.ns, sent.id)
        assert (marker.pose, marker.scale, marker.text) == (sent.pose, sent.scale, sent.text)
        assert marker.points == sent.points


def test_fields_that_are_not_given_have_their_defaults():
    built = builder(Detection2D, "id")("7")
    assert built == Detection2D(id="7")
    built.id = "8"
    assert builder(Detection2D, "id")("7").id == "7"


def test_an_unknown_field_is_named():
    with pytest.raises(ValueError, match="BoundingBox2D has no field 'width'; known: center, size"):
        builder(BoundingBox2D, "center", "width")


@pytest.mark.parametrize("values", [(), ("7", "8", "9")])
def test_every_field_needs_a_value(values):
    with pytest.raises(TypeError, match="argument"):
        builder(Detection2D, "id", "bbox")(*values)
