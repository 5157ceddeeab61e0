"""What the times of a network's executors say about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from centernet_ros.benchmark.subjects import BASELINE, ExecutorTimes
from centernet_ros.benchmark.timing import speed_up, winner


def compare_executors(
    results: Sequence[ExecutorTimes], facts: Mapping[str, Any], peaks: Mapping[str, float]
) -> tuple[list[dict[str, Any]], list[list[str]]]:
    """Figures of a network's executors, and lines of the table without the network's name.

    Args:
        results: the executors, the baseline first.
        facts: of the network, for the figures; `operations` are those of a batch,
            `operations_at_peaks` those of what is left without sparse heads.
        peaks: operations per second that the machine reaches, by precision.
    """
    timed = {result.label: result.times for result in results if result.times is not None}
    best = winner(timed)
    figures, lines = [], []
    for result in results:
        if result.times is None:
            lines.append([result.label, *[""] * 5, result.reason])
            continue
        ratio = speed_up(timed[BASELINE], result.times)
        operations = facts["operations_at_peaks" if result.at_peaks else "operations"]
        rate = operations / result.times.median
        share = rate / peaks[result.precision]
        lines.append(
            [
                result.label,
                f"{1e3 * result.times.median:.1f}",
                "" if result.label == BASELINE else str(ratio),
                f"{1e-9 * rate:.0f}",
                f"{100 * share:.0f} %",
                f"{result.difference:.0e}",
                "fastest" if result.label == best else "",
            ]
        )
        figures.append(
            {
                **facts,
                "executor": result.label,
                "precision": result.precision,
                **result.times.to_dict(),
                "speed_up": [ratio.value, ratio.low, ratio.high],
                "share_of_peak": share,
                "difference": result.difference,
            }
        )
    if best is None:
        lines.append([*[""] * 6, "no winner: within the noise"])
    return figures, lines
