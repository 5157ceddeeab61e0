"""What a run needs to go on exactly where it stopped."""

from __future__ import annotations

import dataclasses
import os
import shutil
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from training.config import RunConfig
from training.learner import Learner
from training.strict import ConfigError

STATE_FILE = "state.pt"

DECISIVE = (
    "task",
    "backbone",
    "input_size",
    "fit",
    "seed",
    "initial_weights",
    "initial_trunk",
    "augment",
    "loss",
    "optimiser",
    "pixel_statistics",
    "compat",
)
"""Keys of a run on which the weights depend, besides those of its data."""


@dataclass(frozen=True)
class Progress:
    """How far a run has come.

    Attributes:
        step: steps done.
        best: the best measurement so far, see `training.measuring.headline`; None before the first.
        validated: whether what is due on the validation images after this step is done.
    """

    step: int = 0
    best: float | None = None
    validated: bool = True


def save_state(
    path: Path, learner: Learner, progress: Progress, decisive: Mapping[str, str]
) -> None:
    """Write what a run has reached; an interruption leaves the old file or the new one.

    The order of the images and their augmentation follow from the seed and the step alone, so
    no state of a random generator is needed.

    Args:
        path: the file.
        learner: what goes on.
        progress: how far it is.
        decisive: see `what_decides`.

    Raises:
        ConfigError: The file cannot be written, as where the disk is full.
    """
    state = {
        **dataclasses.asdict(progress),
        "learner": learner.state(),
        "config": dict(decisive),
    }
    with written_whole(path) as partial:
        torch.save(state, partial)


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A file to write into, which then takes the place of one in a run's folder.

    Raises:
        ConfigError: It cannot be written, as where the disk is full; the old file stays.
    """
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        yield partial
        partial.replace(path)
    except (OSError, RuntimeError) as error:
        partial.unlink(missing_ok=True)
        raise cannot_write(path, error) from error
    finally:
        partial.unlink(missing_ok=True)


def cannot_write(path: Path, error: Exception) -> ConfigError:
    """What to say of a file in a run's folder that cannot be written, as where the disk is full."""
    free = shutil.disk_usage(path.parent).free / 1e6
    saved = path.with_name(STATE_FILE).exists()
    advice = "the state saved before is whole: make room, then --resume goes on from it"
    # PyTorch tells of a full disk in terms of its archive, at positions in it.
    return ConfigError(
        f"cannot write {path} ({free:.0f} MB are free there): {str(error).splitlines()[0]}; "
        + (advice if saved else "no state was saved before: make room and start again")
    )


def load_state(path: Path, learner: Learner, decisive: Mapping[str, str]) -> Progress:
    """Bring a learner to where a saved state was, with however many processes that was.

    Raises:
        ConfigError: The file is missing, damaged or no state, or belongs to a run with another
            configuration or other data; the message names the first key that differs.
    """
    state = _read_state(path)
    _check_same(path, state["config"], decisive)
    try:
        learner.restore(state["learner"])
    except (RuntimeError, ValueError, KeyError, TypeError) as error:
        reason = textwrap.shorten(str(error), 200)
        raise ConfigError(f"{path} does not fit the network: {reason}") from None
    return Progress(int(state["step"]), state["best"], bool(state["validated"]))


def what_decides(config: RunConfig, class_names: Sequence[str], num_images: int) -> dict[str, str]:
    """Everything on which the weights depend, as text by its key.

    Args:
        config: the run, with the precision that `auto` means.
        class_names: what the training data calls its labels.
        num_images: how many images it has.
    """
    plain = dataclasses.asdict(config)
    values = {key: plain[key] for key in DECISIVE}
    values["data"] = {
        **{key: plain["data"][key] for key in ("kind", "train", "ignored_as_objects", "limit")},
        "classes": tuple(class_names),
    }
    values["number of training images"] = num_images
    return dict(_texts(values))


def _texts(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _texts(value, f"{prefix}{key}.")
        else:
            yield prefix + key, repr(value)


def _read_state(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise ConfigError(f"nothing to resume: {path} does not exist")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle can end in any of a dozen types
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ConfigError(f"{path} is damaged: {reason}") from None
    names = {"learner", "config", *(field.name for field in dataclasses.fields(Progress))}
    whole = isinstance(state, dict) and names <= state.keys()
    if not whole or not isinstance(state["config"], dict):
        raise ConfigError(
            f"{path} is no state that this version writes, and cannot be resumed: choose another "
            "output folder"
        )
    return dict(state)


def _check_same(path: Path, then: Mapping[str, str], now: Mapping[str, str]) -> None:
    """Refuse to go on with a run on whose weights something else decides."""
    for key, value in now.items():
        if then.get(key) == value:
            continue
        advice = "set it as it was, or choose another output folder"
        if key == "optimiser.precision" and key in then:
            # Else nobody could tell: `auto` stands in the configuration both times.
            advice = (
                "auto follows the machine, and a run stays with what it began with: "
                f"--set {key}={then[key][1:-1]}, or choose another output folder"
            )
        raise ConfigError(
            f"{path} belongs to a run with another configuration: {key} was {then.get(key)} and is "
            f"{value} now; {advice}"
        )
