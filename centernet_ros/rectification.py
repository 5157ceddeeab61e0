"""Raw images of a distorting lens: to rectified ones, and results back to raw pixels."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from centernet_ros.calibration import (
    Calibration,
    CalibrationError,
    camera_matrix,
    check,
    intrinsics_of,
)
from centernet_ros.image import Image
from centernet_ros.structures import Detections2D, Poses

COEFFICIENTS = {"plumb_bob": (4, 5), "rational_polynomial": (8, 12, 14), "equidistant": (4,)}
"""How many distortion coefficients each model may have."""

Array = NDArray[np.float64]


class Rectification:
    """Undoes the lens distortion of one camera.

    Attributes:
        camera: intrinsics of the rectified image, which has the size of the raw one.
    """

    def __init__(
        self, calibration: Calibration, image_size: tuple[int, int], *, rescale: bool = False
    ) -> None:
        """Compute the maps; arguments as those of `intrinsics_of`.

        Raises:
            CalibrationError: The camera is not calibrated, the model of its distortion is unknown,
                or the image is not the calibrated one.
        """
        check(calibration)
        model, coefficients = calibration.distortion_model, calibration.d
        if calibration.distorted and len(coefficients) not in COEFFICIENTS.get(model, ()):
            raise CalibrationError(
                f"distortion_model {model!r} with {len(coefficients)} coefficients is unknown; "
                f"known: {', '.join(COEFFICIENTS)}"
            )
        # Where P is not set, the rectified camera is the raw one without its distortion.
        rectified = calibration.p if calibration.p[0] else _without_baseline(calibration.k)
        ideal = dataclasses.replace(calibration, d=(), p=rectified)
        self.camera = intrinsics_of(ideal, image_size, rescale=rescale)
        self._fisheye = calibration.distorted and model == "equidistant"
        self._k: Array = camera_matrix(calibration, image_size, rescale=rescale).numpy()
        self._d: Array = np.array(coefficients if calibration.distorted else [0.0] * 4)
        rotation = np.array(calibration.r).reshape(3, 3)
        # Like P, some drivers leave R unset.
        if rotation.any() and not np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-3):
            raise CalibrationError("the camera's R is no rotation")
        self._r: Array = rotation if rotation.any() else np.eye(3)
        self._new_k: Array = self.camera.projection[:, :3].numpy()
        undistort_map = (
            cv2.fisheye.initUndistortRectifyMap if self._fisheye else cv2.initUndistortRectifyMap
        )
        height, width = image_size
        self._maps = undistort_map(
            self._k, self._d, self._r, self._new_k, (width, height), cv2.CV_16SC2
        )

    def apply(self, image: Image) -> Image:
        """The rectified image of a raw one; black where the camera does not see."""
        rectified = cv2.remap(image, *self._maps, interpolation=cv2.INTER_LINEAR)
        return np.asarray(rectified, dtype=np.uint8)

    def to_raw(self, points: Tensor) -> Tensor:
        """Pixels (..., 2) of the rectified image to pixels (..., 2) of the raw one, float64.

        Beyond the image, where polynomials of a lens run wild, distances to its edge are kept.
        """
        height, width = self.camera.image_size
        flat = points.double().reshape(-1, 2)
        inside = flat.maximum(flat.new_zeros(2)).minimum(flat.new_tensor([width - 1, height - 1]))
        homogeneous = torch.cat([inside, torch.ones(len(inside), 1, dtype=torch.float64)], dim=1)
        rays = homogeneous.numpy() @ np.linalg.inv(self._new_k).T @ self._r
        return (torch.from_numpy(self._distort(rays)) + flat - inside).reshape(points.shape)

    def _distort(self, rays: Array) -> Array:
        """Rays (N, 3) of the raw camera to its pixels (N, 2)."""
        if len(rays) == 0:
            return np.zeros((0, 2))
        no_motion = np.zeros(3)
        project = cv2.fisheye.projectPoints if self._fisheye else cv2.projectPoints
        pixels, _ = project(rays.reshape(-1, 1, 3), no_motion, no_motion, self._k, self._d)
        return np.asarray(pixels, dtype=np.float64).reshape(-1, 2)

    def results_to_raw(self, results: Detections2D) -> Detections2D:
        """Results in pixels of the raw image: boxes around the bent boxes, and bent joints."""
        x1, y1, x2, y2 = results.boxes.unbind(dim=1)
        x, y = (x1 + x2) / 2, (y1 + y2) / 2
        xs = torch.stack([x1, x, x2, x1, x2, x1, x, x2], dim=1)
        ys = torch.stack([y1, y1, y1, y, y, y2, y2, y2], dim=1)
        outline = self.to_raw(torch.stack([xs, ys], dim=2))
        low, high = outline.amin(dim=1), outline.amax(dim=1)
        # A negative size, which a network may answer, stays one.
        inverted = torch.stack([x2 < x1, y2 < y1], dim=1)
        boxes = torch.cat(
            [torch.where(inverted, high, low), torch.where(inverted, low, high)], dim=1
        ).float()
        if isinstance(results, Poses):
            keypoints = self.to_raw(results.keypoints).float()
            return dataclasses.replace(results, boxes=boxes, keypoints=keypoints)
        return dataclasses.replace(results, boxes=boxes)


def _without_baseline(k: tuple[float, ...]) -> tuple[float, ...]:
    """P of the same camera as K."""
    return (*k[:3], 0.0, *k[3:6], 0.0, *k[6:], 0.0)
