"""Pascal VOC's average precision: with 11 points (2007) and over all points (since 2010)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from centernet_ros.structures import Detections2D

Array = NDArray[np.float64]
Indices = NDArray[np.int64]
Mask = NDArray[np.bool_]

MIN_OVERLAP = 0.5
"""IoU that a match reaches."""


@dataclass(frozen=True)
class VocMetrics:
    """Average precision of each class by name, in [0, 1].

    A class without any object that counts has 0 and lowers the mean, as in the official program.

    Attributes:
        ap07: mean of the best precision at 11 recalls, 0, 0.1, ... 1; VOC2007.
        ap: area under the falling curve of precision over recall; VOC2010 and later.
        num_objects: objects that are not difficult.
    """

    ap07: Mapping[str, float]
    ap: Mapping[str, float]
    num_objects: Mapping[str, int]

    @property
    def mean_ap07(self) -> float:
        """Mean of `ap07` over the classes."""
        return sum(self.ap07.values()) / len(self.ap07)

    @property
    def mean_ap(self) -> float:
        """Mean of `ap` over the classes."""
        return sum(self.ap.values()) / len(self.ap)

    def to_dict(self) -> dict[str, Any]:
        """Plain values that JSON can hold."""
        return {
            "mean_ap07": self.mean_ap07,
            "mean_ap": self.mean_ap,
            "ap07": dict(self.ap07),
            "ap": dict(self.ap),
            "num_objects": dict(self.num_objects),
        }

    def table(self) -> str:
        """The metrics for people: one line for the mean and one for each class."""
        width = max(len("all classes"), *(len(name) for name in self.ap))
        rows = [("all classes", self.mean_ap07, self.mean_ap, sum(self.num_objects.values()))]
        rows += [(n, self.ap07[n], self.ap[n], self.num_objects[n]) for n in self.ap]
        lines = [f"{'class':<{width}}   AP 11 points   AP all points   objects"]
        lines += [
            f"{n:<{width}}{eleven:>15.3f}{area:>16.3f}{count:>10}"
            for n, eleven, area, count in rows
        ]
        return "\n".join(lines)


@dataclass(frozen=True, eq=False)
class VocClass:
    """Objects and results of one class on all images.

    Attributes:
        truth_images: (G,) index of each object's image.
        truth_boxes: (G, 4) x1, y1, x2, y2: the first and the last column and row of pixels, so that
            a box is x2 - x1 + 1 wide. Whether pixels count from 0 or 1 does not matter.
        difficult: (G,) objects that need not be found.
        images: (D,) index of each result's image.
        boxes: (D, 4) of the results, likewise.
        scores: (D,) of the results; equal ones rank in the order given.
    """

    truth_images: Indices
    truth_boxes: Array
    difficult: Mask
    images: Indices
    boxes: Array
    scores: Array


def evaluate_voc(
    truths: Sequence[Detections2D],
    difficult: Sequence[Detections2D],
    results: Sequence[Detections2D],
    class_names: Sequence[str],
) -> VocMetrics:
    """VOC's metrics of results against ground truth, one entry of each sequence per image.

    Args:
        truths: objects to find, in pixels from the left edge of the first column to the right edge
            of the last: VOC's xmin - 1, ymin - 1, xmax, ymax.
        difficult: objects that need not be found, and may be; label -1 stands for every class.
        results: what was found.
        class_names: name of each label.

    Raises:
        ValueError: The sequences differ in length, or a label has no name.
    """
    if not len(truths) == len(difficult) == len(results):
        raise ValueError(
            f"{len(truths)} truths, {len(difficult)} difficult and {len(results)} results: "
            "each image needs one of each"
        )
    objects = [_flatten(part, class_names) for part in (truths, difficult)]
    images, boxes, labels = (np.concatenate(parts) for parts in zip(*objects, strict=True))
    hard = np.arange(len(labels)) >= len(objects[0][2])
    found_images, found_boxes, found_labels = _flatten(results, class_names)
    scores = np.concatenate([np.zeros(0), *(result.scores.numpy() for result in results)])
    classes = {}
    for label, name in enumerate(class_names):
        own, found = (labels == label) | (labels < 0), found_labels == label
        classes[name] = VocClass(
            truth_images=images[own],
            truth_boxes=boxes[own],
            difficult=hard[own],
            images=found_images[found],
            boxes=found_boxes[found],
            scores=scores[found],
        )
    return evaluate_classes(classes)


def evaluate_classes(classes: Mapping[str, VocClass]) -> VocMetrics:
    """VOC's metrics of the objects and results of each class."""
    ap07, ap, num_objects = {}, {}, {}
    for name, item in classes.items():
        num_objects[name] = int((~item.difficult).sum())
        recall, precision = precision_recall(item)
        ap07[name] = eleven_point_ap(recall, precision)
        ap[name] = all_point_ap(recall, precision)
    return VocMetrics(ap07, ap, num_objects)


def precision_recall(item: VocClass, min_overlap: float = MIN_OVERLAP) -> tuple[Array, Array]:
    """Recall (D,) and precision (D,) of the results with at least the n-th best score.

    A result is compared with the one object that it overlaps most, difficult or not. On a difficult
    one it counts neither way; on one that is found already it is a false alarm, however well it
    fits another. Precision is NaN as long as nothing counts.
    """
    by_image = {
        image: np.flatnonzero(item.truth_images == image) for image in np.unique(item.truth_images)
    }
    found = np.zeros(len(item.difficult), dtype=bool)
    hits, alarms = np.zeros(len(item.scores)), np.zeros(len(item.scores))
    for rank, row in enumerate(np.argsort(-item.scores, kind="stable")):
        rows = by_image.get(item.images[row])
        overlaps = np.zeros(1) if rows is None else _ious(item.boxes[row], item.truth_boxes[rows])
        best = int(overlaps.argmax())
        if rows is None or not overlaps[best] >= min_overlap:
            alarms[rank] = 1
        elif not item.difficult[rows[best]]:
            alarms[rank] = found[rows[best]]
            hits[rank] = not alarms[rank]
            found[rows[best]] = True
    hits, alarms = hits.cumsum(), alarms.cumsum()
    objects = int((~item.difficult).sum())
    with np.errstate(invalid="ignore"):
        precision = hits / (hits + alarms)
    return hits / objects if objects else np.zeros(len(hits)), precision


def eleven_point_ap(recall: Array, precision: Array) -> float:
    """Mean of the best precision at a recall of at least 0, 0.1, ... 1.

    NOTE: The recalls are multiples of 0.1 as floating point has them: 3 * 0.1 is more than 3 / 10,
    so a recall of exactly 3 / 10 does not reach its point. The official program does the same.
    """
    best = [precision[recall >= point] for point in np.arange(0, 1.1, 0.1)]
    return float(sum(_best(values) for values in best) / 11)


def all_point_ap(recall: Array, precision: Array) -> float:
    """Area under the curve of the best precision at this or any higher recall."""
    ends = np.concatenate([[0.0], recall, [1.0]])
    heights = np.concatenate([[0.0], precision, [0.0]])
    heights = np.fmax.accumulate(heights[::-1])[::-1]
    return float((np.diff(ends) * heights[1:]).sum())


def _best(precision: Array) -> float:
    known = precision[~np.isnan(precision)]
    return float(known.max()) if known.size else 0.0


def _ious(box: Array, others: Array) -> Array:
    """IoU (N,) of a box with others (N, 4), whose last column and row belong to them."""
    first, last = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    size = last - first + 1
    shared = np.where((size > 0).all(axis=1), size.prod(axis=1), 0)
    area = np.prod(box[2:] - box[:2] + 1)
    ious: Array = shared / (area + (others[:, 2:] - others[:, :2] + 1).prod(axis=1) - shared)
    return ious


def _flatten(
    images: Sequence[Detections2D], class_names: Sequence[str]
) -> tuple[Indices, Array, Indices]:
    """Image, box as in VOC's files, and label of the objects of all images, in order."""
    for index, item in enumerate(images):
        for label in item.labels.tolist():
            if label >= len(class_names):
                raise ValueError(
                    f"label {label} in image {index}: there are {len(class_names)} classes"
                )
    boxes = [np.zeros((0, 4)), *(item.boxes.double().numpy() for item in images)]
    labels = [np.zeros(0, np.int64), *(item.labels.numpy() for item in images)]
    return (
        np.repeat(np.arange(len(images)), [len(item) for item in images]),
        np.concatenate(boxes) + np.array([1, 1, 0, 0]),
        np.concatenate(labels),
    )
