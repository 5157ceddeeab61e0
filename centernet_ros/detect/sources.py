"""Opens what the user names: image files, folders, videos, bags, KITTI's object data set."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np

from centernet_ros.bag import SourceError
from centernet_ros.calibration import CalibrationError
from centernet_ros.detect.cameras import Look, projecting
from centernet_ros.detect.frames import NEEDS_CAMERA, Frame, Source, Unusable, frame_of
from centernet_ros.detect.recordings import open_bag_source, open_video
from centernet_ros.encodings import IMAGE_SUFFIXES, ImageError, file_to_bgr
from centernet_ros.image import Image
from centernet_ros.kitti import read_projection
from centernet_ros.kitti_bag.folder import find_data_folder, find_list, read_list

BAG_SUFFIXES = (".db3", ".mcap")


def open_source(
    paths: Sequence[Path],
    *,
    needs_camera: bool,
    look: Look | None = None,
    topic: str | None = None,
    chosen: str | None = None,
    undistort: bool = False,
    rescale: bool = False,
    sizes: Mapping[str, tuple[int, int]] = MappingProxyType({}),
) -> Source:
    """The images that one path, or several image files, stand for.

    Args:
        paths: an image, a video, a folder of images, a rosbag2 folder, a KITTI object folder (with
            `image_2`, or with `training` that has it), or several images.
        needs_camera: whether every image has to come with its camera.
        look: the camera of all images, instead of what the source itself tells.
        topic: image topic of a bag; by default the first one.
        chosen: list of the images of a folder to take, see `find_list`; by default all.
        undistort: rectify the images of a bag by its CameraInfo; others' are by their `look`.
        rescale: take the images of a bag for resized ones, see `read_camera`.
        sizes: height, width that labels say of images, by file name.

    Raises:
        SourceError: There is nothing to read, or no calibration where one is needed.
    """
    for path in paths:
        if not path.exists():
            raise SourceError(f"source {path} does not exist")
    path, needs_camera = paths[0], needs_camera or undistort
    is_bag = len(paths) == 1 and _is_bag(path)
    if chosen is not None and (is_bag or len(paths) > 1 or not path.is_dir()):
        raise SourceError(f"--list chooses images of a folder, but {_text(paths)} is none")
    if topic is not None and not is_bag:
        raise SourceError(f"--topic chooses a topic of a bag, but {path} is none")
    if is_bag:
        return open_bag_source(
            path,
            topic,
            needs_camera=needs_camera,
            look=look,
            undistort=undistort,
            rescale=rescale,
        )
    kitti = find_data_folder(path) if len(paths) == 1 else None
    list_file = None if chosen is None else find_list(path, chosen)
    if kitti is not None:
        if undistort and look is None:
            raise SourceError("KITTI's images are rectified: leave --undistort out")
        return _kitti(kitti, list_file, needs_camera=needs_camera, look=look, sizes=sizes)
    if needs_camera and look is None:
        raise SourceError(NEEDS_CAMERA.format(what=f"{path} has none"))
    return _without_cameras(paths, list_file, look, sizes)


def _without_cameras(
    paths: Sequence[Path],
    list_file: Path | None,
    look: Look | None,
    sizes: Mapping[str, tuple[int, int]],
) -> Source:
    """A folder of images, image files or a video, which tell nothing of their cameras."""
    path = paths[0]
    if len(paths) == 1 and path.is_dir():
        files = _images_in(path, list_file)
        names = [file.name for file in files]
        return _files(
            files, names, f"folder {path}", lambda _: look, sizes, others=_given(list_file)
        )
    if all(_is_image(path) for path in paths):
        return _files(paths, _short_names(paths), _text(paths), lambda _: look, sizes)
    if len(paths) == 1:
        return open_video(path, look)
    stranger = next(path for path in paths if not _is_image(path))
    raise SourceError(f"several sources must be image files, but {stranger} is none")


def _is_image(path: Path) -> bool:
    return path.is_file() and path.suffix.lower() in IMAGE_SUFFIXES


def _is_bag(path: Path) -> bool:
    """Whether this is a bag, or is meant to be one."""
    if path.is_dir():
        inside = (file.suffix for file in path.iterdir())
        return (path / "metadata.yaml").is_file() or any(s in BAG_SUFFIXES for s in inside)
    return path.suffix in BAG_SUFFIXES


def _images_in(folder: Path, list_file: Path | None) -> list[Path]:
    """The images of a folder, or those in a list by their names, with or without suffix.

    Raises:
        SourceError: There is none, or a listed one is missing.
    """
    files = sorted(path for path in folder.iterdir() if _is_image(path))
    if not files:
        folders = sorted(path.name for path in folder.iterdir() if path.is_dir())
        hint = f"; it has the folders {', '.join(folders[:10])}" if folders else ""
        raise SourceError(
            f"folder {folder} holds no image ({', '.join(IMAGE_SUFFIXES)}), no bag "
            f"(metadata.yaml) and no KITTI data (image_2){hint}"
        )
    if list_file is None:
        return files
    # Of two files with the same stem the PNG counts, as in training, and a whole name more.
    files.sort(key=lambda file: file.suffix.lower() == ".png")
    found = {**{file.stem: file for file in files}, **{file.name: file for file in files}}
    names = read_list(list_file)
    missing = [name for name in names if name not in found]
    if missing:
        raise SourceError(
            f"list {list_file}: {folder} holds no image {missing[0]} ({len(missing)} of "
            f"{len(names)} are missing)"
        )
    return list(dict.fromkeys(found[name] for name in names))


def _given(file: Path | None) -> list[Path]:
    return [] if file is None else [file]


def _short_names(paths: Sequence[Path]) -> list[str]:
    """Names of files, with as much of their paths as tells them apart."""
    names = [path.name for path in paths]
    if len(set(names)) == len(names):
        return names
    absolute = [Path(os.path.abspath(path)) for path in paths]  # without any ".."
    if len(set(absolute)) < len(absolute):
        double = next(path for path in absolute if absolute.count(path) > 1)
        raise SourceError(f"image {double} is given twice")
    common = Path(os.path.commonpath(absolute))
    return [path.relative_to(common).as_posix() for path in absolute]


def _text(paths: Sequence[Path]) -> str:
    return str(paths[0]) if len(paths) == 1 else f"{len(paths)} images"


def _kitti(
    folder: Path,
    list_file: Path | None,
    *,
    needs_camera: bool,
    look: Look | None,
    sizes: Mapping[str, tuple[int, int]],
) -> Source:
    """KITTI's object data set, each image with its own P2."""
    calib = folder / "calib"

    def calib_of(image: Path) -> Path:
        return calib / f"{image.stem}.txt"

    def look_of(image: Path) -> Look | None:
        if look is not None or not needs_camera:
            return look
        path = calib_of(image)
        try:
            return projecting(read_projection(path.read_text()))
        except (OSError, UnicodeDecodeError, ValueError) as error:
            raise CalibrationError(f"calibration {path}: {error}") from None

    if needs_camera and look is None and not calib.is_dir():
        raise SourceError(NEEDS_CAMERA.format(what=f"{calib} does not exist"))
    files = _images_in(folder / "image_2", list_file)
    names = [file.name for file in files]
    others = [*_given(list_file), *map(calib_of, files)]
    return _files(files, names, f"KITTI folder {folder}", look_of, sizes, others=others)


def _files(
    files: Sequence[Path],
    names: Sequence[str],
    description: str,
    look_of: Callable[[Path], Look | None],
    sizes: Mapping[str, tuple[int, int]],
    *,
    others: Sequence[Path] = (),
) -> Source:
    """Image files, each with the camera that `look_of` finds for it, and what else is read."""

    def read() -> Iterator[Frame | Unusable]:
        for file, name in zip(files, names, strict=True):
            try:
                image = _photograph(file, sizes.get(name, sizes.get(file.name)))
                yield frame_of(name, image, look_of(file))
            except (OSError, ImageError, CalibrationError) as error:
                yield Unusable(name, str(error))

    return Source(description, names, len(files), None, read, [*files, *others])


def _photograph(file: Path, size: tuple[int, int] | None) -> Image:
    """A picture as people see it; cameras of robots do not turn theirs.

    As in training it stays as it was taken where only then it has the size that its label says.

    Raises:
        OSError: The file cannot be read.
        ImageError: It holds no picture.
    """
    data = np.fromfile(file, np.uint8)
    image = file_to_bgr(data, file.name, turn=True)
    if size in (None, image.shape[:2]):
        return image
    stored = file_to_bgr(data, file.name)
    return stored if stored.shape[:2] == size else image
