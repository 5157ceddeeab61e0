"""Image files as arrays, in the pixels that their labels mean."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from centernet_ros.encodings import IMAGE_SUFFIXES, is_cut_jpeg
from centernet_ros.image import LARGEST_SIDE, Image
from training.data.sample import DataError

_JPEG_START = b"\xff\xd8"
_PNG_START, _PNG_END = b"\x89PNG", b"IEND"

_TAIL = 65536
"""Bytes in which a PNG has its end mark, at the end, and a JPEG its EXIF data, at the start."""


def read_image(path: Path, size: tuple[int, int] | None = None) -> Image:
    """An image, (H, W, 3) uint8, blue first.

    The pixels are taken as they are stored, since most labelling tools and the makers of COCO's
    labels did the same. Some tools follow the EXIF mark "turn me" of cameras instead: the file is
    turned where only then it has the size that the label says.

    Args:
        path: the file.
        size: height, width that its label says, where it does.

    Raises:
        DataError: The file is missing, cut off, no image, too large to be warped, or of another
            size.
    """
    content = _read(path)
    stored = _decode(content, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    if stored is None:
        raise DataError(f"{path}: not an image that OpenCV can read")
    if max(stored.shape) > LARGEST_SIDE:
        raise DataError(
            f"{path}: the image is {stored.shape[1]}x{stored.shape[0]} pixels, but no side may "
            f"exceed {LARGEST_SIDE}: cut it into several, each with its own label"
        )
    if size is None or stored.shape[:2] == size:
        return stored
    turned = _decode(content, cv2.IMREAD_COLOR)
    if turned is not None and turned.shape[:2] == size:
        return turned
    raise DataError(
        f"{path}: the image is {stored.shape[1]}x{stored.shape[0]} pixels, but its label says "
        f"{size[1]}x{size[0]}: the label belongs to another image, or the image was resized"
    )


def images_in(folder: Path, first: str = ".jpg") -> dict[str, Path]:
    """The image files of a folder by their names without ending; its case does not matter.

    Args:
        folder: the folder; one that cannot be read has no images.
        first: ending of the file that counts where several have one name.
    """
    found: dict[str, Path] = {}
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries if entry.is_file())
    except OSError:
        return {}
    for path in (folder / name for name in names):
        suffix = path.suffix.lower()
        if suffix in IMAGE_SUFFIXES and (suffix == first or path.stem not in found):
            found[path.stem] = path
    return found


def find_images(paths: Sequence[Path], first: str = ".jpg") -> list[Path]:
    """The image files of paths without ending, see `images_in`; `name.*` where there is none.

    Each folder is listed once, as asking for every possible ending takes long on a network's disk.
    """
    found = {folder: images_in(folder, first) for folder in {path.parent for path in paths}}
    return [found[path.parent].get(path.name, Path(f"{path}.*")) for path in paths]


def no_image(path: Path) -> str:
    """What is told of an image file that is not there."""
    return f"no image {path.name} in {path.parent}"


def orientation(path: Path) -> int:
    """EXIF's orientation of a JPEG: 1 upright as stored (also without a mark), 2 to 8 otherwise."""
    content = path.read_bytes()[:_TAIL]
    start = content.find(b"Exif\0\0")
    if not content.startswith(_JPEG_START) or start < 0:
        return 1
    tiff = content[start + 6 :]
    order = "little" if tiff[:2] == b"II" else "big"

    def number(position: int, length: int) -> int:
        return int.from_bytes(tiff[position : position + length], order)  # type: ignore[arg-type]

    directory = number(4, 4)
    for entry in range(number(directory, 2)):
        position = directory + 2 + 12 * entry
        if number(position, 2) == 0x0112:
            value = number(position + 8, 2)
            return value if 1 <= value <= 8 else 1
    return 1


def _read(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from None
    # OpenCV fills the missing part of an image with grey and says nothing.
    cut_png = content.startswith(_PNG_START) and _PNG_END not in content[-_TAIL:]
    if cut_png or is_cut_jpeg(content):
        raise DataError(f"{path}: the file is cut off after {len(content)} bytes")
    return content


def _decode(content: bytes, flags: int) -> NDArray[np.uint8] | None:
    if not content:
        return None
    try:
        image = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    except cv2.error:
        # The file declares more than the 2^30 pixels that OpenCV allows.
        return None
    return None if image is None else np.asarray(image, dtype=np.uint8)
