"""What a source gives: images with their names, cameras and stamps, or why one is unusable."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from centernet_ros.calibration import CalibrationError
from centernet_ros.detect.cameras import Look
from centernet_ros.image import Image
from centernet_ros.structures import CameraIntrinsics

NEEDS_CAMERA = (
    "detection3d and --undistort need a calibration, but {what}: give --calib FILE (a KITTI calib "
    "file, or a camera_info as YAML), or a source with its own (a bag with CameraInfo, a KITTI "
    "folder)"
)
"""What to say where a source tells nothing of its camera; `what` is a clause."""


@dataclass(frozen=True, eq=False)
class Frame:
    """One image of a source.

    Attributes:
        name: of the image within its source, by which results and pictures are named: a file's name
            or short path, or the number of an image of a film.
        image: (H, W, 3) uint8, blue first.
        camera: that took it, where it is known and asked for.
        stamp: nanoseconds: since the epoch in a bag, since the start in a video.
    """

    name: str
    image: Image
    camera: CameraIntrinsics | None = None
    stamp: int | None = None


@dataclass(frozen=True)
class Unusable:
    """An image, or a number of them, that cannot be read or lacks what its task needs."""

    name: str
    reason: str


@dataclass(frozen=True)
class Source:
    """Images in order.

    Attributes:
        description: what it is, for people.
        names: of all images, where they are known beforehand.
        count: how many images to expect; None where nobody knows.
        rate: images a second of a film; None for single images.
        read: starts reading; ends with a `SourceError` where the source turns out to be damaged.
        files: on disk that it is read from, which must not be written over: images with their
            calibrations and their list, or a film.
    """

    description: str
    names: Sequence[str] | None
    count: int | None
    rate: float | None
    read: Callable[[], Iterator[Frame | Unusable]]
    files: Sequence[Path] = ()


def frame_of(
    name: str, image: Image, look: Look | None, stamp: int | None = None
) -> Frame | Unusable:
    """An image as its camera saw it, or why that is unknown."""
    if look is None:
        return Frame(name, image, stamp=stamp)
    try:
        image, camera = look(image)
    except CalibrationError as error:
        return Unusable(name, str(error))
    return Frame(name, image, camera, stamp)
