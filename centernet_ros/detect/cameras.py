"""Cameras of images: from KITTI's calib files, and from the YAML files of ROS and OpenCV."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import yaml
from torch import Tensor

from centernet_ros.calibration import IDENTITY, Calibration, CalibrationError, intrinsics_of
from centernet_ros.image import Image
from centernet_ros.kitti import read_projection
from centernet_ros.rectification import Rectification
from centernet_ros.structures import CameraIntrinsics

Look = Callable[[Image], tuple[Image, CameraIntrinsics]]
"""An image as a pinhole camera sees it, and that camera; a `CalibrationError` where the image does
not fit the calibration."""

FILE_KEYS = (
    *("image_width", "image_height", "camera_matrix", "projection_matrix"),
    *("distortion_coefficients", "rectification_matrix"),
)
"""Width, height, K, P, D and R as camera_calibration calls them, and OpenCV those that it has."""

MESSAGE_KEYS = ("width", "height", "k", "p", "d", "r")
"""The same in a shown camera_info."""

OPENCV = "%YAML:1.0"
"""First line of OpenCV's files, which are no YAML only by this line and the type of a matrix."""

NOT_SET = (0.0,) * 12
"""P where only K and D are known."""


def read_camera(path: Path, *, undistort: bool = False, rescale: bool = False) -> Look:
    """The camera that a file describes.

    Args:
        path: a calib file of KITTI's object data set, or a YAML file as ROS's camera_calibration
            or OpenCV's calibration writes it, or as `ros2 topic echo --once` shows a camera_info.
        undistort: take the images for raw ones, and rectify them; needs a YAML file.
        rescale: take an image of another size than the calibrated one, but of the same shape, for
            the whole image resized; without, it does not fit.

    Raises:
        CalibrationError: The file cannot be used; the message names it.
    """
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise CalibrationError(f"calibration {path} cannot be read: {error}") from None
    try:
        if any(line.startswith("P2:") for line in text.splitlines()):
            if undistort:
                raise CalibrationError("KITTI's images are rectified: leave --undistort out")
            if rescale:
                raise CalibrationError("P2 takes images of any size: leave --rescale out")
            return projecting(read_projection(text))
        return look_through(_parse_yaml(text), undistort=undistort, rescale=rescale)
    except ValueError as error:
        raise CalibrationError(f"calibration {path}: {error}") from None


def projecting(projection: Tensor) -> Look:
    """A camera without distortion that takes images of any size, (3, 4) as KITTI's P2.

    Raises:
        ValueError: No camera has such numbers.
    """
    CameraIntrinsics(projection, (1, 1))  # says now what is wrong with the projection itself

    def look(image: Image) -> tuple[Image, CameraIntrinsics]:
        return image, CameraIntrinsics(projection, (image.shape[0], image.shape[1]))

    return look


@lru_cache(maxsize=32)
def look_through(
    calibration: Calibration, *, undistort: bool = False, rescale: bool = False
) -> Look:
    """A camera whose images are rectified already, or shall be (`undistort`); see `read_camera`.

    Raises:
        CalibrationError: The calibration fits no image.
    """

    @cache
    def rectification(image_size: tuple[int, int]) -> Rectification:
        return Rectification(calibration, image_size, rescale=rescale)

    def look(image: Image) -> tuple[Image, CameraIntrinsics]:
        size = image.shape[0], image.shape[1]
        if not undistort:
            return image, intrinsics_of(calibration, size, rescale=rescale)
        return rectification(size).apply(image), rectification(size).camera

    # Says now what is wrong with the calibration itself.
    if undistort:
        rectification(calibration.image_size)
    else:
        intrinsics_of(calibration, calibration.image_size)
    return look


def _parse_yaml(text: str) -> Calibration:
    """A calibration in either form of ROS, or in OpenCV's.

    Raises:
        ValueError: It is in none; the message names the key.
    """
    of_opencv = text.startswith(OPENCV)
    if of_opencv:
        text = text.removeprefix(OPENCV).replace("!!opencv-matrix", "")
    try:
        content = next(iter(yaml.safe_load_all(text)), None)
    except yaml.YAMLError as error:
        raise ValueError(f"it is no YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, Mapping):
        raise ValueError("it is neither a KITTI calib file (no P2) nor a camera_info in YAML")
    width, height, k, p, d, r = FILE_KEYS if "image_width" in content else MESSAGE_KEYS
    coefficients = _numbers(content, d, None, default=())
    return Calibration(
        width=_whole(content, width),
        height=_whole(content, height),
        k=_numbers(content, k, 9),
        p=_numbers(content, p, 12, default=NOT_SET if of_opencv else None),
        d=coefficients,
        distortion_model=_model(content, coefficients),
        r=_numbers(content, r, 9, default=IDENTITY),
        **_window(content),
    )


def _model(content: Mapping[str, Any], d: Sequence[float]) -> str:
    """What the distortion coefficients mean, also where the file does not tell it, as OpenCV's."""
    model = "plumb_bob" if len(d) <= 5 else "rational_polynomial"
    if content.get("fisheye_model"):
        model = "equidistant"
    return str(content.get("distortion_model", model))


def _window(content: Mapping[str, Any]) -> dict[str, Any]:
    """Binning and region of interest, which the files of camera_calibration do not have."""
    roi = content.get("roi") or {}
    sides = ("x_offset", "y_offset", "width", "height")
    if not isinstance(roi, Mapping):
        raise ValueError(f"key 'roi' holds {roi!r}, expected {', '.join(sides)}")
    of_roi = {f"roi.{side}": roi.get(side) for side in sides}
    return {
        "binning": tuple(_whole(content, f"binning_{axis}", default=0) for axis in "xy"),
        "roi": tuple(_whole(of_roi, key, default=0) for key in of_roi),
    }


def _whole(content: Mapping[str, Any], key: str, default: int | None = None) -> int:
    """The whole number under a key.

    Raises:
        ValueError: There is no such key, or something else under it.
    """
    (number,) = _numbers(content, key, 1, default=None if default is None else (float(default),))
    if not number.is_integer():
        raise ValueError(f"key {key!r} holds {number:g}, expected a whole number")
    return int(number)


def _numbers(
    content: Mapping[str, Any],
    key: str,
    count: int | None,
    default: tuple[float, ...] | None = None,
) -> tuple[float, ...]:
    """The numbers under a key: one, a list, or a matrix with `data`.

    Raises:
        ValueError: There is no such key, or something else under it.
    """
    value = content.get(key)
    if isinstance(value, Mapping):
        value = value.get("data")
    if value is None and default is not None:
        return default
    if value is None:
        raise ValueError(f"key {key!r} is missing")
    if not isinstance(value, Sequence) or isinstance(value, str):
        value = [value]
    try:
        numbers = tuple(float(number) for number in value)
    except (TypeError, ValueError):
        raise ValueError(f"key {key!r} holds {value!r}, expected numbers") from None
    if count is not None and len(numbers) != count:
        raise ValueError(f"key {key!r} holds {len(numbers)} numbers, expected {count}")
    return numbers
