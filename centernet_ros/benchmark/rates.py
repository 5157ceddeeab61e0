"""What a node keeps up with, in the manner of ros2_benchmark: loss and latency by image rate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

RATES = 10.0, 30.0, 60.0
"""Images a second at which latencies are told."""

LOSS = 0.05
"""Share of the images that may go lost at the peak rate."""

RESOLUTION = 1.05
"""Factor between a rate that is kept up with and one that is not, at which the search ends."""

SLOWEST, FASTEST = 0.25, 1000.0
"""Images a second within which the peak rate is looked for."""


@dataclass(frozen=True)
class Trial:
    """Images published at one rate, and what came of them.

    Attributes:
        rate: images a second that were wanted.
        sent: images that were published.
        seconds: from the first to one period after the last of them.
        latencies: seconds from an image's stamp to the arrival of its results, of each answered
            image in the order of arrival.
        network: seconds that the network took for each answered image, as the node says.
        beside: seconds of the same images' preparation, decoding and publishing.
    """

    rate: float
    sent: int
    seconds: float
    latencies: tuple[float, ...]
    network: tuple[float, ...] = ()
    beside: tuple[float, ...] = ()

    @property
    def dropped(self) -> int:
        """Images without results."""
        return self.sent - len(self.latencies)

    @property
    def sent_rate(self) -> float:
        """Images a second that were published."""
        return self.sent / self.seconds

    @property
    def kept_up(self) -> bool:
        """Whether the camera was as fast as wanted, and hardly an image went lost."""
        return self.dropped < LOSS * self.sent and self.sent_rate > (1 - LOSS) * self.rate

    def latency_ms(self, percentile: float) -> float | None:
        """Milliseconds that so many of 100 answers took at most; None without any answer."""
        return _percentile_ms(self.latencies, percentile)

    def to_dict(self) -> dict[str, Any]:
        """Plain values that JSON can hold."""
        return {
            "rate": self.rate,
            "sent": self.sent,
            "sent_rate": self.sent_rate,
            "dropped": self.dropped,
            "latency_p50_ms": self.latency_ms(50),
            "latency_p99_ms": self.latency_ms(99),
            "latency_p99.9_ms": self.latency_ms(99.9),
            "network_p50_ms": _percentile_ms(self.network, 50),
            "beside_p50_ms": _percentile_ms(self.beside, 50),
        }


def find_peak(play: Callable[[float], Trial], start: float = 10.0) -> Trial | None:
    """The trial of the highest rate that is kept up with; None where not even `SLOWEST` is.

    Doubles or halves the rate until it lies between two neighbours, then goes for their middle.

    Args:
        play: publishes at a rate.
        start: images a second of the first trial.
    """
    best, low, high = None, 0.0, float("inf")
    rate = start
    while high > RESOLUTION * low and SLOWEST <= rate <= FASTEST:
        trial = play(rate)
        if trial.kept_up:
            best, low = trial, rate
        else:
            high = rate
        if low == 0:
            rate = high / 2
        elif high == float("inf"):
            rate = 2 * low
        else:
            rate = (low * high) ** 0.5
    return best


def _percentile_ms(seconds: tuple[float, ...], percentile: float) -> float | None:
    return 1e3 * float(np.percentile(seconds, percentile)) if seconds else None
