"""3D boxes as `vision_msgs`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from geometry_msgs.msg import (
    Point,
    Pose,
    PoseWithCovariance,
    Quaternion,
    Transform,
    TransformStamped,
    Vector3,
)
from std_msgs.msg import Header
from vision_msgs.msg import (
    BoundingBox3D,
    Detection2DArray,
    Detection3D,
    Detection3DArray,
    ObjectHypothesis,
    ObjectHypothesisWithPose,
)
from visualization_msgs.msg import MarkerArray

from centernet_ros.ros.building import builder
from centernet_ros.ros.markers import to_markers
from centernet_ros.ros.outputs import Output
from centernet_ros.structures import CameraIntrinsics, Detections2D, Detections3D
from centernet_ros.tasks.detection2d.messages import from_messages as boxes_from_messages
from centernet_ros.tasks.detection2d.messages import to_messages as to_box_messages
from centernet_ros.tasks.detection3d.geometry import yaw_to_alpha

_point = builder(Point, "x", "y", "z")
_size = builder(Vector3, "x", "y", "z")
_quaternion = builder(Quaternion, "x", "y", "z", "w")
_pose = builder(Pose, "position", "orientation")
_box = builder(BoundingBox3D, "center", "size")
_class = builder(ObjectHypothesis, "class_id", "score")
_uncertain = builder(PoseWithCovariance, "pose")
_hypothesis = builder(ObjectHypothesisWithPose, "hypothesis", "pose")
_detection = builder(Detection3D, "header", "results", "bbox", "id")


def to_box(dimensions: Sequence[float], location: Sequence[float], yaw: float) -> BoundingBox3D:
    """A box of KITTI's form as a box with a pose, both in the camera's optical frame.

    Args:
        dimensions: height, width, length in metres.
        location: centre of the bottom face in metres; y points down.
        yaw: KITTI's rotation_y in radians.

    Returns:
        The pose of the geometric centre. The box's own axes are x along the length (where the
        object heads), y along the width (to its left) and z along the height (up).
    """
    height, width, length = (max(0.0, value) for value in dimensions)
    x, y, z = location
    # A quarter turn about x brings up from the optical frame's z to its -y; the yaw follows.
    cos, sin = math.cos(yaw / 2) * math.sqrt(0.5), math.sin(yaw / 2) * math.sqrt(0.5)
    pose = _pose(_point(x, y - dimensions[0] / 2, z), _quaternion(cos, sin, -sin, cos))
    return _box(pose, _size(length, width, height))


def from_box(
    box: BoundingBox3D,
) -> tuple[tuple[float, float, float], tuple[float, float, float], float]:
    """Dimensions, location and yaw, in [-pi, pi], of a box: the reverse of `to_box`."""
    centre, turn = box.center.position, box.center.orientation
    height = box.size.z
    yaw = math.remainder(2 * math.atan2(turn.y, turn.x), math.tau)
    location = centre.x, centre.y + height / 2, centre.z
    return (height, box.size.y, box.size.x), location, yaw


def to_messages(
    detections: Detections2D, class_names: Sequence[str], header: Any, ids: Sequence[str] = ()
) -> Detection3DArray:
    """All 3D boxes of one image, also when there is none, under the image's own header.

    Results without a place in space, as of an image without calibration, give an empty array.
    Every detection has one hypothesis with the class name, the score and the box's pose. `id` is
    the number of the object's track, empty where nothing tracks.
    """
    array = Detection3DArray(header=header)
    if not isinstance(detections, Detections3D):
        return array
    rows = zip(
        detections.dimensions.tolist(),
        detections.locations.tolist(),
        detections.yaws.tolist(),
        detections.scores.tolist(),
        detections.labels.tolist(),
        ids or [""] * len(detections),
        strict=True,
    )
    for dimensions, location, yaw, score, label, track in rows:
        box = to_box(dimensions, location, yaw)
        hypothesis = _hypothesis(_class(class_names[label], score), _uncertain(box.center))
        array.detections.append(_detection(header, [hypothesis], box, track))
    return array


def from_messages(
    solids: Detection3DArray,
    boxes: Detection2DArray,
    class_names: Sequence[str],
    camera: CameraIntrinsics,
) -> Detections3D:
    """The results of the two arrays of one image, in their order: the reverse of `to_messages`.

    Args:
        solids: 3D boxes in the camera's optical frame.
        boxes: 2D boxes of the same objects.
        class_names: name of each label.
        camera: that took the image; alphas follow from the columns in which it sees the boxes.

    Raises:
        ValueError: The arrays are not of the same objects, or a class is unknown.
    """
    flat = boxes_from_messages(boxes, class_names)
    if solids.header != boxes.header:
        raise ValueError(
            f"3D boxes are in the frame {solids.header.frame_id!r}, 2D boxes in "
            f"{boxes.header.frame_id!r}: leave target_frame empty, so that they are of one camera"
        )
    if len(solids.detections) != len(flat):
        raise ValueError(f"{len(solids.detections)} 3D boxes and {len(flat)} 2D boxes of one image")
    found = [from_box(detection.bbox) for detection in solids.detections]
    dimensions = torch.tensor([size for size, _, _ in found], dtype=torch.float64).reshape(-1, 3)
    locations = torch.tensor([place for _, place, _ in found], dtype=torch.float64).reshape(-1, 3)
    yaws = torch.tensor([yaw for _, _, yaw in found], dtype=torch.float64)
    return Detections3D(
        boxes=flat.boxes,
        scores=flat.scores,
        labels=flat.labels,
        dimensions=dimensions.float(),
        locations=locations.float(),
        yaws=yaws.float(),
        alphas=yaw_to_alpha(camera, yaws, camera.project(locations)[:, 0]).float(),
    )


def move(array: Detection3DArray, transform: TransformStamped) -> Detection3DArray:
    """The same boxes in the frame that a transform leads to, under the stamp that they have."""
    header = Header(stamp=array.header.stamp, frame_id=transform.header.frame_id)
    moved = Detection3DArray(header=header)
    for detection in array.detections:
        box = _box(_moved(detection.bbox.center, transform.transform), detection.bbox.size)
        hypothesis = _hypothesis(detection.results[0].hypothesis, _uncertain(box.center))
        moved.detections.append(_detection(header, [hypothesis], box, detection.id))
    return moved


def _moved(pose: Pose, transform: Transform) -> Pose:
    """A pose after a rotation and a translation."""
    turn, shift = transform.rotation, transform.translation
    position = _quaternion(pose.position.x, pose.position.y, pose.position.z, 0.0)
    back = _quaternion(-turn.x, -turn.y, -turn.z, turn.w)
    turned = _product(_product(turn, position), back)
    place = _point(turned.x + shift.x, turned.y + shift.y, turned.z + shift.z)
    return _pose(place, _product(turn, pose.orientation))


def _product(a: Quaternion, b: Quaternion) -> Quaternion:
    """The rotation b, then the rotation a."""
    return _quaternion(
        a.w * b.x + a.x * b.w + a.y * b.z - a.z * b.y,
        a.w * b.y - a.x * b.z + a.y * b.w + a.z * b.x,
        a.w * b.z + a.x * b.y - a.y * b.x + a.z * b.w,
        a.w * b.w - a.x * b.x - a.y * b.y - a.z * b.z,
    )


OUTPUTS = (
    Output("detections_3d", Detection3DArray, to_messages, move),
    Output("markers", MarkerArray, to_messages, move, to_markers),
    Output("detections_2d", Detection2DArray, to_box_messages),
)
