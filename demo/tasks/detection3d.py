"""3D boxes: recorded in KITTI's form, and measured as KITTI does."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from vision_msgs.msg import Detection3DArray

from demo.records import FoundSolid
from demo.tasks.base import DemoTask, Figure, Topic
from demo.tasks.detection2d import BOXES_TOPIC

if TYPE_CHECKING:
    from centernet_ros.structures import Detections2D
    from training.data.sample import Sample

TITLES = {"bev": "car BEV AP", "3d": "car 3D AP"}
"""KITTI's metrics in the table."""

MIN_OVERLAP = 0.5
"""IoU of a match on the ground and in space, as the authors of CenterNet measure."""

MODERATE = 1
"""Place among KITTI's difficulties."""

MIN_CARS = 41
"""KITTI's AP has a recall point for each of the first 41 objects: of fewer, not even perfect
results reach 100."""


def to_solids(message: Detection3DArray) -> tuple[FoundSolid, ...]:
    """What matters of an array of 3D boxes."""
    return tuple(_to_solid(detection) for detection in message.detections)


def _to_solid(detection: Any) -> FoundSolid:
    """The reverse of `centernet_ros.tasks.detection3d.messages.to_box`."""
    best = detection.results[0].hypothesis
    size, centre = detection.bbox.size, detection.bbox.center.position
    turn = detection.bbox.center.orientation
    return FoundSolid(
        best.class_id,
        best.score,
        dimensions=(size.z, size.y, size.x),
        location=(centre.x, centre.y + size.z / 2, centre.z),
        yaw=math.remainder(2 * math.atan2(turn.y, turn.x), math.tau),
    )


def _extend(boxes: Detections2D, found: Sequence[Any]) -> Detections2D:
    """3D boxes with the alphas that follow from their places."""
    import torch

    from centernet_ros.structures import Detections3D

    locations = torch.tensor([solid.location for solid in found]).reshape(-1, 3)
    yaws = torch.tensor([solid.yaw for solid in found])
    return Detections3D(
        boxes=boxes.boxes,
        scores=boxes.scores,
        labels=boxes.labels,
        dimensions=torch.tensor([solid.dimensions for solid in found]).reshape(-1, 3),
        locations=locations,
        yaws=yaws,
        alphas=torch.remainder(
            yaws - torch.atan2(locations[:, 0], locations[:, 2]) + math.pi, math.tau
        )
        - math.pi,
    )


def _measure(samples: Sequence[Sample], results: Sequence[Detections2D]) -> list[Figure]:
    """KITTI's AP of cars on the ground and in space."""
    from training.data.street_samples import street_classes
    from training.evaluation.kitti import KittiClass, KittiFrame, evaluate_kitti, kitti_objects

    names = street_classes("detection3d")
    frames = [
        KittiFrame(sample.name, sample.label_lines, kitti_objects(result, names))
        for sample, result in zip(samples, results, strict=True)
    ]
    metrics = evaluate_kitti(frames, [KittiClass("Car", "Van", (MIN_OVERLAP,))])
    cars = metrics.num_truths["Car"][MODERATE]
    if cars < MIN_CARS:
        note = f"only {cars} cars of KITTI's level moderate were seen, {MIN_CARS} are needed"
        return [Figure(title, math.nan, 1, note) for title in TITLES.values()]
    note = f"%, KITTI's R40 at IoU {MIN_OVERLAP}, {cars} cars of level moderate"
    figures = []
    for metric, title in TITLES.items():
        values = metrics.entry("Car", metric, MIN_OVERLAP).r40
        figures.append(Figure(title, 0.0 if values is None else values[MODERATE], 1, note))
    return figures


DETECTION3D = DemoTask(
    "detection3d",
    (BOXES_TOPIC, Topic("detections_3d", Detection3DArray, to_solids)),
    _extend,
    _measure,
    in_space=True,
)
