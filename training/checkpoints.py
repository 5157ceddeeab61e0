"""What a run leaves on its way: states to resume from, weights, measurements and previews."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from centernet_ros.checkpoint import save_checkpoint
from centernet_ros.presets import ModelPreset
from centernet_ros.tasks.base import Task
from training.config import RunConfig
from training.data.sample import SampleSet
from training.engine import evaluate
from training.learner import Learner
from training.measuring import Metrics, headline
from training.previews import write_preview
from training.state import Progress, save_state

STATE_FILE = "state.pt"
WEIGHTS_FILE = "weights.safetensors"
BEST_FILE = "best.safetensors"
MEASUREMENTS_FILE = "measurements.jsonl"


class Checkpoints:
    """Writes into the folder of a run, each file whole or not at all."""

    def __init__(
        self,
        config: RunConfig,
        learner: Learner,
        task: Task[Any],
        preset: ModelPreset,
        validation: SampleSet,
        *,
        steps_per_epoch: int,
        best: float | None,
        facts: Mapping[str, Any],
    ) -> None:
        """Declare what is written.

        Args:
            config: how often, and where.
            learner: what is written.
            task: of the learner's network.
            preset: that the weights carry.
            validation: what is measured on.
            steps_per_epoch: steps in which every image is seen once.
            best: the best measurement so far, None before the first.
            facts: further notes that the weights carry.
        """
        self._config = config
        self._learner = learner
        self._task = task
        self._preset = preset
        self._validation = validation
        self._steps_per_epoch = steps_per_epoch
        self._best = best
        self._facts = facts
        self.folder = Path(config.output)

    def after_step(self, step: int, *, last: bool) -> None:
        """Write what is due after so many steps; a state in any case if it was the last step."""
        config = self._config
        finished = step == config.optimiser.epochs * self._steps_per_epoch
        if _due(step, config.keep_every) and not finished:
            self._save_weights(self.folder / f"step-{step:08d}.safetensors", {"step": step})
        if _due(step, config.preview_every) and not finished:
            self.preview(self.folder / f"preview-{step:08d}.jpg")
        measured = _due(step, config.evaluate_every * self._steps_per_epoch) and not finished
        if measured:
            self.keep_best(self._measure(), step)
        if measured or last or finished or _due(step, config.save_every):
            save_state(self.folder / STATE_FILE, self._learner, Progress(step, self._best), config)

    def keep_best(self, metrics: Metrics, step: int) -> None:
        """Note a measurement, and keep the weights if it is the best one so far."""
        name, value = headline(metrics)
        with (self.folder / MEASUREMENTS_FILE).open("a") as file:
            file.write(json.dumps({"step": step, name: value}) + "\n")
        if self._best is None or value > self._best:
            self._best = value
            self._save_weights(
                self.folder / BEST_FILE, {"step": step, "metrics": metrics.to_dict()}
            )

    def save_result(self, notes: Mapping[str, Any]) -> Path:
        """Write the weights that the run ends with."""
        path = self.folder / WEIGHTS_FILE
        self._save_weights(path, notes)
        return path

    def preview(self, path: Path) -> None:
        """Draw what the network sees in the first validation images."""
        write_preview(path, self._learner.result, self._task, self._preset, self._validation)

    def _measure(self) -> Metrics:
        workers = self._config.data.workers
        return evaluate(self._learner.result, self._task, self._preset, self._validation, workers)

    def _save_weights(self, path: Path, notes: Mapping[str, Any]) -> None:
        save_checkpoint(
            path,
            self._learner.result,
            self._preset,
            dtype=torch.float16,
            notes={**self._facts, **notes},
        )


def _due(step: int, every: int) -> bool:
    return every > 0 and step % every == 0
