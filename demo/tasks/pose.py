"""People with their joints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from centernet_ros.msg import PersonArray
from demo.records import FoundPerson
from demo.tasks.base import DemoTask, Figure, Topic
from demo.tasks.detection2d import BOXES_TOPIC

if TYPE_CHECKING:
    from centernet_ros.structures import Detections2D, Poses
    from training.data.sample import Sample


def to_people(message: PersonArray) -> tuple[FoundPerson, ...]:
    """What matters of an array of people."""
    return tuple(
        FoundPerson(person.score, tuple((j.x, j.y, j.score) for j in person.key_points))
        for person in message.people
    )


def _extend(boxes: Detections2D, found: Sequence[Any]) -> Detections2D:
    """People, each with 17 joints."""
    import torch

    from centernet_ros.structures import NUM_JOINTS, Poses

    joints = torch.tensor([person.joints for person in found]).reshape(-1, NUM_JOINTS, 3)
    return Poses(
        boxes=boxes.boxes,
        scores=boxes.scores,
        labels=boxes.labels,
        keypoints=joints[..., :2],
        keypoint_scores=joints[..., 2],
    )


def _measure(samples: Sequence[Sample], results: Sequence[Detections2D]) -> list[Figure]:
    """COCO's AP of key points."""
    from training.evaluation.coco import evaluate_poses

    metrics = evaluate_poses(
        cast("list[Poses]", [sample.truth for sample in samples]),
        [sample.ignored for sample in samples],
        cast("Sequence[Poses]", results),
    )
    return [
        Figure("joints AP@0.5", metrics.ap50, 3, "COCO's key point similarity"),
        Figure("joints AP", metrics.ap, 3, ""),
    ]


POSE = DemoTask("pose", (BOXES_TOPIC, Topic("poses", PersonArray, to_people)), _extend, _measure)
