"""What a camera_info tells about the image that came with it, or why it tells nothing."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from centernet_ros.structures import CameraIntrinsics

NO_DISTORTION = 1e-9
"""Distortion coefficients up to this are taken for none."""

LARGEST = 1e9
"""Numbers beyond belong to no camera, and places computed with them would be infinite."""

MOST_COEFFICIENTS = 14
"""Of the longest model of a lens that there is."""

IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


class CalibrationError(ValueError):
    """A calibration that tells no place in space; the message says why and what to do."""


@dataclass(frozen=True)
class Calibration:
    """The numbers of a sensor_msgs/CameraInfo, whose definition says more about each.

    Attributes:
        width: of the camera's full image in pixels.
        height: of the camera's full image in pixels.
        k: (9) camera matrix of the raw image, row by row.
        p: (12) projection of the rectified image, row by row.
        d: distortion coefficients of the raw image.
        distortion_model: what these coefficients mean.
        r: (9) rotation from the raw to the rectified camera, row by row.
        binning: full pixels per pixel of the image, x and y; 0 and 1 both mean none.
        roi: x, y, width, height of the image within the full one, in full pixels; all 0 for all.
    """

    width: int
    height: int
    k: tuple[float, ...]
    p: tuple[float, ...]
    d: tuple[float, ...] = ()
    distortion_model: str = "plumb_bob"
    r: tuple[float, ...] = IDENTITY
    binning: tuple[int, int] = (0, 0)
    roi: tuple[int, int, int, int] = (0, 0, 0, 0)

    def __post_init__(self) -> None:
        if len(self.d) > MOST_COEFFICIENTS:
            raise CalibrationError(
                f"D has {len(self.d)} numbers, expected {MOST_COEFFICIENTS} at most"
            )
        for name, length in (("k", 9), ("p", 12), ("r", 9)):
            if len(getattr(self, name)) != length:
                raise CalibrationError(
                    f"{name.upper()} has {len(getattr(self, name))} numbers, expected {length}"
                )

    @property
    def distorted(self) -> bool:
        """Whether the raw image differs from the rectified one by its lens."""
        # The coefficients of this model say how a fisheye lens differs from the ideal fisheye.
        if self.distortion_model == "equidistant" and len(self.d) == 4:
            return True
        return any(abs(value) > NO_DISTORTION for value in self.d)

    @property
    def image_size(self) -> tuple[int, int]:
        """Height, width in pixels of the images that belong to this calibration."""
        _, _, width, height = self.roi
        if width == 0 or height == 0:
            width, height = self.width, self.height
        return height // max(1, self.binning[1]), width // max(1, self.binning[0])


def calibration_of(info: Any) -> Calibration:
    """The numbers of a sensor_msgs/CameraInfo, whoever deserialised it."""
    return Calibration(
        width=info.width,
        height=info.height,
        k=tuple(map(float, info.k)),
        p=tuple(map(float, info.p)),
        d=tuple(map(float, info.d)),
        distortion_model=info.distortion_model,
        r=tuple(map(float, info.r)),
        binning=(info.binning_x, info.binning_y),
        roi=(info.roi.x_offset, info.roi.y_offset, info.roi.width, info.roi.height),
    )


@lru_cache(maxsize=32)
def intrinsics_of(
    calibration: Calibration, image_size: tuple[int, int], *, rescale: bool = False
) -> CameraIntrinsics:
    """Intrinsics of a rectified image.

    P counts; K stands in where P is not set and the lens does not distort.

    Args:
        calibration: of the camera.
        image_size: height, width in pixels of the image at hand.
        rescale: whether the image may be a resized one: of another size, but of the same shape.

    Raises:
        CalibrationError: The camera is not calibrated, or the image is not the calibrated one.
    """
    check(calibration)
    rows = _rectified_projection(calibration)
    return to_image_size(_to_window(rows, calibration), calibration, image_size, rescale=rescale)


def check(calibration: Calibration) -> None:
    """Refuse what is no calibration.

    Raises:
        CalibrationError: K[0] is 0, the mark of an uncalibrated camera, or there is no sense in
            its numbers.
    """
    for name in ("k", "p", "d", "r"):
        for value in getattr(calibration, name):
            if not math.isfinite(value):
                raise CalibrationError(
                    f"the camera's {name.upper()} holds a number that is not finite"
                )
            if abs(value) > LARGEST:
                raise CalibrationError(
                    f"the camera's {name.upper()} holds {value:g}: no camera has such numbers"
                )
    if calibration.k[0] == 0:
        raise CalibrationError("the camera is not calibrated: K[0] is 0")
    if calibration.k[0] < 0 or calibration.k[4] <= 0:
        raise CalibrationError(
            f"the camera's focal lengths {calibration.k[0]:g} and {calibration.k[4]:g} in K are "
            "not positive"
        )
    x, y, width, height = calibration.roi
    beyond = x + width > calibration.width or y + height > calibration.height
    if any(calibration.roi) and (beyond or not width or not height):
        raise CalibrationError(
            f"the camera's ROI of {width}x{height} pixels at {x}, {y} is no part of its "
            f"{calibration.width}x{calibration.height} pixels"
        )


def check_pinhole(rows: Tensor, name: str) -> None:
    """Refuse what is no projection of a rectified pinhole camera.

    Args:
        rows: K (3, 3) or P (3, 4), float64.
        name: of the two.

    Raises:
        CalibrationError: Its focal lengths are none, or it does more than scale and shift.
    """
    focal = rows[0, 0], rows[1, 1]
    if min(focal) <= 0:
        raise CalibrationError(
            f"the camera's focal lengths {focal[0]:g} and {focal[1]:g} in {name} are not positive"
        )
    if min(focal) < 1:
        raise CalibrationError(
            f"the camera's focal lengths {focal[0]:g} and {focal[1]:g} in {name} are less than a "
            "pixel: they seem to be in another unit"
        )
    pinhole = torch.diag(torch.stack([*focal, torch.ones_like(focal[0])]))
    pinhole[:2, 2] = rows[:2, 2]
    if not torch.allclose(rows[:, :3], pinhole, rtol=0, atol=1e-6):
        raise CalibrationError(f"the camera's {name} is skewed, or its last row is not 0, 0, 1")


def _rectified_projection(calibration: Calibration) -> Tensor:
    """Projection (3, 4) of the full rectified image."""
    if calibration.p[0] != 0:
        rows = torch.tensor(calibration.p, dtype=torch.float64).view(3, 4)
        name = "P"
    elif calibration.distorted:
        raise CalibrationError(
            "the camera's P is not set and its lens distorts: rectify the images (image_proc), or "
            "set undistort if they are raw (detect: --undistort)"
        )
    else:
        rows = _raw_projection(calibration)
        name = "K"
    check_pinhole(rows, name)
    return rows


def _to_window(rows: Tensor, calibration: Calibration) -> Tensor:
    """Rows (3, n) that project to the full image, as rows that project to the window of it.

    Pixels are shifted and then divided, as image_geometry does.
    """
    x, y, _, _ = calibration.roi
    binning_x, binning_y = (max(1, value) for value in calibration.binning)
    to_window = torch.tensor(
        [[1 / binning_x, 0, -x / binning_x], [0, 1 / binning_y, -y / binning_y], [0, 0, 1]],
        dtype=torch.float64,
    )
    return to_window @ rows


def camera_matrix(
    calibration: Calibration, image_size: tuple[int, int], *, rescale: bool = False
) -> Tensor:
    """K (3, 3) of the raw image at hand, float64; arguments as those of `intrinsics_of`.

    Raises:
        CalibrationError: It does more than scale and shift, or the image is not the calibrated one.
    """
    rows = _raw_projection(calibration)
    check_pinhole(rows, "K")
    rows = _to_window(rows, calibration)
    return to_image_size(rows, calibration, image_size, rescale=rescale).projection[:, :3]


def _raw_projection(calibration: Calibration) -> Tensor:
    """K and a column of zeros, (3, 4)."""
    k = torch.tensor(calibration.k, dtype=torch.float64).view(3, 3)
    return torch.cat([k, torch.zeros(3, 1, dtype=torch.float64)], dim=1)


def to_image_size(
    rows: Tensor, calibration: Calibration, image_size: tuple[int, int], *, rescale: bool = False
) -> CameraIntrinsics:
    """Intrinsics of a projection (3, 4) to the calibrated image, for the image at hand.

    Raises:
        CalibrationError: The image is not the calibrated one.
    """
    (height, width), (full_height, full_width) = image_size, calibration.image_size
    if image_size == calibration.image_size:
        return CameraIntrinsics(rows, image_size)
    sizes = f"the camera is calibrated for {full_width}x{full_height} pixels, its image has "
    sizes += f"{width}x{height}"
    if min(full_width, full_height) <= 0:
        raise CalibrationError(sizes)
    scale_x, scale_y = width / full_width, height / full_height
    # A side of a resized image is rounded to whole pixels.
    same_shape = abs(scale_x * full_height - height) <= 1 or abs(scale_y * full_width - width) <= 1
    if not same_shape:
        raise CalibrationError(sizes)
    if not rescale:
        raise CalibrationError(
            f"{sizes}: set rescale_calibration if it is the whole image resized (detect: --rescale)"
        )
    # Pixels are areas: the middle of the first one lies half a pixel from the image's edge.
    resize = torch.tensor(
        [[scale_x, 0, (scale_x - 1) / 2], [0, scale_y, (scale_y - 1) / 2], [0, 0, 1]],
        dtype=torch.float64,
    )
    return CameraIntrinsics(resize @ rows, image_size)
