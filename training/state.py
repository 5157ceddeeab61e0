"""What a run needs to go on exactly where it stopped."""

from __future__ import annotations

import os
import pickle
import shutil
from dataclasses import dataclass
from pathlib import Path

import torch

from training.config import ConfigError, RunConfig
from training.learner import Learner


@dataclass(frozen=True)
class Progress:
    """How far a run has come.

    Attributes:
        step: steps done.
        best: the best measurement so far, see `training.measuring.headline`; None before the first.
    """

    step: int = 0
    best: float | None = None


def save_state(path: Path, learner: Learner, progress: Progress, config: RunConfig) -> None:
    """Write what a run has reached; an interruption leaves the old file or the new one.

    The order of the images and their augmentation follow from the seed and the step alone, so
    no state of a random generator is needed.

    Raises:
        ConfigError: The file cannot be written, as where the disk is full.
    """
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    state = {
        "learner": learner.state(),
        "step": progress.step,
        "best": progress.best,
        "config": repr(_what_decides(config)),
    }
    try:
        torch.save(state, partial)
        partial.replace(path)
    except (OSError, RuntimeError) as error:
        # PyTorch tells of a full disk in terms of its archive, at positions in it.
        partial.unlink(missing_ok=True)
        free = shutil.disk_usage(path.parent).free / 1e6
        raise ConfigError(
            f"cannot write {path} ({free:.0f} MB are free there): {str(error).splitlines()[0]}; "
            "the state saved before is whole: make room, then --resume goes on from it"
        ) from error
    finally:
        partial.unlink(missing_ok=True)


def load_state(path: Path, learner: Learner, config: RunConfig) -> Progress:
    """Bring a learner to where a saved state was, with however many processes that was.

    Raises:
        ConfigError: The file is missing or damaged, or belongs to a run with another configuration.
    """
    if not path.is_file():
        raise ConfigError(f"nothing to resume: {path} does not exist")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        if state["config"] != repr(_what_decides(config)):
            raise ConfigError(
                f"{path} belongs to a run with another configuration; choose another output folder"
            )
        learner.restore(state["learner"])
        return Progress(int(state["step"]), state["best"])
    except (OSError, RuntimeError, KeyError, EOFError, pickle.UnpicklingError) as error:
        raise ConfigError(f"{path} is damaged: {error}") from None


def _what_decides(config: RunConfig) -> tuple[object, ...]:
    """The parts of a configuration on which the weights depend."""
    return (
        config.task,
        config.backbone,
        config.input_size,
        config.fit,
        config.seed,
        config.initial_weights,
        config.initial_trunk,
        config.augment,
        config.loss,
        config.optimiser,
        config.pixel_statistics,
        config.compat,
        (config.data.train, config.data.classes, config.data.ignored_as_objects, config.data.limit),
    )
