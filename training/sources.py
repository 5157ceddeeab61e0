"""Which images a run learns from and is measured on: a part of its configuration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, get_args

from training.strict import check, check_known, check_not_negative, check_positive


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
        list: file names of the images of the file to use, one on each line; none: all.
    """

    KIND: ClassVar[str] = "coco"
    annotations: str
    images: str
    list: str = ""


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
        folder: folder that holds image_2, label_2 and, for `detection3d`, calib.
        list: list of the frames; none: all that have a label.
    """

    KIND: ClassVar[str] = "kitti"
    folder: str
    list: str = ""


TASKS_OF = {
    CocoSource.KIND: ("detection2d", "pose"),
    VocSource.KIND: ("detection2d",),
    KittiSource.KIND: ("detection2d", "detection3d"),
}
"""Tasks for which files of a kind hold the truth; the street world has it for all."""

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
        check_known("data.kind", self.kind, kinds)
        for name in ("train", "validation"):
            source = getattr(self, name)
            check(self.kind == source.KIND, f"data.{name}: missing for the kind {self.kind}")
            if isinstance(source, StreetSource):
                check_not_negative(f"data.{name}.seed", source.seed)
                check_positive(f"data.{name}.images", source.images)
        limited = self.kind in (CocoSource.KIND, VocSource.KIND) or not self.ignored_as_objects
        check(limited, f"data.ignored_as_objects: {self.kind} has no crowds or difficult objects")
        check_not_negative("data.limit", self.limit)
        check_not_negative("data.workers", self.workers)
        twice = next((name for name in self.classes if self.classes.count(name) > 1), None)
        check(twice is None, f"data.classes: {twice!r} stands there twice; leave one of them out")
