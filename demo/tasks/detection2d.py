"""2D boxes: what every task has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from vision_msgs.msg import Detection2DArray

from demo.records import BOXES, Found, FoundObject
from demo.tasks.base import DemoTask, Figure, Topic

if TYPE_CHECKING:
    from centernet_ros.structures import Detections2D
    from training.data.sample import Sample


def to_objects(message: Detection2DArray) -> tuple[FoundObject, ...]:
    """What matters of an array of boxes."""
    return tuple(_to_object(detection) for detection in message.detections)


def _to_object(detection: Any) -> FoundObject:
    best = detection.results[0].hypothesis
    centre, box = detection.bbox.center.position, detection.bbox
    half_width, half_height = box.size_x / 2, box.size_y / 2
    left, top = centre.x - half_width, centre.y - half_height
    right, bottom = centre.x + half_width, centre.y + half_height
    return FoundObject(best.class_id, best.score, (left, top, right, bottom))


def _nothing_more(boxes: Detections2D, found: Sequence[Found]) -> Detections2D:
    return boxes


def _no_more_figures(samples: Sequence[Sample], results: Sequence[Detections2D]) -> list[Figure]:
    return []


BOXES_TOPIC = Topic(BOXES, Detection2DArray, to_objects)

DETECTION2D = DemoTask("detection2d", (BOXES_TOPIC,), _nothing_more, _no_more_figures)
