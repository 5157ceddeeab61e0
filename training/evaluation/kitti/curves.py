"""From counts at score thresholds to KITTI's precision curves and average precision."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Counts = NDArray[np.int64]

SAMPLES = 41
"""Recall samples of a curve: 0, 1/40, ... 1."""


@dataclass(frozen=True, eq=False)
class Curve:
    """What one class was found like at one overlap and difficulty.

    Attributes:
        num_truths: labelled objects that count.
        thresholds: (T,) scores at which results were counted, best first, at most 41.
        hits: (T,) true positives with at least that score.
        alarms: (T,) false positives.
        misses: (T,) false negatives. They have no influence on the average precision.
        similarities: (T,) sum of (1 + cos(alpha error)) / 2 over the hits.
    """

    num_truths: int
    thresholds: Array
    hits: Counts
    alarms: Counts
    misses: Counts
    similarities: Array

    def precisions(self) -> Array:
        """Precision (41,) at the recall samples, falling; 0 where there is no threshold.

        NaN where nothing at all was counted at a threshold, as in the official program.
        """
        return self._samples(self.hits.astype(np.float64))

    def orientations(self) -> Array:
        """Average orientation similarity (41,): `precisions`, each hit weighted by its angle."""
        return self._samples(self.similarities)

    def _samples(self, sums: Array) -> Array:
        samples = np.zeros(SAMPLES)
        with np.errstate(invalid="ignore"):
            samples[: len(sums)] = sums / (self.hits + self.alarms)
        # The best precision at this or any higher recall; NaN stays in its own place only.
        best = np.fmax.accumulate(samples[::-1])[::-1]
        return np.where(np.isnan(samples), np.nan, best)


def average_r11(samples: Array) -> float:
    """Mean in percent of every fourth of 41 samples: recall 0, 0.1, ... 1 (KITTI before 2019)."""
    return float(samples[::4].mean() * 100)


def average_r40(samples: Array) -> float:
    """Mean in percent of 41 samples but the first: recall 1/40, 2/40, ... 1 (KITTI since 2019)."""
    return float(samples[1:].mean() * 100)


def recall_thresholds(scores: Array, num_truths: int) -> Array:
    """Scores at which the recall comes nearest to 0, 1/40, ... 1.

    Each hit serves one sample only: with fewer than 41 objects there are fewer thresholds, and
    even perfect results do not reach 100 %.

    Args:
        scores: (N,) scores of all hits, in any order.
        num_truths: labelled objects that count.
    """
    thresholds = []
    recall = 0.0
    ordered = np.sort(scores)[::-1].tolist()
    last = len(ordered) - 1
    for index, score in enumerate(ordered):
        left = (index + 1) / num_truths
        right = (index + 2) / num_truths if index < last else left
        if right - recall < recall - left and index < last:
            continue
        thresholds.append(score)
        # Summed up and not multiplied, as in the official program: the rounding decides ties.
        recall += 1 / (SAMPLES - 1.0)
    return np.array(thresholds, dtype=np.float64)
