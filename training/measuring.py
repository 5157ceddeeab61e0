"""The metric of a data set: results and samples in, figures out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, cast

from torch import Tensor

from centernet_ros.structures import Detections2D, Poses
from training.data.sample import Sample
from training.evaluation.coco import evaluate_boxes, evaluate_poses
from training.evaluation.kitti import (
    CLASSES,
    KittiClass,
    KittiFrame,
    evaluate_kitti,
    kitti_objects,
)
from training.evaluation.voc import evaluate_voc


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
    if truths and isinstance(truths[0], Poses):
        people, found = cast("list[Poses]", truths), cast("list[Poses]", results)
        return evaluate_poses(people, ignored, found, _areas(samples), class_names)
    return evaluate_boxes(truths, ignored, results, class_names, _areas(samples))


def _areas(samples: Sequence[Sample]) -> list[Tensor] | None:
    """Areas of all objects, where the labels give them."""
    areas = [sample.areas for sample in samples if sample.areas is not None]
    return areas if len(areas) == len(samples) else None


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
