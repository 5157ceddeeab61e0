"""Which result finds which labelled object: KITTI's two greedy passes, for all frames at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.evaluation.kitti.curves import Curve, recall_thresholds
from training.evaluation.kitti.objects import Objects

Array = NDArray[np.float64]
Indices = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Difficulty:
    """Which labelled objects count.

    Attributes:
        name: easy, moderate or hard.
        min_height: pixels that a labelled box must exceed and a result must reach.
        max_occlusion: highest degree of occlusion.
        max_truncation: highest share outside the image.
    """

    name: str
    min_height: float
    max_occlusion: int
    max_truncation: float


DIFFICULTIES = (
    Difficulty("easy", 40, 0, 0.15),
    Difficulty("moderate", 25, 1, 0.30),
    Difficulty("hard", 25, 2, 0.50),
)


@dataclass(frozen=True, eq=False)
class Pairs:
    """A labelled object and a result of the same frame, and how much they overlap.

    Attributes:
        truths: (P,) index of the labelled object.
        results: (P,) index of the result.
        overlaps: (P,) IoU.
    """

    truths: Indices
    results: Indices
    overlaps: Array

    def __getitem__(self, rows: Mask | Indices) -> Pairs:
        return Pairs(self.truths[rows], self.results[rows], self.overlaps[rows])

    @classmethod
    def concatenate(cls, parts: Sequence[Pairs]) -> Pairs:
        """All pairs of all parts, in order."""
        none = np.zeros(0, dtype=np.int64)
        return cls(
            np.concatenate([none, *(part.truths for part in parts)]),
            np.concatenate([none, *(part.results for part in parts)]),
            np.concatenate([np.zeros(0), *(part.overlaps for part in parts)]),
        )


@dataclass(frozen=True, eq=False)
class Roles:
    """What part each object plays for one class and difficulty.

    An ignored object can match and is then used up, without anything being counted. An object that
    is neither counted nor ignored takes no part.

    Attributes:
        counted_truths: (G,) labelled objects to find.
        ignored_truths: (G,) too hard ones, and those of the class's look-alike.
        counted_results: (D,) results of the class.
        ignored_results: (D,) results below the minimum height, whatever their class.
    """

    counted_truths: Mask
    ignored_truths: Mask
    counted_results: Mask
    ignored_results: Mask


def assign_roles(
    truths: Objects, results: Objects, difficulty: Difficulty, *, kind: str, look_alike: str | None
) -> Roles:
    """Roles of all objects for a class, see `Roles`; kinds in lower case."""
    of_class = truths.kinds == kind
    fits = (
        (truths.boxes[:, 3] - truths.boxes[:, 1] > difficulty.min_height)
        & (truths.occluded <= difficulty.max_occlusion)
        & (truths.truncated <= difficulty.max_truncation)
    )
    small = np.abs(results.boxes[:, 3] - results.boxes[:, 1]) < difficulty.min_height
    return Roles(
        counted_truths=of_class & fits,
        ignored_truths=(of_class & ~fits) | (truths.kinds == look_alike),
        counted_results=(results.kinds == kind) & ~small,
        ignored_results=small,
    )


def measure(
    truths: Objects, results: Objects, pairs: Pairs, *, roles: Roles, excused: Mask
) -> Curve:
    """The curve of one class, difficulty and overlap.

    Args:
        truths: all labelled objects.
        results: all results.
        pairs: those that overlap enough to match.
        roles: parts of the objects.
        excused: (D,) results that are no false alarms when they match nothing.
    """
    takes_part = (roles.counted_truths | roles.ignored_truths)[pairs.truths]
    takes_part &= (roles.counted_results | roles.ignored_results)[pairs.results]
    pairs = pairs[takes_part]
    num_truths = int(roles.counted_truths.sum())
    scores = results.scores[pairs.results]

    # First pass: an object takes the result with the best score. It yields the thresholds.
    by_score = pairs[np.lexsort((pairs.results, -scores, pairs.truths))]
    taken, _ = _match(by_score, truths.frames, results.scores, np.array([-np.inf]))
    hits = by_score.results[taken[:, 0] & _counted(by_score, roles)]
    thresholds = recall_thresholds(results.scores[hits], num_truths)

    # Second pass, at each threshold: it takes the result that overlaps most, and one to be ignored,
    # the first in the file, only if nothing else is left.
    overlaps = np.where(roles.ignored_results[pairs.results], 0, pairs.overlaps)
    pairs = pairs[np.lexsort((pairs.results, -overlaps, pairs.truths))]
    taken, used = _match(pairs, truths.frames, results.scores, thresholds)
    counted = _counted(pairs, roles)
    alphas = truths.alphas[pairs.truths] - results.alphas[pairs.results]
    similarities = (1 + np.cos(alphas[counted])) / 2
    found = taken[roles.counted_truths[pairs.truths]].sum(axis=0)
    candidates = roles.counted_results & ~excused
    alarms = ~used[candidates] & (results.scores[candidates, None] >= thresholds)
    return Curve(
        num_truths=num_truths,
        thresholds=thresholds,
        hits=taken[counted].sum(axis=0),
        alarms=alarms.sum(axis=0),
        misses=num_truths - found,
        similarities=similarities @ taken[counted],
    )


def _counted(pairs: Pairs, roles: Roles) -> Mask:
    """Pairs (P,) that make a true positive."""
    return roles.counted_truths[pairs.truths] & roles.counted_results[pairs.results]


def _match(pairs: Pairs, frames: Indices, scores: Array, thresholds: Array) -> tuple[Mask, Mask]:
    """Match greedily among the results that have at least the score of a threshold.

    Pairs are sorted by labelled object, and those of one object by preference. Objects choose in
    this order, each the first result that is still free. Frames know nothing of each other: the
    n-th pairs of all frames are decided together.

    Returns:
        Pairs (P, T) that match at each threshold, and results (D, T) that are used up.
    """
    taken = np.zeros((len(pairs.truths), len(thresholds)), dtype=bool)
    found = np.zeros((len(frames), len(thresholds)), dtype=bool)
    used = np.zeros((len(scores), len(thresholds)), dtype=bool)
    frame = frames[pairs.truths]
    position = np.arange(len(frame)) - np.searchsorted(frame, frame)
    for rows in _groups(position):
        truth, result = pairs.truths[rows], pairs.results[rows]
        match = ~found[truth] & ~used[result] & (scores[result, None] >= thresholds)
        taken[rows] = match
        found[truth] |= match
        used[result] |= match
    return taken, used


def _groups(positions: Indices) -> list[Indices]:
    """Rows with position 0, rows with position 1, and so on."""
    order = np.argsort(positions, kind="stable")
    return np.split(order, np.cumsum(np.bincount(positions))[:-1]) if len(order) else []
