"""The frames of a folder of KITTI's object data set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from centernet_ros.bag import SourceError

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg")
"""Endings, in small letters, of the files that are taken for images."""


@dataclass(frozen=True)
class KittiFrame:
    """One image with the calibration of its own, both not read yet.

    Attributes:
        name: of its files, without ending.
        image: the left colour image.
        calib: text file with P2 and the transforms of the vehicle.
    """

    name: str
    image: Path
    calib: Path


def find_frames(folder: Path, names: Sequence[str] | None = None) -> list[KittiFrame]:
    """The frames of these names in their order, by default all that have an image.

    Args:
        folder: holds `image_2` and `calib`, or is the data set with `training`.
        names: of the frames.

    Raises:
        SourceError: It is no such folder, a frame lacks a file or is named twice; the message names
            one.
    """
    folder = data_folder(folder)
    images = {
        path.stem: path
        for path in sorted((folder / "image_2").iterdir())
        if path.suffix.lower() in IMAGE_SUFFIXES
    }
    names = list(images) if names is None else names
    double = next((name for name, count in Counter(names).items() if count > 1), None)
    if double is not None:
        raise SourceError(f"frame {double} is named twice")
    frames = [
        KittiFrame(
            name,
            images.get(name, folder / "image_2" / f"{name}.png"),
            folder / "calib" / f"{name}.txt",
        )
        for name in names
    ]
    if not frames:
        raise SourceError(f"{folder / 'image_2'} holds no image ({', '.join(IMAGE_SUFFIXES)})")
    files = [path for frame in frames for path in (frame.image, frame.calib)]
    missing = [path for path in files if not path.is_file()]
    if missing:
        raise SourceError(f"{missing[0]} does not exist ({len(missing)} files are missing)")
    return frames


def read_split(folder: Path, split: str) -> list[str]:
    """Names of frames: one a line in a file, or in ImageSets of the data set.

    Args:
        folder: as of `find_frames`.
        split: path of the file, or a name such as `val` for ImageSets/val.txt.

    Raises:
        SourceError: There is no such list, or it is empty.
    """
    sets = [place / "ImageSets" / f"{split}.txt" for place in (folder, data_folder(folder).parent)]
    path = next((path for path in (Path(split), *sets) if path.is_file()), None)
    if path is None:
        raise SourceError(f"split {split!r} is neither a file nor {sets[-1]}")
    try:
        names = [line.split()[0] for line in path.read_text().splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"list {path} cannot be read: {error}") from None
    if not names:
        raise SourceError(f"list {path} is empty")
    return names


def data_folder(folder: Path) -> Path:
    """The folder with `image_2`: the given one, or `training` in it.

    Raises:
        SourceError: Neither has one.
    """
    for place in (folder, folder / "training"):
        if (place / "image_2").is_dir():
            return place
    raise SourceError(f"{folder} is no folder of KITTI's object data set: it has no image_2")
