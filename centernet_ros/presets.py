"""What belongs to a set of weights: task, backbone, classes, and how an image becomes its input."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from centernet_ros.class_names import COCO_CLASSES, KITTI_CLASSES, POSE_CLASSES, VOC_CLASSES

TASK_ALIASES = {"ctdet": "detection2d", "ddd": "detection3d", "multi_pose": "pose"}
"""Names of the tasks in the authors' code."""

SCORE_DECIMALS = 6
"""Of scores in result files; those of the authors' weights have fewer, see `ModelPreset`."""


class Fit(str, Enum):
    """How an image of any size is laid onto the network input; always centred and undistorted.

    NOTE: What lies outside the image is black before mean and std are taken off, as in the
    authors' code, and not the value 0 that a network would see as neutral.
    """

    LETTERBOX = "letterbox"
    """Scale to touch two sides of the input; black bars fill the rest."""
    WIDTH = "width"
    """Scale to the input's width; rows that stand out are cut off, missing ones are black."""
    KEEP = "keep"
    """Keep the resolution; pad to the next multiple of `pad_to` (always by at least one pixel)."""
    CENTRE = "centre"
    """Keep the resolution on an input of a fixed size; what stands out is cut off."""


@dataclass(frozen=True)
class ModelPreset:
    """Facts of a trained network that have to travel with its weights.

    Attributes:
        task: task name; of an alias the name that it stands for.
        backbone: backbone name.
        class_names: name of each label index.
        input_size: height, width of the network input in pixels; unused with `Fit.KEEP`.
        fit: how an image is laid onto the input.
        pad_to: what the sides of the input are multiples of.
        mean: mean of each channel, blue first, of images scaled to [0, 1].
        std: standard deviation of each channel, blue first.
        max_detections: results per image, the authors' K.
        compat: whether decoding repeats the authors' quirks, with which their published numbers
            were made.
        harmless_precisions: half precisions in which these very weights were measured to lose at
            most 0.005 AP.
    """

    task: str
    backbone: str
    class_names: tuple[str, ...]
    input_size: tuple[int, int] = (512, 512)
    fit: Fit = Fit.LETTERBOX
    pad_to: int = 32
    mean: tuple[float, float, float] = (0.40789654, 0.44719302, 0.47026115)
    std: tuple[float, float, float] = (0.28863828, 0.27408164, 0.27809835)
    max_detections: int = 100
    compat: bool = False
    harmless_precisions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "task", TASK_ALIASES.get(self.task, self.task))
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
        if not isinstance(self.compat, bool):
            raise ValueError(f"compat is {self.compat!r}, expected true or false")
        unknown = sorted({*self.harmless_precisions} - {"bfloat16", "float16"})
        if unknown:
            raise ValueError(
                f"harmless_precisions has {unknown[0]!r}, expected bfloat16, float16 or both"
            )
        if not isinstance(self.max_detections, int) or self.max_detections < 1:
            raise ValueError(f"max_detections is {self.max_detections!r}, expected at least 1")
        height, width = self.input_size
        if height <= 0 or width <= 0 or height % self.pad_to or width % self.pad_to:
            raise ValueError(
                f"input_size {height}x{width}: height and width must be positive multiples of "
                f"{self.pad_to}"
            )

    @property
    def score_decimals(self) -> int:
        """Of scores in result files: the authors' two make ties, which cost up to 0.4 AP."""
        return 2 if self.compat else SCORE_DECIMALS

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


IMAGENET_MEAN = (0.485, 0.456, 0.406)
"""NOTE: Of red, green and blue; the authors apply it to blue, green and red."""

IMAGENET_STD = (0.229, 0.224, 0.225)
"""NOTE: As `IMAGENET_MEAN`."""


def _coco(backbone: str) -> ModelPreset:
    """As the numbers on COCO were made: the image's own resolution, COCO's statistics."""
    return ModelPreset(
        "detection2d",
        backbone,
        COCO_CLASSES,
        fit=Fit.KEEP,
        pad_to=step_of(backbone),
        compat=True,
    )


def _pose(backbone: str) -> ModelPreset:
    """As boxes on COCO."""
    return dataclasses.replace(_coco(backbone), task="pose", class_names=POSE_CLASSES)


def _pascal(backbone: str, side: int = 512) -> ModelPreset:
    """As the numbers on Pascal VOC were made: a square, with black bars."""
    return ModelPreset(
        "detection2d",
        backbone,
        VOC_CLASSES,
        (side, side),
        pad_to=step_of(backbone),
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        compat=True,
    )


def _kitti(backbone: str) -> ModelPreset:
    """As the numbers on KITTI were made: scaled to the input's width."""
    return ModelPreset(
        "detection3d",
        backbone,
        KITTI_CLASSES,
        (384, 1280),
        Fit.WIDTH,
        pad_to=step_of(backbone),
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        compat=True,
    )


def step_of(backbone: str) -> int:
    """What the sides of a backbone's input are multiples of."""
    return 128 if backbone == "hourglass104" else 32


PRESETS = {
    "ctdet_coco_dla_1x": _coco("dla34"),
    "ctdet_coco_dla_2x": _coco("dla34"),
    "ctdet_coco_hg": _coco("hourglass104"),
    "ctdet_coco_resdcn18": _coco("resnet18"),
    "ctdet_coco_resdcn101": _coco("resnet101"),
    **{
        f"ctdet_pascal_{name}_{side}": _pascal(backbone, side)
        for name, backbone in (
            ("dla", "dla34"),
            ("resdcn18", "resnet18"),
            ("resdcn101", "resnet101"),
        )
        for side in (384, 512)
    },
    "multi_pose_dla_1x": _pose("dla34"),
    "multi_pose_dla_3x": _pose("dla34"),
    "multi_pose_hg_1x": _pose("hourglass104"),
    "multi_pose_hg_3x": _pose("hourglass104"),
    "ddd_3dop": _kitti("dla34"),
    "ddd_sub": _kitti("dla34"),
}
"""Presets of the authors' published weights, by the names of their files without suffix."""


def authors_preset(backbone: str, task: str, num_classes: int) -> ModelPreset | None:
    """How the authors used such a network, the class count telling the data set; None if unknown.

    Pascal's networks get an input of 512x512.
    """
    presets: dict[tuple[str, int], Callable[[str], ModelPreset]] = {
        ("detection2d", len(COCO_CLASSES)): _coco,
        ("detection2d", len(VOC_CLASSES)): _pascal,
        ("detection3d", len(KITTI_CLASSES)): _kitti,
        ("pose", len(POSE_CLASSES)): _pose,
    }
    make = presets.get((task, num_classes))
    return make(backbone) if make else None
