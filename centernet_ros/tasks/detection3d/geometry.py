"""From a pixel, a depth and an observation angle to a place and a yaw, and back."""

from __future__ import annotations

import torch
from torch import Tensor

from centernet_ros.structures import CameraIntrinsics
from centernet_ros.tasks.detection3d.angle import wrap


def ray_angles(camera: CameraIntrinsics, columns: Tensor) -> Tensor:
    """Angles (...) in radians between the optical axis and the rays of pixel columns (...)."""
    projection = camera.projection.to(columns.device)
    return torch.atan2(columns.double() - projection[0, 2], projection[0, 0])


def alpha_to_yaw(camera: CameraIntrinsics, alphas: Tensor, columns: Tensor) -> Tensor:
    """Yaws (...), in [-pi, pi], of objects seen at these angles in these pixel columns."""
    return wrap(alphas.double() + ray_angles(camera, columns))


def yaw_to_alpha(camera: CameraIntrinsics, yaws: Tensor, columns: Tensor) -> Tensor:
    """Angles (...), in [-pi, pi], at which the pixel columns show objects of these yaws."""
    return wrap(yaws.double() - ray_angles(camera, columns))


def locate(camera: CameraIntrinsics, pixels: Tensor, depths: Tensor, heights: Tensor) -> Tensor:
    """Centres (..., 3) of bottom faces, in metres of the optical frame.

    Args:
        camera: the camera of the image.
        pixels: (..., 2) where the boxes' geometric centres appear.
        depths: (...) homogeneous coordinate of those pixels in metres, z + P[2, 3].
        heights: (...) of the boxes in metres.
    """
    down = torch.zeros_like(heights, dtype=torch.float64)
    offset = torch.stack([down, heights.double() / 2, down], dim=-1)
    return camera.unproject(pixels, depths) + offset
