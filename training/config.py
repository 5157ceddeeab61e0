"""What a training run chooses: frozen dataclasses, filled strictly from a YAML file."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml

from centernet_ros.presets import Fit, ModelPreset
from training.data.street_samples import street_classes

Config = TypeVar("Config")


class ConfigError(ValueError):
    """A configuration that cannot be used; the message names the key."""


@dataclass(frozen=True)
class DataConfig:
    """Which images are learnt from and which the result is measured on.

    Attributes:
        train_seed: seed of the street images that are trained on.
        train_images: images per epoch; every epoch sees the same ones in another order.
        validation_seed: seed of the street images for the metric.
        validation_images: number of these.
        workers: processes that render and prepare images beside the training process.
        cache: keep the training images in the memory of each worker after the first epoch.
    """

    train_seed: int = 1
    train_images: int = 8000
    validation_seed: int = 2
    validation_images: int = 500
    workers: int = 1
    cache: bool = False


@dataclass(frozen=True)
class AugmentConfig:
    """Random changes of the training images.

    Attributes:
        crop: height, width of a piece of the input that is trained on, about an object;
            0, 0: the whole input.
        flip: probability of mirroring.
        scale: factors between which the image's scale is drawn.
        shift: largest shift of the image, or of the object in the crop, as a fraction of the sides.
        keep_geometry: probability of leaving scale and shift as they are. Depth and size in metres
            are learnt from such whole images alone.
        colour: largest relative change of brightness, contrast and saturation.
    """

    crop: tuple[int, int] = (0, 0)
    flip: float = 0.5
    scale: tuple[float, float] = (0.8, 1.2)
    shift: float = 0.1
    keep_geometry: float = 0.0
    colour: float = 0.2


@dataclass(frozen=True)
class OptimiserConfig:
    """Adam and its schedule.

    Attributes:
        learning_rate: peak learning rate.
        batch_size: images per step.
        epochs: passes over the training images.
        warmup_steps: steps over which the learning rate rises from zero.
        schedule: `step` (a tenth after each of `drops`) or `cosine` (to zero at the end).
        drops: epochs after which `step` lowers the learning rate.
        precision: `float32`, or `bfloat16` for the convolutions.
    """

    learning_rate: float = 5e-4
    batch_size: int = 16
    epochs: int = 10
    warmup_steps: int = 100
    schedule: str = "cosine"
    drops: tuple[int, ...] = ()
    precision: str = "float32"


@dataclass(frozen=True)
class RunConfig:
    """One training run.

    Attributes:
        task: task name.
        backbone: backbone name.
        input_size: height, width of the network input in pixels.
        fit: how images are laid onto it.
        seed: seed of the initial weights, the order and the augmentation.
        output: folder of the run: weights, state for resuming, log.
        initial_weights: weights file to start from; none: random weights.
        initial_trunk: where the backbone starts from instead, heads being random: `imagenet`, or a
            weights file of the same backbone, for whatever task.
        threads: PyTorch threads; 0: PyTorch's choice.
        save_every: steps between two saved states.
    """

    task: str = "detection2d"
    backbone: str = "resnet18"
    input_size: tuple[int, int] = (512, 512)
    fit: str = "letterbox"
    seed: int = 317
    output: str = "build/training/run"
    initial_weights: str = ""
    initial_trunk: str = ""
    threads: int = 0
    save_every: int = 500
    data: DataConfig = field(default_factory=DataConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)

    def __post_init__(self) -> None:
        fits = [fit.value for fit in Fit]
        _check(self.fit in fits, f"fit: {self.fit!r} is not one of {', '.join(fits)}")
        run = self.optimiser
        _check(run.batch_size > 0, f"optimiser.batch_size: {run.batch_size} is not positive")
        both = self.initial_weights and self.initial_trunk
        _check(not both, "initial_trunk: initial_weights are given too; choose one of them")
        _check(
            run.schedule in ("step", "cosine"),
            f"optimiser.schedule: {run.schedule!r} is not one of step, cosine",
        )
        _check(
            run.precision in ("float32", "bfloat16"),
            f"optimiser.precision: {run.precision!r} is not one of float32, bfloat16",
        )
        _check(
            self.data.train_images >= run.batch_size,
            f"data.train_images: {self.data.train_images} is less than one batch",
        )

    @property
    def steps_per_epoch(self) -> int:
        """Full batches of an epoch; the rest is left out, as in the authors' training."""
        return self.data.train_images // self.optimiser.batch_size

    def preset(self) -> ModelPreset:
        """What the trained network will be used with."""
        try:
            return ModelPreset(
                self.task,
                self.backbone,
                street_classes(self.task),
                self.input_size,
                Fit(self.fit),
            )
        except ValueError as error:
            raise ConfigError(str(error)) from None


def load_config(path: Path | str, overrides: Sequence[str] = ()) -> RunConfig:
    """Read a run from YAML, then apply `section.key=value` overrides.

    Raises:
        ConfigError: The file cannot be read, or a key or value in it is wrong; the message names
            the file and the key.
    """
    try:
        values = yaml.safe_load(Path(path).read_text()) or {}
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: {error}") from None
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: expected keys and values, found {type(values).__name__}")
    try:
        for override in overrides:
            _override(values, override)
        return _build(RunConfig, values)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def _override(values: dict[str, Any], text: str) -> None:
    key, separator, value = text.partition("=")
    _check(bool(separator), f"--set {text!r}: expected section.key=value")
    *sections, last = key.split(".")
    for section in sections:
        values = values.setdefault(section, {})
        _check(isinstance(values, dict), f"--set {text!r}: {section} is not a section")
    values[last] = yaml.safe_load(value)


def _build(cls: type[Config], values: Mapping[str, Any], prefix: str = "") -> Config:
    """A dataclass from plain values; every key must be known and of the field's type."""
    hints = typing.get_type_hints(cls)
    for key in values:
        known = ", ".join(hints)
        _check(key in hints, f"unknown key {prefix}{key}; known: {known}")
    return cls(**{key: _convert(hints[key], value, prefix + key) for key, value in values.items()})


def _convert(hint: Any, value: Any, name: str) -> Any:
    """A YAML value as the type of its field."""
    if dataclasses.is_dataclass(hint):
        _check(isinstance(value, Mapping), f"{name}: expected a section, found {value!r}")
        return _build(typing.cast(type, hint), value, f"{name}.")
    if typing.get_origin(hint) is tuple:
        items = typing.get_args(hint)
        many = items[-1] is Ellipsis
        fits = isinstance(value, list) and (many or len(value) == len(items))
        _check(fits, f"{name}: expected a list of {'any' if many else len(items)}, found {value!r}")
        kinds = [items[0]] * len(value) if many else items
        return tuple(_convert(kind, item, name) for kind, item in zip(kinds, value, strict=True))
    # YAML reads 5e-4 as text and 1 as an integer where a number is meant.
    if hint is float and isinstance(value, (int, str)) and not isinstance(value, bool):
        try:
            return float(value)
        except ValueError:
            pass
    fits = isinstance(value, hint) and (hint is bool or not isinstance(value, bool))
    _check(fits, f"{name}: expected {getattr(hint, '__name__', hint)}, found {value!r}")
    return value


def _check(condition: bool, message: str) -> None:
    if not condition:
        raise ConfigError(message)
