"""What a run needs to go on exactly where it stopped."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import torch
from torch import nn

from training.config import ConfigError, RunConfig


def save_state(
    path: Path, model: nn.Module, optimiser: torch.optim.Optimizer, step: int, config: RunConfig
) -> None:
    """Write weights, optimiser and step; an interruption leaves the old file or the new one.

    The order of the images and their augmentation follow from the seed and the step alone, so
    no state of a random generator is needed.
    """
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    state = {
        "model": model.state_dict(),
        "optimiser": optimiser.state_dict(),
        "step": step,
        "config": repr(_what_decides(config)),
    }
    try:
        torch.save(state, partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def load_state(
    path: Path, model: nn.Module, optimiser: torch.optim.Optimizer, config: RunConfig
) -> int:
    """Fill model and optimiser from a saved state; gives the number of steps done.

    Raises:
        ConfigError: The file is missing or damaged, or belongs to a run with another configuration.
    """
    if not path.is_file():
        raise ConfigError(f"nothing to resume: {path} does not exist")
    try:
        state = torch.load(path, weights_only=True)
        if state["config"] != repr(_what_decides(config)):
            raise ConfigError(
                f"{path} belongs to a run with another configuration; choose another output folder"
            )
        model.load_state_dict(state["model"])
        optimiser.load_state_dict(state["optimiser"])
        return int(state["step"])
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
