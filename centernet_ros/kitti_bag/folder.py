"""The frames of a folder of KITTI's object data set, and lists of them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from centernet_ros.bag import SourceError
from centernet_ros.encodings import IMAGE_SUFFIXES
from centernet_ros.lists import listed_name


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
    files = [p for p in (folder / "image_2").iterdir() if p.suffix.lower() in IMAGE_SUFFIXES]
    # Of two files of one name the PNG counts, as in training.
    files.sort(key=lambda path: (path.stem, path.suffix.lower() == ".png", path.suffix))
    images = {path.stem: path for path in files}
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
    """The names in a list of images.

    Args:
        folder: of the images, or of the data set.
        split: see `find_list`.

    Raises:
        SourceError: There is no such list, or it cannot be used.
    """
    return read_list(find_list(folder, split))


def find_list(folder: Path, split: str) -> Path:
    """The file of a list of images.

    Args:
        folder: of the images, or of the data set.
        split: path of the file from this folder, from the one above it or from here, or a name such
            as `val` for ImageSets/val.txt.

    Raises:
        SourceError: There is no such list.
    """
    places = folder, Path(os.path.abspath(folder)).parent
    name = f"ImageSets/{split}.txt"
    paths = [*(place / split for place in places), Path(split), *(place / name for place in places)]
    for path in paths:
        if path.is_file():
            return path
    raise SourceError(
        f"there is no list {split!r}: no such file in {folder}, above it or here, and no {name} "
        "in or above it"
    )


def read_list(path: Path) -> list[str]:
    """Names, one a line as of `listed_name`, in the order of the file.

    Raises:
        SourceError: The file cannot be read, names nothing, or names something twice.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"list {path} cannot be read: {error}") from None
    names = [name for name in map(listed_name, lines) if name]
    if not names:
        raise SourceError(f"list {path} is empty")
    double = next((name for name, count in Counter(names).items() if count > 1), None)
    if double is not None:
        raise SourceError(f"list {path} names {double} twice")
    return names


def data_folder(folder: Path) -> Path:
    """The folder with `image_2`: the given one, or `training` in it.

    Raises:
        SourceError: Neither has one.
    """
    place = find_data_folder(folder)
    if place is None:
        raise SourceError(f"{folder} is no folder of KITTI's object data set: it has no image_2")
    return place


def find_data_folder(folder: Path) -> Path | None:
    """As `data_folder`, but None where neither has one."""
    places = folder, folder / "training"
    return next((place for place in places if (place / "image_2").is_dir()), None)
