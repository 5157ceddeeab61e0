"""What a training run chooses: frozen dataclasses, filled strictly from a YAML file."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from centernet_ros.models import BACKBONE_ALIASES
from centernet_ros.presets import IMAGENET_MEAN, IMAGENET_STD, Fit, ModelPreset, step_of
from centernet_ros.tasks import TASK_ALIASES
from training.sources import DataConfig
from training.strict import (
    ConfigError,
    build,
    check,
    check_known,
    check_not_negative,
    check_positive,
    override,
    read_yaml,
)


@dataclass(frozen=True)
class AugmentConfig:
    """Random changes of the training images.

    Attributes:
        placement: how the image is laid onto the input: `uniform`, as the next keys say, or as the
            authors do: `random_crop` for boxes and poses, `random_shift` for 3D boxes.
        crop: height, width of a piece of the input that is trained on, about an object;
            0, 0: the whole input.
        flip: probability of mirroring.
        scale: factors between which the image's scale is drawn, with `uniform`.
        shift: largest shift of the image, or of the object in the crop, as a fraction of the sides,
            with `uniform`.
        keep_geometry: probability of leaving scale and shift as they are, also with `random_shift`.
            Depth and size in metres are learnt from such whole images alone.
        colour: largest relative change of brightness, contrast and saturation.
        light: standard deviation of the light's colour, of its natural variation; the authors'
            is 0.1.
    """

    placement: str = "uniform"
    crop: tuple[int, int] = (0, 0)
    flip: float = 0.5
    scale: tuple[float, float] = (0.8, 1.2)
    shift: float = 0.1
    keep_geometry: float = 0.0
    colour: float = 0.2
    light: float = 0.0

    def __post_init__(self) -> None:
        known = ("uniform", "random_crop", "random_shift")
        check_known("augment.placement", self.placement, known)
        fixed = self.placement == "uniform" or not any(self.crop)
        check(fixed, f"augment.crop: the placement {self.placement} has its own")
        for name in () if self.placement == "uniform" else ("scale", "shift"):
            check(
                getattr(self, name) == getattr(AugmentConfig, name),
                f"augment.{name}: the placement {self.placement} has its own; drop the key",
            )
        pieces = any(self.crop) or self.placement == "random_crop"
        check(
            not self.keep_geometry or not pieces,
            f"augment.keep_geometry: {self.keep_geometry} of the images would stay whole, while "
            "crop and random_crop take pieces of all; leave out one of the two",
        )
        for name in ("flip", "keep_geometry"):
            value = getattr(self, name)
            check(0 <= value <= 1, f"augment.{name}: {value} is no probability, from 0 to 1")
        low, high = self.scale
        check(0 < low <= high, f"augment.scale: [{low}, {high}] is no range of positive factors")
        for name in ("shift", "colour", "light"):
            check_not_negative(f"augment.{name}", getattr(self, name))

    @property
    def keeps_cameras(self) -> bool:
        """Whether some images keep their place and size, see `training.augment.random_view`."""
        uniform = self.placement == "uniform" and not any(self.crop)
        return self.keep_geometry > 0 or (uniform and self.scale == (1, 1) and self.shift == 0)


@dataclass(frozen=True)
class LossConfig:
    """What the heads learn by; the paper's section 6.1.1 compares these.

    Attributes:
        size_weight: weight of the size of 2D boxes.
        regression: error of size and offset of `detection2d`: `l1`, or `smooth_l1`.
        mean_over: what divides the losses of `detection3d`: `slots`, all 50 of an image, as the
            published weights were trained; or `objects`, as the paper has it, which suits images
            with few objects.
    """

    size_weight: float = 0.1
    regression: str = "l1"
    mean_over: str = "slots"

    def __post_init__(self) -> None:
        check_not_negative("loss.size_weight", self.size_weight)


@dataclass(frozen=True)
class OptimiserConfig:
    """Adam and its schedule.

    Attributes:
        learning_rate: peak learning rate.
        batch_size: images per step, those of all processes together.
        accumulate: parts into which the batch is cut where memory is short. They go through the
            network one after another, and each has its own statistics in batch normalisation.
        epochs: passes over the training images.
        warmup_steps: steps over which the learning rate rises from zero.
        schedule: `step` (a tenth after each of `drops`) or `cosine` (to zero at the end).
        drops: epochs after which `step` lowers the learning rate.
        precision: `float32`; `bfloat16`, or on GPUs `float16`, for the convolutions; `auto`:
            `bfloat16` where the device multiplies in it, else `float32`; `float64` to compare runs,
            whose rounding the training multiplies from step to step.
        shared_statistics: let batch normalisation see the images of all processes, so that their
            number changes nothing; else each sees its own images, as with the authors.
        clip: largest norm of the gradient, which is shortened to it; 0: any.
        average: decay of a running mean of the weights, which becomes the result; 0: none.
    """

    learning_rate: float = 5e-4
    batch_size: int = 16
    accumulate: int = 1
    epochs: int = 10
    warmup_steps: int = 100
    schedule: str = "cosine"
    drops: tuple[int, ...] = ()
    precision: str = "float32"
    shared_statistics: bool = True
    clip: float = 0.0
    average: float = 0.0

    def __post_init__(self) -> None:
        precisions = ("auto", "float32", "bfloat16", "float16", "float64")
        check_known("optimiser.schedule", self.schedule, ("step", "cosine"))
        check_known("optimiser.precision", self.precision, precisions)
        size, parts = self.batch_size, self.accumulate
        for name in ("learning_rate", "batch_size", "epochs"):
            check_positive(f"optimiser.{name}", getattr(self, name))
        for name in ("warmup_steps", "clip"):
            check_not_negative(f"optimiser.{name}", getattr(self, name))
        check(
            not self.drops or self.schedule == "step",
            f"optimiser.drops: the schedule {self.schedule} has none; set them to []",
        )
        for drop in self.drops:
            check_positive("optimiser.drops", drop)
        divides = parts > 0 and size % parts == 0
        check(
            divides, f"optimiser.accumulate: {size} images cannot be cut into {parts} equal parts"
        )
        check(0 <= self.average < 1, f"optimiser.average: {self.average} is not in [0, 1)")


@dataclass(frozen=True)
class RunConfig:
    """One training run.

    Attributes:
        task: task name, or its alias in the authors' code.
        backbone: backbone name, or its alias.
        input_size: height, width of the network input in pixels.
        fit: how images are laid onto it. With `keep`, whose inputs differ in size, the training
            takes `letterbox`, as the authors' does.
        pixel_statistics: mean and standard deviation of the input: `coco`, or `imagenet` as the
            authors have them for VOC and KITTI.
        compat: repeat the authors' quirks in training and decoding, see `Task`.
        seed: seed of the initial weights, the order and the augmentation.
        output: folder of the run: weights, state for resuming, log; `~` is the user's own folder.
        initial_weights: weights file to start from; none: random weights.
        initial_trunk: where the backbone starts from instead, heads being random: `imagenet`, or a
            file that holds its trunk: weights of the same backbone for whatever task, those of
            `resnet18_pyramid` for `resnet18_pyramid16`, torchvision's, DLA's or ExtremeNet's.
        threads: PyTorch threads; 0: PyTorch's choice.
        save_every: steps between two saved states, from which a run is resumed.
        keep_every: steps between two weights files that are kept; 0: the last one alone.
        evaluate_every: epochs between two measurements, the best of which is kept; 0: at the end.
        preview_every: steps between two pictures of what the network sees in validation images;
            0: at the end.
        tensorboard: write the curves for TensorBoard too, which has to be installed.
    """

    task: str = "detection2d"
    backbone: str = "resnet18"
    input_size: tuple[int, int] = (512, 512)
    fit: str = "letterbox"
    pixel_statistics: str = "coco"
    compat: bool = False
    seed: int = 317
    output: str = "build/training/run"
    initial_weights: str = ""
    initial_trunk: str = ""
    threads: int = 0
    save_every: int = 500
    keep_every: int = 0
    evaluate_every: int = 0
    preview_every: int = 0
    tensorboard: bool = False
    data: DataConfig = field(default_factory=DataConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)

    def __post_init__(self) -> None:
        check(bool(self.output), "output: is empty; name a folder")
        check_known("fit", self.fit, [fit.value for fit in Fit])
        for name in ("seed", "threads", "keep_every", "evaluate_every", "preview_every"):
            check_not_negative(name, getattr(self, name))
        check_positive("save_every", self.save_every)
        sides, step = self.augment.crop, step_of(BACKBONE_ALIASES.get(self.backbone, self.backbone))
        check(
            not any(sides) or all(side > 0 and side % step == 0 for side in sides),
            f"augment.crop: {list(sides)} are not positive multiples of {step}, as {self.backbone} "
            "wants them",
        )
        both = self.initial_weights and self.initial_trunk
        check(not both, "initial_trunk: initial_weights are given too; choose one of them")
        losses = ("l1", "smooth_l1") if self.task in ("detection2d", "ctdet") else ("l1",)
        check(
            self.loss.regression in losses,
            f"loss.regression: {self.loss.regression!r} is not one of {', '.join(losses)} that "
            f"{self.task} has",
        )
        check_known("loss.mean_over", self.loss.mean_over, ("slots", "objects"))
        check(
            self.loss.mean_over == "slots" or self.task in ("detection3d", "ddd"),
            f"loss.mean_over: {self.loss.mean_over!r} is for detection3d; {self.task} divides its "
            "losses by the objects anyway",
        )
        check_known("pixel_statistics", self.pixel_statistics, ("coco", "imagenet"))

    @property
    def folder(self) -> Path:
        """Where the run writes."""
        return Path(self.output).expanduser()

    def check_depth(self) -> None:
        """Refuse to train 3D boxes on images none of which tells depth.

        Raises:
            ConfigError: It is so.
        """
        solid = TASK_ALIASES.get(self.task, self.task) == "detection3d"
        check(
            not solid or self.augment.keeps_cameras,
            "augment.keep_geometry: 0 leaves no image to learn depth from; set it to 0.5, or "
            "augment.scale to [1, 1] and shift to 0, without crops",
        )

    def steps_per_epoch(self, num_images: int) -> int:
        """Full batches of an epoch; the rest is left out, as in the authors' training.

        Raises:
            ConfigError: There is not one batch.
        """
        size = self.optimiser.batch_size
        check(num_images >= size, f"optimiser.batch_size: {num_images} images are less than {size}")
        return num_images // size

    def preset(self, class_names: Sequence[str]) -> ModelPreset:
        """What the trained network will be used with, given what the data set calls its labels.

        Raises:
            ConfigError: A network cannot be used so.
        """
        backbone = BACKBONE_ALIASES.get(self.backbone, self.backbone)
        try:
            preset = ModelPreset(
                self.task,
                backbone,
                tuple(class_names),
                self.input_size,
                Fit(self.fit),
                pad_to=step_of(backbone),
                compat=self.compat,
            )
            if self.pixel_statistics == "imagenet":
                preset = dataclasses.replace(preset, mean=IMAGENET_MEAN, std=IMAGENET_STD)
            return preset
        except ValueError as error:
            raise ConfigError(str(error)) from None


def load_config(path: Path | str, overrides: Sequence[str] = ()) -> RunConfig:
    """Read a run from YAML, then apply `section.key=value` overrides.

    Raises:
        ConfigError: The file cannot be read, or a key or value in it is wrong; the message names
            the file and the key.
    """
    try:
        values = read_yaml(Path(path).read_text(encoding="utf-8")) or {}
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is no text in UTF-8 (byte {error.start})") from None
    except (OSError, ConfigError) as error:
        raise ConfigError(f"{path}: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: expected keys and values, found {type(values).__name__}")
    try:
        for text in overrides:
            override(values, text)
        config = build(RunConfig, values)
        config.check_depth()
        return config
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None
