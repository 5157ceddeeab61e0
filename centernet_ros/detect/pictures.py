"""Pictures of results: the annotated image, with a map beside it where there are 3D boxes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2

from centernet_ros.bag import SourceError
from centernet_ros.birdseye import beside, draw_birdseye
from centernet_ros.detect.frames import Frame
from centernet_ros.detect.records import Record, above
from centernet_ros.drawing import draw_results
from centernet_ros.film import Film
from centernet_ros.image import Image
from centernet_ros.structures import Detections2D, Detections3D

SUFFIXES = (".jpg", ".jpeg", ".png")
"""Kinds of files that a picture may keep; all others become JPEG."""


def picture_of(frame: Frame, results: Detections2D, class_names: Sequence[str]) -> Image:
    """The annotated image of a frame."""
    picture = draw_results(frame.image, results, class_names, frame.camera)
    if isinstance(results, Detections3D):
        height = frame.image.shape[0]
        birdseye = draw_birdseye(results, class_names, height=height, camera=frame.camera)
        picture = beside(picture, birdseye)
    return picture


def painter(
    class_names: Sequence[str], threshold: float, pictures: Path | None, film: Film | None
) -> Callable[[Frame, Record], None] | None:
    """A function that draws the results of an image; None where nobody wants to see them.

    Args:
        class_names: name of each label.
        threshold: least score of a drawn result.
        pictures: folder for the pictures.
        film: takes the pictures one after the other.
    """
    if pictures is None and film is None:
        return None

    def show(frame: Frame, record: Record) -> None:
        picture = picture_of(frame, above(record.results, threshold), class_names)
        if pictures is not None:
            write_picture(pictures, frame.name, picture)
        if film is not None:
            film.add(picture)

    return show


def picture_path(folder: Path, name: str) -> Path:
    """The file of the picture of an image."""
    path = folder / name
    return path if path.suffix.lower() in SUFFIXES else path.with_name(f"{path.name}.jpg")


def check_picture_names(names: Sequence[str]) -> None:
    """Refuse images whose pictures would be one file.

    Raises:
        SourceError: Two images share one.
    """
    seen: dict[Path, str] = {}
    for name in names:
        path = picture_path(Path(), name)
        other = seen.setdefault(path, name)
        if other != name:
            raise SourceError(
                f"{other} and {name} would share the picture {path}: rename one, or give "
                "--no-pictures"
            )


def write_picture(folder: Path, name: str, picture: Image) -> None:
    """Write a picture under the name of its image.

    Raises:
        OSError: The file cannot be written.
    """
    path = picture_path(folder, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    # OpenCV says no more than that it failed.
    if not cv2.imwrite(str(path), picture):
        raise OSError(f"picture {path} cannot be written")
