"""COCO's box metrics by pycocotools, on the values of `structures`, without files or printing."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from centernet_ros.structures import Detections2D


@dataclass(frozen=True)
class BoxMetrics:
    """COCO's box metrics, each in [0, 1].

    NaN marks what cannot be measured because no counted truth exists for it (pycocotools says -1,
    which spoils averages unnoticed). Truth without any detection is 0.

    Attributes:
        ap: mean over the classes and the IoU thresholds 0.50, 0.55, ... 0.95.
        ap50: at IoU 0.50.
        ap75: at IoU 0.75.
        ap_small: of objects below 32 x 32 pixels.
        ap_medium: of objects between 32 x 32 and 96 x 96 pixels.
        ap_large: of objects above 96 x 96 pixels.
        ar100: recall with at most 100 detections per image and class.
        per_class_ap: `ap` of each class by name.
        per_class_ap50: `ap50` of each class by name.
    """

    ap: float
    ap50: float
    ap75: float
    ap_small: float
    ap_medium: float
    ap_large: float
    ar100: float
    per_class_ap: Mapping[str, float]
    per_class_ap50: Mapping[str, float]

    def to_dict(self) -> dict[str, Any]:
        """Plain values that JSON can hold: NaN, which it cannot, becomes None."""

        def plain(value: Any) -> Any:
            if isinstance(value, Mapping):
                return {name: plain(number) for name, number in value.items()}
            return None if math.isnan(value) else value

        return {field.name: plain(getattr(self, field.name)) for field in dataclasses.fields(self)}

    def table(self) -> str:
        """The metrics for people: one line for all classes together and one for each class."""
        width = max(len("all classes"), *(len(name) for name in self.per_class_ap))
        lines = [f"{'class':<{width}}     AP  AP@0.5  AP@0.75  small  medium  large  AR@100"]
        values = (self.ap, self.ap50, self.ap75, self.ap_small, self.ap_medium, self.ap_large)
        texts = [_text(value) for value in (*values, self.ar100)]
        columns = zip(texts, (7, 8, 9, 7, 8, 7, 8), strict=True)
        lines.append(f"{'all classes':<{width}}" + "".join(f"{t:>{w}}" for t, w in columns))
        for name, value in self.per_class_ap.items():
            lines.append(f"{name:<{width}}{_text(value):>7}{_text(self.per_class_ap50[name]):>8}")
        return "\n".join(lines)


def _text(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"


def evaluate_boxes(
    truths: Sequence[Detections2D],
    ignored: Sequence[Detections2D],
    results: Sequence[Detections2D],
    class_names: Sequence[str],
) -> BoxMetrics:
    """COCO's metrics of results against ground truth, one entry of each sequence per image.

    Args:
        truths: objects to find; 3D boxes and poses count with their 2D boxes. Whether an object is
            small or large is decided by the area of its box.
        ignored: regions where a detection is neither right nor wrong (COCO's crowds): for the class
            of their label, or for every class where the label is negative.
        results: what was found, scores in any order; equal scores rank in their order here.
        class_names: name of each label.

    Raises:
        ValueError: The sequences differ in length, or a label has no name.
    """
    if not len(truths) == len(ignored) == len(results):
        raise ValueError(
            f"{len(truths)} truths, {len(ignored)} ignored and {len(results)} results: "
            "each image needs one of each"
        )
    annotations: list[dict[str, Any]] = []
    for image, (truth, region) in enumerate(zip(truths, ignored, strict=True)):
        annotations += _entries(image, truth, len(class_names))
        annotations += _entries(image, region, len(class_names), crowd=True)
    detections: list[dict[str, Any]] = []
    for image, result in enumerate(results):
        detections += _entries(image, result, len(class_names))
    # pycocotools prints its progress and the metrics.
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = COCOeval(
            _dataset(annotations, len(results), class_names),
            # Not loadRes, which raises where nothing was found at all.
            _dataset(detections, len(results), class_names),
            "bbox",
        )
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    ap, ap50, ap75, small, medium, large, _, _, ar100, *_ = map(_known, evaluation.stats)
    precision = evaluation.eval["precision"]  # IoU x recall x class x area x most detections
    return BoxMetrics(
        ap=ap,
        ap50=ap50,
        ap75=ap75,
        ap_small=small,
        ap_medium=medium,
        ap_large=large,
        ar100=ar100,
        per_class_ap={n: _mean(precision[:, :, k, 0, -1]) for k, n in enumerate(class_names)},
        per_class_ap50={n: _mean(precision[0, :, k, 0, -1]) for k, n in enumerate(class_names)},
    )


def _known(value: float) -> float:
    return math.nan if value == -1 else float(value)


def _mean(precision: NDArray[np.float64]) -> float:
    """The mean over what has truth, as `summarize` takes it."""
    known = precision[precision > -1]
    return float(known.mean()) if known.size else math.nan


def _entries(
    image: int, objects: Detections2D, num_classes: int, *, crowd: bool = False
) -> list[dict[str, Any]]:
    """The objects of one image as COCO annotations, without their ids."""
    entries = []
    rows = zip(
        objects.boxes.double().tolist(),
        objects.scores.tolist(),
        objects.labels.tolist(),
        strict=True,
    )
    for (x1, y1, x2, y2), score, label in rows:
        if label >= num_classes or (label < 0 and not crowd):
            raise ValueError(f"label {label} in image {image}: there are {num_classes} classes")
        for category in range(num_classes) if label < 0 else [label]:
            entries.append(
                {
                    "image_id": image,
                    "category_id": category,
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "area": (x2 - x1) * (y2 - y1),
                    "iscrowd": int(crowd),
                    "score": score,
                }
            )
    return entries


def _dataset(
    annotations: list[dict[str, Any]], num_images: int, class_names: Sequence[str]
) -> COCO:
    dataset = COCO()
    dataset.dataset = {
        "images": [{"id": image} for image in range(num_images)],
        "categories": [{"id": k, "name": name} for k, name in enumerate(class_names)],
        # Ids start at 1 since pycocotools takes a match with id 0 for none.
        "annotations": [{"id": i, **entry} for i, entry in enumerate(annotations, start=1)],
    }
    dataset.createIndex()
    return dataset
