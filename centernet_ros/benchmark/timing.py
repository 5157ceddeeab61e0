"""Times that can be compared: taken in turns, with their spread, and no winner within the noise."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

Run = Callable[[], object]

DOUBT = 0.05
"""How often the bounds of a ratio may miss it, at most."""

LEAST_ROUNDS = 6
"""Fewer cannot bound a median so surely: all of five lie on one side of it once in 16 times."""


@dataclass(frozen=True)
class Times:
    """Seconds of each repetition of one thing.

    Attributes:
        seconds: in the order that they were taken.
    """

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """Seconds that half of the repetitions stay under."""
        return float(np.median(self.seconds))

    @property
    def p99(self) -> float:
        """Seconds that 99 of 100 repetitions stay under, interpolated."""
        return float(np.percentile(self.seconds, 99))

    @property
    def spread(self) -> float:
        """Half the distance of the quartiles as a share of the median."""
        low, high = np.percentile(self.seconds, [25, 75])
        return float((high - low) / 2 / self.median)

    def to_dict(self) -> dict[str, float | int]:
        """Plain values that JSON can hold, in milliseconds."""
        return {
            "repetitions": len(self.seconds),
            "median_ms": 1e3 * self.median,
            "p99_ms": 1e3 * self.p99,
            "min_ms": 1e3 * min(self.seconds),
            "spread": self.spread,
        }


@dataclass(frozen=True)
class Ratio:
    """How many times faster one thing is than another, with the bounds that noise leaves.

    Attributes:
        value: the estimate.
        low: it is hardly less than this.
        high: it is hardly more than this.
    """

    value: float
    low: float
    high: float

    @property
    def decided(self) -> bool:
        """Whether the noise leaves no doubt which of the two is faster."""
        return self.low > 1 or self.high < 1

    def __str__(self) -> str:
        text = f"{self.value:.2f}x ({self.low:.2f}-{self.high:.2f})"
        return text if self.decided else f"{text}, within the noise"


def measure(
    runs: Mapping[str, Run],
    repetitions: int,
    *,
    warm_up: int = 2,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, Times]:
    """Time things in turns, so that whatever slows the machine meanwhile slows all of them.

    Args:
        runs: what to run, by name.
        repetitions: of each, after `warm_up` that do not count.
        warm_up: first runs allocate memory and choose kernels.
        clock: seconds; `time.process_time` counts the work and not the waiting, for one thread on
            a busy machine.
    """
    for run in runs.values():
        for _ in range(warm_up):
            run()
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for repetition in range(repetitions):
        # Every other round backwards: nothing always follows the same neighbour.
        for name in list(runs)[:: 1 if repetition % 2 == 0 else -1]:
            start = clock()
            runs[name]()
            seconds[name].append(clock() - start)
    return {name: Times(tuple(values)) for name, values in seconds.items()}


def speed_up(baseline: Times, other: Times) -> Ratio:
    """How many times faster `other` is than `baseline`, of times taken in turns.

    The median of the ratios of each round: what slows a round slows both, and one disturbance does
    not move it.

    Raises:
        ValueError: The times were not taken in turns, or too few times.
    """
    if len(baseline.seconds) != len(other.seconds) or len(other.seconds) < LEAST_ROUNDS:
        raise ValueError(
            f"{len(baseline.seconds)} and {len(other.seconds)} repetitions: a ratio needs as many "
            f"of both, at least {LEAST_ROUNDS}"
        )
    ratios = sorted(a / b for a, b in zip(baseline.seconds, other.seconds, strict=True))
    rank = _bound_of_median(len(ratios))
    return Ratio(float(np.median(ratios)), ratios[rank], ratios[-1 - rank])


def _bound_of_median(count: int) -> int:
    """Index of the sorted sample, from either end, that bounds the median of what it is drawn from.

    The number of samples below the median is binomial, whatever their distribution.
    """
    missed, rank = 0.5**count, 0
    while 2 * (missed + math.comb(count, rank + 1) * 0.5**count) <= DOUBT:
        rank += 1
        missed += math.comb(count, rank) * 0.5**count
    return rank


def winner(times: Mapping[str, Times]) -> str | None:
    """The fastest of all, or None where the noise leaves it open."""
    first, *others = sorted(times, key=lambda name: times[name].median)
    decided = all(speed_up(times[other], times[first]).low > 1 for other in others)
    return first if decided else None


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table with aligned columns."""
    lines = [header, *rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    texts = [
        "| "
        + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        + " |"
        for line in lines
    ]
    return "\n".join([texts[0], "|" + "|".join("-" * (w + 2) for w in widths) + "|", *texts[1:]])
