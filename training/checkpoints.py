"""What a run leaves on its way: states to resume from, weights, measurements and previews."""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from centernet_ros.checkpoint import save_checkpoint
from centernet_ros.presets import ModelPreset
from centernet_ros.tasks.base import Task
from training.config import RunConfig
from training.data.sample import SampleSet
from training.engine import evaluate
from training.learner import Learner
from training.logs import cut_log
from training.measuring import Metrics, headline
from training.previews import write_preview
from training.state import STATE_FILE, Progress, cannot_write, save_state

_log = logging.getLogger(__name__)

WEIGHTS_FILE = "weights.safetensors"
BEST_FILE = "best.safetensors"
STEP_FILES = "step-*.safetensors"
MEASUREMENTS_FILE = "measurements.jsonl"

PARTIAL_FILES = tuple(f"{name}.[0-9]*.partial" for name in (STATE_FILE, "*.safetensors", "*.jsonl"))
"""What a run that was killed while it wrote leaves in its folder."""


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
        progress: Progress,
        decisive: Mapping[str, str],
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
            progress: how far the run was when it was saved.
            decisive: what a run that resumes it has to have in common, see `what_decides`.
            facts: further notes that the weights carry.
        """
        self._config = config
        self._learner = learner
        self._task = task
        self._preset = preset
        self._validation = validation
        self._steps_per_epoch = steps_per_epoch
        self._progress = self._saved = progress
        self._decisive = decisive
        self._facts = facts
        self._stored_as = torch.float16
        self.folder = config.folder

    def start(self) -> None:
        """Clear away what a killed run left, and do what it did not come to."""
        for pattern in PARTIAL_FILES:
            for path in self.folder.glob(pattern):
                path.unlink(missing_ok=True)
        progress = self._progress
        if progress.step == 0:
            # So that every run can be resumed, and a disk that is full is told at once.
            save_state(self.folder / STATE_FILE, self._learner, progress, self._decisive)
        cut_log(self.folder / MEASUREMENTS_FILE, progress.step - (not progress.validated))
        if not progress.validated:
            self._validate()

    def after_step(self, step: int, *, last: bool) -> None:
        """Write what is due after so many steps; a state in any case if it was the last step.

        A validation image that cannot be used must not cost the steps since the last state. So a
        state is saved before they are looked at, which tells that they still have to be, and again
        with a new measurement. A run that ended in between begins with it when it is resumed: no
        measurement is left out, and the best one is that of a run without interruption.
        """
        config = self._config
        finished = step == config.optimiser.epochs * self._steps_per_epoch
        if _due(step, config.keep_every) and not finished:
            self._save_weights(self.folder / f"step-{step:08d}.safetensors", {"step": step})
        validates = self._previews(step) or self._measures(step)
        self._progress = dataclasses.replace(
            self._progress, step=step, validated=finished or not validates
        )
        if validates or last or finished or _due(step, config.save_every):
            self.save()
        if not self._progress.validated:
            self._validate()

    def save(self) -> None:
        """Save the state after the last step, unless it is saved."""
        if self._progress != self._saved:
            save_state(self.folder / STATE_FILE, self._learner, self._progress, self._decisive)
            self._saved = self._progress

    def keep_best(self, metrics: Metrics, step: int) -> None:
        """Note a measurement, and keep the weights if it is the best one so far."""
        name, value = headline(metrics, self._preset.task)
        path = self.folder / MEASUREMENTS_FILE
        try:
            with path.open("a") as file:
                file.write(json.dumps({"step": step, name: value}) + "\n")
        except OSError as error:
            raise cannot_write(path, error) from error
        if self._progress.best is None or value > self._progress.best:
            self._progress = dataclasses.replace(self._progress, best=value)
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

    def _previews(self, step: int) -> bool:
        return _due(step, self._config.preview_every)

    def _measures(self, step: int) -> bool:
        return _due(step, self._config.evaluate_every * self._steps_per_epoch)

    def _validate(self) -> None:
        """Draw and measure what is due after the last step, and save what was measured."""
        step = self._progress.step
        if self._previews(step):
            self.preview(self.folder / f"preview-{step:08d}.jpg")
        if self._measures(step):
            self.keep_best(self._measure(), step)
        self._progress = dataclasses.replace(self._progress, validated=True)
        # Pictures alone are drawn once more by a run that is killed before its next state.
        if self._measures(step):
            self.save()

    def _measure(self) -> Metrics:
        workers = self._config.data.workers
        return evaluate(self._learner.result, self._task, self._preset, self._validation, workers)

    def _save_weights(self, path: Path, notes: Mapping[str, Any]) -> None:
        if self._stored_as is torch.float16 and not _fits_float16(self._learner.result):
            # Rather a file of twice the size than a run that ends here.
            self._stored_as = torch.float32
            _log.warning("%s: some weights are too large for float16; stored in float32", path)
        save_checkpoint(
            path,
            self._learner.result,
            self._preset,
            dtype=self._stored_as,
            notes={**self._facts, **notes},
        )


def _fits_float16(model: nn.Module) -> bool:
    """Whether all finite numbers of a network stay finite in half precision."""
    values = [value for value in model.state_dict().values() if value.is_floating_point()]
    return not any(bool((v.isfinite() & ~v.half().isfinite()).any()) for v in values)


def _due(step: int, every: int) -> bool:
    return every > 0 and step % every == 0
