"""3D boxes as markers, which RViz and Foxglove show without a plug-in for `vision_msgs`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from builtin_interfaces.msg import Duration
from geometry_msgs.msg import Point, Pose, Vector3
from std_msgs.msg import ColorRGBA
from vision_msgs.msg import BoundingBox3D, Detection3DArray
from visualization_msgs.msg import Marker, MarkerArray

from centernet_ros.drawing import class_colour
from centernet_ros.ros.building import builder

LIFETIME = Duration(sec=2)
"""When the node falls silent its last boxes vanish."""

THINNEST = 0.01
"""Metres: RViz shows no marker of size zero, which a network may answer."""

ARROW = 0.15, 0.35, 0.4
"""Diameter of the shaft, and diameter and length of the head, in metres."""

TEXT_HEIGHT = 0.6
"""Metres."""

_point = builder(Point, "x", "y", "z")
_vector = builder(Vector3, "x", "y", "z")
_pose = builder(Pose, "position")
_rgba = builder(ColorRGBA, "r", "g", "b", "a")
_solid = builder(Marker, "ns", "type", "pose", "scale", "color")
_arrow = builder(Marker, "ns", "type", "pose", "scale", "color", "points")
_text = builder(Marker, "ns", "type", "pose", "scale", "color", "text")


def to_markers(array: Detection3DArray, class_names: Sequence[str]) -> MarkerArray:
    """A box, an arrow ahead and a label for each detection, in the array's frame.

    The first marker deletes those of the image before. Namespaces are `boxes`, `headings` and
    `labels`, so that each can be switched off; a label is the class, the number of the track where
    there is one, and the score.

    Args:
        array: detections of one image, each with a hypothesis.
        class_names: of the network; a class has its colour of the debug image.
    """
    markers = MarkerArray()
    markers.markers.append(Marker(header=array.header, action=Marker.DELETEALL))
    for row, detection in enumerate(array.detections):
        hypothesis = detection.results[0].hypothesis
        name = hypothesis.class_id
        colour = class_colour(name, class_names.index(name))
        number = f" {detection.id}" if detection.id else ""
        kinds = (
            _box(detection.bbox, colour),
            _heading(detection.bbox, colour),
            _label(detection.bbox, f"{name}{number} {hypothesis.score:.2f}"),
        )
        for marker in kinds:
            marker.header, marker.lifetime, marker.id = array.header, LIFETIME, row
            markers.markers.append(marker)
    return markers


def _box(box: BoundingBox3D, colour: Sequence[int]) -> Marker:
    """The box itself, see-through."""
    sides = (max(THINNEST, side) for side in (box.size.x, box.size.y, box.size.z))
    return _solid("boxes", Marker.CUBE, box.center, _vector(*sides), _colour(colour, 0.45))


def _heading(box: BoundingBox3D, colour: Sequence[int]) -> Marker:
    """An arrow from the box's middle to half its length before its front."""
    shaft, head, head_length = ARROW
    points = [_point(0.0, 0.0, 0.0), _point(max(2 * head_length, box.size.x), 0.0, 0.0)]
    size = _vector(shaft, head, head_length)
    return _arrow("headings", Marker.ARROW, box.center, size, _colour(colour, 1.0), points)


def _label(box: BoundingBox3D, text: str) -> Marker:
    """Text above the box, whatever is up in the frame."""
    q, up = box.center.orientation, box.size.z / 2 + TEXT_HEIGHT
    place = box.center.position
    # The box's own third axis: the last column of the rotation.
    position = _point(
        place.x + up * 2 * (q.x * q.z + q.w * q.y),
        place.y + up * 2 * (q.y * q.z - q.w * q.x),
        place.z + up * (1 - 2 * (q.x**2 + q.y**2)),
    )
    white, size = _colour((255, 255, 255), 1.0), _vector(0.0, 0.0, TEXT_HEIGHT)
    return _text("labels", Marker.TEXT_VIEW_FACING, _pose(position), size, white, text)


def _colour(bgr: Sequence[int], opacity: float) -> Any:
    """Blue, green, red of 0-255 as a colour of a marker."""
    blue, green, red = (value / 255 for value in bgr)
    return _rgba(red, green, blue, opacity)
