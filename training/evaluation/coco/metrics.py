"""COCO's figures of boxes and key points, taken from pycocotools without printing."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval


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
        ar1: recall with at most one detection per image and class.
        ar10: recall with at most 10.
        ar100: recall with at most 100.
        ar_small: `ar100` of small objects.
        ar_medium: `ar100` of medium objects.
        ar_large: `ar100` of large objects.
        per_class: the same of each class by name; empty in these.
    """

    ap: float
    ap50: float
    ap75: float
    ap_small: float
    ap_medium: float
    ap_large: float
    ar1: float
    ar10: float
    ar100: float
    ar_small: float
    ar_medium: float
    ar_large: float
    per_class: Mapping[str, BoxMetrics] = field(default_factory=dict)

    @property
    def per_class_ap(self) -> dict[str, float]:
        """`ap` of each class by name."""
        return {name: metrics.ap for name, metrics in self.per_class.items()}

    @property
    def per_class_ap50(self) -> dict[str, float]:
        """`ap50` of each class by name."""
        return {name: metrics.ap50 for name, metrics in self.per_class.items()}

    def to_dict(self) -> dict[str, Any]:
        """Plain values that JSON can hold: NaN, which it cannot, becomes None."""
        return _plain(self)

    def table(self) -> str:
        """The metrics for people: one line for all classes together and one for each class."""
        columns = {
            "ap": "AP",
            "ap50": "AP@0.5",
            "ap75": "AP@0.75",
            "ap_small": "small",
            "ap_medium": "medium",
            "ap_large": "large",
            "ar100": "AR@100",
        }
        return _table(self, columns, "all classes")


@dataclass(frozen=True)
class PoseMetrics:
    """COCO's key point metrics, each in [0, 1]; NaN as in `BoxMetrics`.

    Attributes:
        ap: mean over the thresholds 0.50, 0.55, ... 0.95 of the object key point similarity (OKS).
        ap50: at OKS 0.50.
        ap75: at OKS 0.75.
        ap_medium: of people between 32 x 32 and 96 x 96 pixels.
        ap_large: of people above 96 x 96 pixels.
        ar: recall with at most 20 detections per image, mean over the thresholds.
        ar50: recall at OKS 0.50.
        ar75: recall at OKS 0.75.
        ar_medium: `ar` of medium people.
        ar_large: `ar` of large people.
        per_class: the same of each class by name; empty in these.
    """

    ap: float
    ap50: float
    ap75: float
    ap_medium: float
    ap_large: float
    ar: float
    ar50: float
    ar75: float
    ar_medium: float
    ar_large: float
    per_class: Mapping[str, PoseMetrics] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain values that JSON can hold: NaN, which it cannot, becomes None."""
        return _plain(self)

    def table(self) -> str:
        """The metrics for people: one line for all classes together and one for each class."""
        columns = {
            "ap": "AP",
            "ap50": "AP@0.5",
            "ap75": "AP@0.75",
            "ap_medium": "medium",
            "ap_large": "large",
            "ar": "AR@20",
            "ar50": "AR@0.5",
        }
        return _table(self, columns, "key points")


def quiet_dataset(content: dict[str, Any]) -> COCO:
    """A data set of pycocotools, which prints when it makes one itself."""
    dataset = COCO()
    dataset.dataset = content
    with contextlib.redirect_stdout(io.StringIO()):
        dataset.createIndex()
    return dataset


def box_metrics(truth: COCO, found: COCO, *, by_class: bool = True) -> BoxMetrics:
    """Box metrics of two datasets of pycocotools.

    Args:
        truth: annotations.
        found: results with scores, of the same images and categories.
        by_class: whether a result finds objects of its own class only.
    """
    evaluation = _evaluate(truth, found, "bbox", by_class)
    figures = {
        "ap": ("precision", None, "all", 100),
        "ap50": ("precision", 0.50, "all", 100),
        "ap75": ("precision", 0.75, "all", 100),
        "ap_small": ("precision", None, "small", 100),
        "ap_medium": ("precision", None, "medium", 100),
        "ap_large": ("precision", None, "large", 100),
        "ar1": ("recall", None, "all", 1),
        "ar10": ("recall", None, "all", 10),
        "ar100": ("recall", None, "all", 100),
        "ar_small": ("recall", None, "small", 100),
        "ar_medium": ("recall", None, "medium", 100),
        "ar_large": ("recall", None, "large", 100),
    }
    everything, per_class = _figures(evaluation, truth, figures)
    parts = {name: BoxMetrics(**values) for name, values in per_class.items()}
    return BoxMetrics(**everything, per_class=parts)


def pose_metrics(truth: COCO, found: COCO) -> PoseMetrics:
    """Key point metrics of two datasets of pycocotools; arguments as those of `box_metrics`."""
    evaluation = _evaluate(truth, found, "keypoints", by_class=True)
    figures = {
        "ap": ("precision", None, "all", 20),
        "ap50": ("precision", 0.50, "all", 20),
        "ap75": ("precision", 0.75, "all", 20),
        "ap_medium": ("precision", None, "medium", 20),
        "ap_large": ("precision", None, "large", 20),
        "ar": ("recall", None, "all", 20),
        "ar50": ("recall", 0.50, "all", 20),
        "ar75": ("recall", 0.75, "all", 20),
        "ar_medium": ("recall", None, "medium", 20),
        "ar_large": ("recall", None, "large", 20),
    }
    everything, per_class = _figures(evaluation, truth, figures)
    parts = {name: PoseMetrics(**values) for name, values in per_class.items()}
    return PoseMetrics(**everything, per_class=parts)


def _evaluate(truth: COCO, found: COCO, kind: str, by_class: bool) -> COCOeval:
    # pycocotools prints its progress.
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = COCOeval(truth, found, kind)
        evaluation.params.useCats = int(by_class)
        evaluation.evaluate()
        evaluation.accumulate()
    return evaluation


def _figures(
    evaluation: COCOeval,
    truth: COCO,
    figures: Mapping[str, tuple[str, float | None, str, int]],
) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Each figure over all classes, and of each class by name.

    A figure is a curve, an IoU or OKS (None: all of them), a range of areas and the most results.
    """
    settings = evaluation.params

    def mean(figure: tuple[str, float | None, str, int], classes: slice) -> float:
        curve, overlap, area, most = figure
        # threshold (x recall) x class x area x most results
        values = evaluation.eval[curve][
            ..., classes, settings.areaRngLbl.index(area), settings.maxDets.index(most)
        ]
        if overlap is not None:
            values = values[np.isclose(settings.iouThrs, overlap)]
        known = values[values > -1]
        return float(known.mean()) if known.size else math.nan

    names = {number: category["name"] for number, category in truth.cats.items()}
    classes = settings.catIds if settings.useCats else []
    everything = {key: mean(figure, slice(None)) for key, figure in figures.items()}
    return everything, {
        names[number]: {key: mean(f, slice(k, k + 1)) for key, f in figures.items()}
        for k, number in enumerate(classes)
    }


def _plain(metrics: BoxMetrics | PoseMetrics) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    for item in dataclasses.fields(metrics):
        value = getattr(metrics, item.name)
        if isinstance(value, Mapping):
            # A class has no classes below it.
            rows = {name: _plain(row) for name, row in value.items()}
            plain |= {item.name: rows} if rows else {}
        else:
            plain[item.name] = None if math.isnan(value) else value
    return plain


def _table(metrics: BoxMetrics | PoseMetrics, columns: Mapping[str, str], title: str) -> str:
    rows: dict[str, BoxMetrics | PoseMetrics] = {title: metrics, **metrics.per_class}
    width = max(len(name) for name in rows)
    lines = [f"{'class':<{width}}" + "".join(f"{head:>9}" for head in columns.values())]
    for name, row in rows.items():
        texts = [_text(getattr(row, key)) for key in columns]
        lines.append(f"{name:<{width}}" + "".join(f"{text:>9}" for text in texts))
    return "\n".join(lines)


def _text(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"
