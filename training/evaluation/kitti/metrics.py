"""KITTI's object metrics as the benchmark's own program defines them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from centernet_ros.kitti import DONT_CARE
from training.evaluation.kitti.curves import Curve, average_r11, average_r40
from training.evaluation.kitti.matching import DIFFICULTIES, Pairs, assign_roles, measure
from training.evaluation.kitti.objects import NO_ANGLE, NO_PLACE, KittiFrame, Objects, gather
from training.evaluation.kitti.overlaps import (
    box_coverages,
    box_ious,
    solid_coverages,
    solid_ious,
)

METRICS = ("2d", "aos", "bev", "3d")
"""AP in the image, average orientation similarity, AP on the ground, AP in space."""


_BLOCK = 2000
"""Labelled objects that are paired at a time: few enough for a processor's cache."""


@dataclass(frozen=True)
class KittiClass:
    """A class that is evaluated.

    Attributes:
        name: as in the files, though letter case does not matter.
        look_alike: kind of labelled objects that excuse results of this class.
        overlaps: IoUs that a match must exceed, each evaluated.
    """

    name: str
    look_alike: str | None
    overlaps: tuple[float, ...]


CLASSES = (
    KittiClass("Car", "Van", (0.7, 0.5)),
    KittiClass("Pedestrian", "Person_sitting", (0.5, 0.25)),
    KittiClass("Cyclist", None, (0.5, 0.25)),
)
"""First the overlap of the benchmark's server, then the one with which the authors of CenterNet
measure on the ground and in space."""


@dataclass(frozen=True, eq=False)
class KittiEntry:
    """One class, metric and overlap. Tuples hold easy, moderate and hard.

    Attributes:
        class_name: name of the class.
        metric: one of `METRICS`.
        min_overlap: IoU that a match exceeds; of `aos` that in the image.
        r11: AP in percent of 11 recall points; None where the metric is not measured: no result of
            the class has what it takes (a box that begins inside the image, a place, a size), or
            for `aos` any result at all has no orientation.
        r40: AP in percent of 40 recall points; None likewise.
        curves: the counts behind them; None likewise.
    """

    class_name: str
    metric: str
    min_overlap: float
    r11: tuple[float, ...] | None = None
    r40: tuple[float, ...] | None = None
    curves: tuple[Curve, ...] | None = None

    @property
    def title(self) -> str:
        """Metric and overlap in one word."""
        return f"{self.metric}@{self.min_overlap:.2f}"


@dataclass(frozen=True, eq=False)
class KittiMetrics:
    """KITTI's metrics of all classes at both overlaps.

    Attributes:
        num_frames: images evaluated.
        num_truths: labelled objects of each class that count as easy, moderate and hard.
        entries: each class, overlap and metric.
    """

    num_frames: int
    num_truths: Mapping[str, tuple[int, ...]]
    entries: tuple[KittiEntry, ...]

    def entry(self, class_name: str, metric: str, min_overlap: float) -> KittiEntry:
        """The entry with these values.

        Raises:
            KeyError: It was not evaluated.
        """
        for item in self.entries:
            if (item.class_name, item.metric) == (class_name, metric) and math.isclose(
                item.min_overlap, min_overlap
            ):
                return item
        known = ", ".join(f"{item.class_name} {item.title}" for item in self.entries)
        raise KeyError(f"no {class_name} {metric}@{min_overlap:.2f} among {known}")

    def to_dict(self) -> dict[str, Any]:
        """Plain values that JSON can hold: what is not measured, or no number, becomes None."""
        classes: dict[str, dict[str, Any]] = {
            name: {"truths": dict(zip(_NAMES, counts, strict=True))}
            for name, counts in self.num_truths.items()
        }
        for item in self.entries:
            classes[item.class_name][item.title] = {
                "R11": _by_difficulty(item.r11),
                "R40": _by_difficulty(item.r40),
            }
        return {"frames": self.num_frames, **classes}

    def table(self) -> str:
        """The metrics for people: AP in percent, one line for each class, overlap and metric."""
        width = max(len(name) for name in self.num_truths)
        heads = "".join(f"{name:>9}" for name in _NAMES)
        lines = [
            f"{self.num_frames} frames{'R11':>{width + 8}}{'R40':>30}",
            f"{'class':<{width}}  metric  {heads}   {heads}",
        ]
        for item in self.entries:
            cells = ["".join(f"{text:>9}" for text in _texts(v)) for v in (item.r11, item.r40)]
            lines.append(f"{item.class_name:<{width}}  {item.title:<8}{cells[0]}   {cells[1]}")
        for name, counts in self.num_truths.items():
            cell = "".join(f"{count:>9}" for count in counts)
            lines.append(f"{name:<{width}}  objects {cell}")
        return "\n".join(lines)


_NAMES = tuple(difficulty.name for difficulty in DIFFICULTIES)


def _by_difficulty(values: tuple[float, ...] | None) -> dict[str, float | None]:
    numbers = [math.nan] * len(_NAMES) if values is None else values
    plain = [None if math.isnan(value) else value for value in numbers]
    return dict(zip(_NAMES, plain, strict=True))


def _texts(values: tuple[float, ...] | None) -> list[str]:
    return ["-" if v is None else f"{v:.2f}" for v in _by_difficulty(values).values()]


@dataclass(frozen=True, eq=False)
class _Scene:
    """Everything that does not depend on class and difficulty.

    Attributes:
        truths: all labelled objects.
        results: all results.
        pairs: for `2d`, `bev` and `3d` the pairs that overlap at all.
        coverages: likewise the largest share (D,) of each result that one DontCare region covers.
    """

    truths: Objects
    results: Objects
    pairs: Mapping[str, Pairs]
    coverages: Mapping[str, NDArray[np.float64]]


def evaluate_kitti(
    frames: Sequence[KittiFrame], classes: Sequence[KittiClass] = CLASSES
) -> KittiMetrics:
    """KITTI's metrics of results against labels: 2D AP, AOS, BEV AP and 3D AP.

    The numbers are those of the benchmark's own program, the oddities included; see
    `docs/metrics.md`.

    Raises:
        ValueError: A result has no score, or a number is not finite; the message names the frame.
    """
    scene = _survey(frames)
    entries = []
    num_truths = {}
    for item in classes:
        for min_overlap in item.overlaps:
            curves = {name: _curves(scene, item, name, min_overlap) for name in scene.pairs}
            entries += [_entry(scene, item, metric, min_overlap, curves) for metric in METRICS]
        num_truths[item.name] = tuple(curve.num_truths for curve in curves["2d"])
    return KittiMetrics(len(frames), num_truths, tuple(entries))


def _survey(frames: Sequence[KittiFrame]) -> _Scene:
    names = [frame.name for frame in frames]
    for frame in frames:
        for item in frame.results:
            if item.score is None:
                raise ValueError(f"{frame.name}: a result has no score: {item}")
    truths = gather(names, [frame.truths for frame in frames])
    results = gather(names, [frame.results for frame in frames])
    coverages = {name: np.zeros(len(results.scores)) for name in ("2d", "bev", "3d")}
    parts: dict[str, list[Pairs]] = {"2d": [], "bev": [], "3d": []}
    for start in range(0, len(truths.scores), _BLOCK):
        rows = np.arange(start, min(start + _BLOCK, len(truths.scores)))
        truth, result = _partners(rows, truths.frames, results.frames)
        boxes = truths.boxes[truth], results.boxes[result]
        on_ground, in_space = solid_ious(truths.solids[truth], results.solids[result])
        for name, overlaps in (("2d", box_ious(*boxes)), ("bev", on_ground), ("3d", in_space)):
            parts[name].append(Pairs(truth, result, overlaps)[overlaps > 0])
        regions = truths.kinds[truth] == DONT_CARE
        region, inside = truth[regions], result[regions]
        shares = box_coverages(results.boxes[inside], truths.boxes[region])
        ground, space = solid_coverages(results.solids[inside], truths.solids[region])
        for name, values in (("2d", shares), ("bev", ground), ("3d", space)):
            np.maximum.at(coverages[name], inside, values)
    pairs = {name: Pairs.concatenate(part) for name, part in parts.items()}
    return _Scene(truths, results, pairs, coverages)


def _partners(
    rows: NDArray[np.int64], truths: NDArray[np.int64], results: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs of some labelled objects with each result of their frame.

    Args:
        rows: indices of the labelled objects.
        truths: (G,) frame of each labelled object.
        results: (D,) frame of each result, ascending.
    """
    first = np.searchsorted(results, truths[rows], side="left")
    counts = np.searchsorted(results, truths[rows], side="right") - first
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.repeat(rows, counts), np.repeat(first, counts) + within


def _curves(scene: _Scene, item: KittiClass, name: str, min_overlap: float) -> list[Curve]:
    """The curves of a class for easy, moderate and hard; `name` says which overlap."""
    pairs = scene.pairs[name]
    pairs = pairs[pairs.overlaps > min_overlap]
    look_alike = None if item.look_alike is None else item.look_alike.lower()
    curves = []
    for difficulty in DIFFICULTIES:
        roles = assign_roles(
            scene.truths,
            scene.results,
            difficulty,
            kind=item.name.lower(),
            look_alike=look_alike,
        )
        excused = scene.coverages[name] > min_overlap
        curves.append(measure(scene.truths, scene.results, pairs, roles=roles, excused=excused))
    return curves


def _entry(
    scene: _Scene,
    item: KittiClass,
    metric: str,
    min_overlap: float,
    curves: Mapping[str, Sequence[Curve]],
) -> KittiEntry:
    if not _is_measured(scene.results, item.name.lower(), metric):
        return KittiEntry(item.name, metric, min_overlap)
    own = curves["2d" if metric == "aos" else metric]
    samples = [c.orientations() if metric == "aos" else c.precisions() for c in own]
    return KittiEntry(
        item.name,
        metric,
        min_overlap,
        r11=tuple(average_r11(values) for values in samples),
        r40=tuple(average_r40(values) for values in samples),
        curves=tuple(own),
    )


def _is_measured(results: Objects, kind: str, metric: str) -> bool:
    """Whether the official program measures a class: one result that has what it takes is enough.

    But a single result without orientation, of any class, switches the orientation off.
    """
    own = results.kinds == kind
    if metric in ("2d", "aos"):
        oriented = metric == "2d" or not (results.alphas == NO_ANGLE).any()
        return bool(oriented and (results.boxes[own, 0] >= 0).any())
    solids = results.solids[own]
    sizes, places = ([1, 2], [3, 5]) if metric == "bev" else ([0, 1, 2], [3, 4, 5])
    usable = (solids[:, sizes] > 0).all(axis=1) & (solids[:, places] != NO_PLACE).all(axis=1)
    return bool(usable.any())
