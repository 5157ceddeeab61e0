"""What belongs to a set of weights: task, backbone, classes, and how an image becomes its input."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

STREET_CLASSES = ("pedestrian", "car", "cyclist")
"""Classes of the street world, in the order of KITTI's checkpoints."""


class Fit(str, Enum):
    """How an image of any size is laid onto the network input; always centred and undistorted."""

    LETTERBOX = "letterbox"
    """Scale to touch two sides of the input; black bars fill the rest."""
    WIDTH = "width"
    """Scale to the input's width; rows that stand out are cut off, missing ones are black."""
    KEEP = "keep"
    """Keep the resolution; pad to the next multiple of `pad_to` (always by at least one pixel)."""


@dataclass(frozen=True)
class ModelPreset:
    """Facts of a trained network that have to travel with its weights.

    Attributes:
        task: task name.
        backbone: backbone name.
        class_names: name of each label index.
        input_size: height, width of the network input in pixels; unused with `Fit.KEEP`.
        fit: how an image is laid onto the input.
        pad_to: what the sides of the input are multiples of.
        mean: mean of each channel, blue first, of images scaled to [0, 1].
        std: standard deviation of each channel, blue first.
    """

    task: str
    backbone: str
    class_names: tuple[str, ...]
    input_size: tuple[int, int] = (512, 512)
    fit: Fit = Fit.LETTERBOX
    pad_to: int = 32
    mean: tuple[float, float, float] = (0.40789654, 0.44719302, 0.47026115)
    std: tuple[float, float, float] = (0.28863828, 0.27408164, 0.27809835)

    def __post_init__(self) -> None:
        if not self.class_names:
            raise ValueError("class_names is empty: a network needs at least one class")
        if isinstance(self.class_names, str):
            raise ValueError(f"class_names is {self.class_names!r}, expected a list of names")
        if self.pad_to <= 0 or self.pad_to & (self.pad_to - 1):
            raise ValueError(f"pad_to is {self.pad_to}, expected a power of two")
        for name, length in (("input_size", 2), ("mean", 3), ("std", 3)):
            value = getattr(self, name)
            if not isinstance(value, Sequence) or len(value) != length:
                raise ValueError(f"{name} is {value!r}, expected {length} numbers")
        if min(self.std) <= 0:
            raise ValueError(f"std is {self.std!r}, expected positive numbers")
        height, width = self.input_size
        if height <= 0 or width <= 0 or height % self.pad_to or width % self.pad_to:
            raise ValueError(
                f"input_size {height}x{width}: height and width must be positive multiples of "
                f"{self.pad_to}"
            )

    def to_dict(self) -> dict[str, Any]:
        """Plain values that JSON can hold."""
        return {**dataclasses.asdict(self), "fit": self.fit.value}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> ModelPreset:
        """The reverse of `to_dict`.

        Raises:
            ValueError: A key is unknown or missing, or a value does not fit.
        """
        known = {field.name for field in dataclasses.fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise ValueError(
                f"unknown preset key {unknown[0]!r}; known: {', '.join(sorted(known))}"
            )
        typed: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in values.items()
        }
        typed["fit"] = Fit(typed.get("fit", Fit.LETTERBOX))
        try:
            return cls(**typed)
        except TypeError as error:
            raise ValueError(f"incomplete preset: {error}") from None
