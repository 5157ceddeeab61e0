"""The metric of a data set: results and samples in, figures out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Protocol, cast

from torch import Tensor

from centernet_ros.structures import Detections2D, Poses
from training.data.sample import Sample
from training.evaluation.coco import BoxMetrics, PoseMetrics, evaluate_boxes, evaluate_poses
from training.evaluation.kitti import (
    CLASSES,
    KittiClass,
    KittiFrame,
    KittiMetrics,
    evaluate_kitti,
    kitti_objects,
)
from training.evaluation.voc import VocMetrics, evaluate_voc


class Metrics(Protocol):
    """What a network reached."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values that JSON can hold."""

    def table(self) -> str:
        """The figures for people."""


def measure(
    benchmark: str,
    samples: Sequence[Sample],
    results: Sequence[Detections2D],
    class_names: Sequence[str],
) -> Metrics:
    """Figures of results, as a benchmark defines them.

    Args:
        benchmark: `coco` (boxes, or key points where the truth has them), `voc` or `kitti`.
        samples: ground truth of each image; their pixels are not looked at.
        results: what was found in each image.
        class_names: name of each label.

    Raises:
        ValueError: There is no such benchmark.
    """
    truths = [sample.truth for sample in samples]
    ignored = [sample.ignored for sample in samples]
    if benchmark == "kitti":
        return evaluate_kitti(_frames(samples, results, class_names), _kitti_classes(class_names))
    if benchmark == "voc":
        return evaluate_voc(truths, ignored, results, class_names)
    if benchmark != "coco":
        raise ValueError(f"unknown benchmark {benchmark!r}; known: coco, voc, kitti")
    areas = _known([sample.areas for sample in samples])
    if truths and isinstance(truths[0], Poses):
        people, found = cast("list[Poses]", truths), cast("list[Poses]", results)
        crowds = _known([sample.ignored_areas for sample in samples])
        return evaluate_poses(people, ignored, found, areas, class_names, ignored_areas=crowds)
    return evaluate_boxes(truths, ignored, results, class_names, areas)


def headline(metrics: Metrics, task: str) -> tuple[str, float]:
    """The one figure by which two measurements of a run are compared, with its name.

    It is COCO's AP, the mean of VOC's AP, or the mean of KITTI's moderate AP (R40): of
    `detection3d` on the ground at the loose overlap, else in the image at the strict one. The mean
    is over the classes of which there are objects, where one that is never found counts as 0. It is
    0 where there is nothing to find.

    Args:
        metrics: the measurement.
        task: name of the task.

    Raises:
        TypeError: These metrics have no such figure.
    """
    if isinstance(metrics, BoxMetrics | PoseMetrics):
        return "AP", 0.0 if math.isnan(metrics.ap) else metrics.ap
    if isinstance(metrics, VocMetrics):
        return "mAP", metrics.mean_ap
    if not isinstance(metrics, KittiMetrics):
        raise TypeError(f"{type(metrics).__name__} has no headline")
    there = {name for name, counts in metrics.num_truths.items() if counts[1] > 0}
    kind, overlap = ("bev", min) if task == "detection3d" else ("2d", max)
    # Of each class its AP by overlap, where it is measured.
    classes: dict[str, dict[float, float]] = {}
    for item in metrics.entries:
        moderate = math.nan if item.r40 is None else item.r40[1]
        if item.metric == kind and item.class_name in there and not math.isnan(moderate):
            classes.setdefault(item.class_name, {})[item.min_overlap] = moderate
    total = sum(by_overlap[overlap(by_overlap)] for by_overlap in classes.values())
    return f"{kind} AP|R40 moderate", total / max(1, len(there))


def _known(areas: Sequence[Tensor | None]) -> list[Tensor] | None:
    """Areas of all objects, where the labels of every image give them."""
    known = [values for values in areas if values is not None]
    return known if len(known) == len(areas) else None


def _frames(
    samples: Sequence[Sample], results: Sequence[Detections2D], class_names: Sequence[str]
) -> list[KittiFrame]:
    return [
        KittiFrame(sample.name, sample.label_lines, kitti_objects(result, class_names))
        for sample, result in zip(samples, results, strict=True)
    ]


def _kitti_classes(class_names: Sequence[str]) -> list[KittiClass]:
    """KITTI's own classes, and others as strict as its smaller ones."""
    known = {item.name.lower(): item for item in CLASSES}
    return [known.get(name.lower(), KittiClass(name, None, (0.5, 0.25))) for name in class_names]
