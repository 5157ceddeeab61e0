"""What a training run chooses: frozen dataclasses, filled strictly from a YAML file."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, get_args

import yaml

from centernet_ros.models import BACKBONE_ALIASES
from centernet_ros.presets import IMAGENET_MEAN, IMAGENET_STD, Fit, ModelPreset
from centernet_ros.tasks import TASK_ALIASES
from training.strict import ConfigError, build, check, override

__all__ = ["ConfigError"]


@dataclass(frozen=True)
class StreetSource:
    """Random street images.

    Attributes:
        seed: which images; no two seeds share one.
        images: how many.
    """

    KIND: ClassVar[str] = "street"
    seed: int = 1
    images: int = 8000


@dataclass(frozen=True)
class CocoSource:
    """COCO's files, or own data in the same form.

    Attributes:
        annotations: the JSON file: instances, or person_keypoints for the task `pose`.
        images: folder of the images.
    """

    KIND: ClassVar[str] = "coco"
    annotations: str
    images: str


@dataclass(frozen=True)
class VocSource:
    """Folders in Pascal VOC's form, or own data in the same form.

    Attributes:
        folders: folders that hold JPEGImages and Annotations.
        list: list of the images below each folder; none: all that have an annotation.
    """

    KIND: ClassVar[str] = "voc"
    folders: tuple[str, ...]
    list: str = ""


@dataclass(frozen=True)
class KittiSource:
    """Frames of KITTI's object detection, or own data in the same form.

    Attributes:
        folder: folder that holds image_2, label_2 and calib.
        list: list of the frames; none: all that have a label.
    """

    KIND: ClassVar[str] = "kitti"
    folder: str
    list: str = ""


Source = StreetSource | CocoSource | VocSource | KittiSource


@dataclass(frozen=True)
class DataConfig:
    """Which images are learnt from and which the result is measured on.

    Attributes:
        kind: `street`, `coco`, `voc` or `kitti`, which decides the form of the next two.
        train: what is trained on; every epoch sees the same images in another order.
        validation: what the result is measured on.
        root: folder that paths start from.
        classes: what is looked for, in the order of the labels; none: all that the data has, for
            KITTI its three.
        ignored_as_objects: train on COCO's crowds and VOC's difficult objects as on all others, as
            the authors do; else they are neither object nor background.
        limit: train and measure on so many first images only, to try a run; 0: on all.
        workers: processes that render and prepare images beside the training process.
        cache: keep the training images in the memory of each worker after the first epoch.
    """

    kind: str = StreetSource.KIND
    train: Source = StreetSource(seed=1, images=8000)
    validation: Source = StreetSource(seed=2, images=500)
    root: str = ""
    classes: tuple[str, ...] = ()
    ignored_as_objects: bool = False
    limit: int = 0
    workers: int = 1
    cache: bool = False

    def __post_init__(self) -> None:
        kinds = [source.KIND for source in get_args(Source)]
        check(self.kind in kinds, f"data.kind: {self.kind!r} is not one of {', '.join(kinds)}")
        for name in ("train", "validation"):
            source = getattr(self, name)
            check(self.kind == source.KIND, f"data.{name}: missing for the kind {self.kind}")
        limited = self.kind in (CocoSource.KIND, VocSource.KIND) or not self.ignored_as_objects
        check(limited, f"data.ignored_as_objects: {self.kind} has no crowds or difficult objects")
        check(self.limit >= 0, f"data.limit: {self.limit} is negative")


@dataclass(frozen=True)
class AugmentConfig:
    """Random changes of the training images.

    Attributes:
        placement: how the image is laid onto the input: `uniform`, as the next keys say, or as the
            authors do: `random_crop` for boxes and poses, `random_shift` for 3D boxes.
        crop: height, width of a piece of the input that is trained on, about an object;
            0, 0: the whole input.
        flip: probability of mirroring.
        scale: factors between which the image's scale is drawn.
        shift: largest shift of the image, or of the object in the crop, as a fraction of the sides.
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
        _check_known("augment.placement", self.placement, known)
        fixed = self.placement == "uniform" or not any(self.crop)
        check(fixed, f"augment.crop: the placement {self.placement} has its own")


@dataclass(frozen=True)
class LossConfig:
    """What the heads learn by; the paper's section 5.4 compares these.

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
        _check_known("optimiser.schedule", self.schedule, ("step", "cosine"))
        _check_known("optimiser.precision", self.precision, precisions)
        size, parts = self.batch_size, self.accumulate
        check(size > 0, f"optimiser.batch_size: {size} is not positive")
        divides = parts > 0 and size % parts == 0
        check(
            divides, f"optimiser.accumulate: {size} images cannot be cut into {parts} equal parts"
        )
        check(self.clip >= 0, f"optimiser.clip: {self.clip} is negative")
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
        _check_known("fit", self.fit, [fit.value for fit in Fit])
        for name in ("keep_every", "evaluate_every", "preview_every"):
            check(getattr(self, name) >= 0, f"{name}: {getattr(self, name)} is negative")
        check(self.save_every > 0, f"save_every: {self.save_every} is not positive")
        both = self.initial_weights and self.initial_trunk
        check(not both, "initial_trunk: initial_weights are given too; choose one of them")
        losses = ("l1", "smooth_l1") if self.task in ("detection2d", "ctdet") else ("l1",)
        check(
            self.loss.regression in losses,
            f"loss.regression: {self.loss.regression!r} is not one of {', '.join(losses)} that "
            f"{self.task} has",
        )
        _check_known("loss.mean_over", self.loss.mean_over, ("slots", "objects"))
        check(
            self.loss.mean_over == "slots" or self.task in ("detection3d", "ddd"),
            f"loss.mean_over: {self.loss.mean_over!r} is for detection3d; {self.task} divides its "
            "losses by the objects anyway",
        )
        _check_known("pixel_statistics", self.pixel_statistics, ("coco", "imagenet"))

    @property
    def folder(self) -> Path:
        """Where the run writes."""
        return Path(self.output).expanduser()

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
                TASK_ALIASES.get(self.task, self.task),
                backbone,
                tuple(class_names),
                self.input_size,
                Fit(self.fit),
                pad_to=128 if backbone == "hourglass104" else 32,
                compat=self.compat,
            )
            if self.pixel_statistics == "imagenet":
                preset = dataclasses.replace(preset, mean=IMAGENET_MEAN, std=IMAGENET_STD)
            return preset
        except ValueError as error:
            raise ConfigError(str(error)) from None


def _check_known(key: str, value: str, known: Sequence[str]) -> None:
    check(value in known, f"{key}: {value!r} is not one of {', '.join(known)}")


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
        for text in overrides:
            override(values, text)
        return build(RunConfig, values)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None
