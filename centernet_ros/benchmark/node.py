"""A node process measured from outside: the rate that it keeps up with, and its latency."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from centernet_ros.benchmark.rates import RATES, Trial, find_peak
from centernet_ros.image import Image
from centernet_ros.presets import ModelPreset
from centernet_ros.ros.isolation import (
    isolated_domain,
    shared_memory_profile,
    this_machine_only,
)
from centernet_ros.ros.player import NODE, Player
from centernet_ros.ros.processes import Child, child_process
from centernet_ros.structures import CameraIntrinsics

READY_TIMEOUT = 300.0
"""Seconds until the first results; a network may have to be converted first."""


@dataclass(frozen=True)
class NodeFigures:
    """What was found of a node.

    Attributes:
        peak: at the highest rate that it keeps up with; None where there is none.
        trials: at each of the rates that were asked for.
    """

    peak: Trial | None
    trials: tuple[Trial, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values that JSON can hold."""
        return {
            "peak": self.peak.to_dict() if self.peak else None,
            "rates": [trial.to_dict() for trial in self.trials],
        }


def measure_node(
    weights: Path | str,
    preset: ModelPreset,
    picture: tuple[Image, CameraIntrinsics],
    *,
    parameters: dict[str, object],
    seconds: float,
    rates: Sequence[float] = RATES,
) -> NodeFigures:
    """Measure a node over DDS on this machine, in a ROS domain of its own.

    Args:
        weights: its weights file.
        preset: of the weights.
        picture: the image that it sees, and the camera that took it.
        parameters: of the node, such as `backend` and `precision`.
        seconds: that each trial publishes.
        rates: images a second at which latencies are told.

    Raises:
        ValueError: The node ended, or gave no results; the message has the end of its output.
    """
    # All results, whatever their score: a node is measured at its most work.
    settings = {"weights": Path(weights).resolve(), "score_threshold": 0.0, **parameters}
    command = [sys.executable, "-m", "centernet_ros.ros", "--ros-args", "-r", f"__node:={NODE}"]
    for name, value in settings.items():
        command += ["-p", f"{name}:={value}"]
    with tempfile.TemporaryDirectory() as folder, isolated_domain() as environment:
        for name in (*this_machine_only(), *shared_memory_profile()):
            os.environ[name] = environment[name]  # for the player, which is in this process
        with (
            child_process(command, environment, Path(folder) / "node.log") as child,
            closing(Player(*picture, preset.task, int(environment["ROS_DOMAIN_ID"]))) as player,
        ):
            try:
                player.wait_for_answer(lambda: _check(child), READY_TIMEOUT)
            except TimeoutError as error:
                raise ValueError(f"{error}:\n{child.output}") from None
            player.play(rates[0], seconds)  # a warm-up that does not count
            trials = tuple(player.play(rate, seconds) for rate in rates)
            peak = find_peak(lambda rate: player.play(rate, seconds))
            _check(child)
            return NodeFigures(peak, trials)


def _check(child: Child) -> None:
    status = child.process.poll()
    if status is not None:
        raise ValueError(f"the node ended with exit status {status}:\n{child.output}")
