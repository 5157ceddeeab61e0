"""From a pixel, a depth and an observation angle to a place and a yaw, and back."""

from __future__ import annotations

import torch
from torch import Tensor

from centernet_ros.structures import CameraIntrinsics, Detections3D
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


FIT_STEPS = 20
"""A step halves the error, at least, where one side of a box lies in the image."""

MIN_DEPTH = 0.1
"""Corners nearer than this, in metres, are projected as if they were this far away."""


def fit_centres(
    camera: CameraIntrinsics,
    middles: Tensor,
    depths: Tensor,
    dimensions: Tensor,
    alphas: Tensor,
) -> Tensor:
    """Pixels (N, 2) where the centres of 3D boxes appear, given the middles of their 2D boxes.

    The middle of a 2D box is not where the 3D box's centre appears: the near end takes more room
    than the far end, and the image cuts boxes off. The centre is moved until the projected 3D box,
    cut off at the image, has the given middle. Where it cannot be found, as both sides are cut off,
    the middle stays.

    Args:
        camera: the camera of the image.
        middles: (N, 2) middles of the 2D boxes in pixels.
        depths: (N,) homogeneous coordinate of the centres in metres, z + P[2, 3].
        dimensions: (N, 3) height, width, length in metres.
        alphas: (N,) observation angles in radians.
    """
    height, width = camera.image_size
    limit = middles.new_tensor([width - 1, height - 1])
    centres = middles.clone()
    miss = torch.zeros_like(middles)
    for _ in range(FIT_STEPS):
        corners = Detections3D(
            boxes=middles.repeat(1, 2),
            scores=depths,
            labels=depths,
            dimensions=dimensions,
            locations=locate(camera, centres, depths, dimensions[:, 0]),
            yaws=alpha_to_yaw(camera, alphas, centres[:, 0]),
            alphas=alphas,
        ).corners()
        corners[..., 2] = corners[..., 2].clamp(min=MIN_DEPTH)
        pixels = camera.project(corners)
        low, high = pixels.amin(1).clamp(min=0), pixels.amax(1).clamp(min=0)
        miss = middles - (low.minimum(limit) + high.minimum(limit)) / 2
        centres = centres + miss
    return torch.where(miss.abs() < 1, centres, middles)
