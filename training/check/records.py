"""What a data set says, as it says it: the border between reading and judging."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from centernet_ros.kitti import KittiObject

Numbers = tuple[float, float, float, float]


@dataclass(frozen=True)
class Finding:
    """Something that is wrong with a data set, or looks so.

    Attributes:
        kind: what kind of thing, in a few words that are the same for all of its kind.
        where: file and place.
        message: what is wrong there, and where it helps, what to do.
        is_error: whether it must be mended; else it may be meant.
    """

    kind: str
    where: str
    message: str
    is_error: bool = True


@dataclass(frozen=True)
class RawObject:
    """One object as it stands in a label, right or wrong.

    Attributes:
        where: file and place.
        name: class.
        written: the four numbers of its box as they stand in the file.
        box: x1, y1, x2, y2 in pixels that these mean.
        joints: x, y, visibility of each joint of a person, one after another.
        solid: the whole line of a label in KITTI's form.
        ignored: whether it is marked as a crowd or as difficult.
    """

    where: str
    name: str
    written: Numbers
    box: Numbers
    joints: tuple[float, ...] = ()
    solid: KittiObject | None = None
    ignored: bool = False


@dataclass(frozen=True)
class RawImage:
    """One image as its label speaks of it.

    Attributes:
        where: file and place of the label.
        path: the image file.
        size: height, width that the label says; None where it does not.
        objects: what the label lists.
        calibration: file of its camera; None where the form has none.
        regions: places in which nothing was labelled.
    """

    where: str
    path: Path
    size: tuple[int, int] | None
    objects: tuple[RawObject, ...]
    calibration: Path | None = None
    regions: tuple[RawObject, ...] = ()


@dataclass(frozen=True)
class Scan:
    """Everything that could be read of a data set.

    Attributes:
        form: `coco`, `voc` or `kitti`.
        class_names: the classes that it declares or that were asked for; none: those found count.
        images: the images, in order.
        findings: what could not be read.
        task: what it is checked for; none: every task that the form has truth for.
    """

    form: str
    class_names: tuple[str, ...]
    images: tuple[RawImage, ...]
    findings: tuple[Finding, ...]
    task: str = ""
