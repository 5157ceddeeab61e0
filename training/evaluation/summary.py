"""Several runs of one recipe, as mean and standard deviation: the paper's five KITTI models."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Spread:
    """One figure over the runs.

    Attributes:
        mean: NaN where a run did not measure the figure: the others are another experiment.
        deviation: standard deviation of a sample (with n - 1); NaN for a single run.
    """

    mean: float
    deviation: float


@dataclass(frozen=True)
class Summary:
    """Figures over several runs.

    Attributes:
        num_runs: number of runs.
        figures: each figure by its path in the runs' dictionaries, `Car.2d@0.70.R40.moderate`.
    """

    num_runs: int
    figures: Mapping[str, Spread]

    def to_dict(self) -> dict[str, Any]:
        """Plain values that JSON can hold: NaN becomes None."""

        def plain(value: float) -> float | None:
            return None if math.isnan(value) else value

        figures = {
            name: {"mean": plain(item.mean), "deviation": plain(item.deviation)}
            for name, item in self.figures.items()
        }
        return {"runs": self.num_runs, "figures": figures}

    def table(self) -> str:
        """The figures for people, one on each line."""
        width = max((len(name) for name in self.figures), default=0)
        lines = [f"{self.num_runs} runs"]
        for name, item in self.figures.items():
            texts = [_text(item.mean), _text(item.deviation)]
            lines.append(f"{name:<{width}}  {texts[0]:>10} ± {texts[1]}")
        return "\n".join(lines)


def summarise(runs: Sequence[Mapping[str, Any]]) -> Summary:
    """Mean and standard deviation of every number in the runs' dictionaries (`to_dict`).

    Raises:
        ValueError: There is no run, or the runs hold different figures.
    """
    if not runs:
        raise ValueError("there is no run to summarise")
    flat = [_flatten(run, "") for run in runs]
    for number, figures in enumerate(flat, start=1):
        odd = sorted(set(figures) ^ set(flat[0]))
        if odd:
            raise ValueError(f"runs 1 and {number} measure different things: one has no {odd[0]}")
    return Summary(len(runs), {key: _spread([figures[key] for figures in flat]) for key in flat[0]})


def read_run(path: Path) -> dict[str, Any]:
    """The figures of a run, a JSON file.

    Raises:
        ValueError: The file cannot be read or holds no figures; the message names it.
    """
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from None
    except ValueError as error:
        raise ValueError(f"{path} is no JSON file: {error}") from None
    if not isinstance(content, dict) or not _flatten(content, ""):
        raise ValueError(f"{path} holds no figures")
    return content


def _flatten(values: Mapping[str, Any], prefix: str) -> dict[str, float]:
    flat: dict[str, float] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flatten(value, f"{prefix}{key}.")
        elif value is None or isinstance(value, int | float):
            flat[f"{prefix}{key}"] = math.nan if value is None else float(value)
    return flat


def _spread(values: Sequence[float]) -> Spread:
    if any(math.isnan(value) for value in values):
        return Spread(math.nan, math.nan)
    deviation = statistics.stdev(values) if len(values) > 1 else math.nan
    return Spread(statistics.fmean(values), deviation)


def _text(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.4g}"
