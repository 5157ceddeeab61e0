"""People with their joints as messages of this package, as `vision_msgs` has none for joints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vision_msgs.msg import Detection2DArray

from centernet_ros.msg import KeyPoint, Person, PersonArray
from centernet_ros.ros.building import builder
from centernet_ros.ros.outputs import Output
from centernet_ros.structures import Poses
from centernet_ros.tasks.detection2d.messages import to_messages as to_box_messages
from centernet_ros.tasks.pose.joints import JOINT_NAMES

_key_point = builder(KeyPoint, "name", "x", "y", "score")
_person = builder(
    Person, "header", "id", "score", "center_x", "center_y", "size_x", "size_y", "key_points"
)


def to_messages(
    poses: Poses, class_names: Sequence[str], header: Any, ids: Sequence[str] = ()
) -> PersonArray:
    """All people of one image, also when there is none, under the image's own header.

    Boxes and joints are in pixels of the camera's image. Every person has all 17 joints. `id` is
    the number of the person's track, empty where nothing tracks.
    """
    array = PersonArray(header=header)
    rows = zip(
        poses.boxes.tolist(),
        poses.scores.tolist(),
        poses.keypoints.tolist(),
        poses.keypoint_scores.tolist(),
        ids or [""] * len(poses),
        strict=True,
    )
    for (x1, y1, x2, y2), score, points, point_scores, track in rows:
        joints = zip(JOINT_NAMES, points, point_scores, strict=True)
        key_points = [_key_point(name, x, y, joint_score) for name, (x, y), joint_score in joints]
        centre = (x1 + x2) / 2, (y1 + y2) / 2
        # A network may answer a negative size, which no subscriber expects.
        size = max(0.0, x2 - x1), max(0.0, y2 - y1)
        array.people.append(_person(header, track, score, *centre, *size, key_points))
    return array


OUTPUTS = (
    Output("poses", PersonArray, to_messages),
    Output("detections_2d", Detection2DArray, to_box_messages),
)
