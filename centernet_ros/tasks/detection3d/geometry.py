"""From a pixel, a depth and an observation angle to a place and a yaw, and back."""

from __future__ import annotations

import numpy as np
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


CORNERS = np.array(
    [
        [0.5, 0.5, 0.5, 0.5, -0.5, -0.5, -0.5, -0.5],
        [0.5, -0.5, -0.5, 0.5, 0.5, -0.5, -0.5, 0.5],
        [0.5, 0.5, -0.5, -0.5, 0.5, 0.5, -0.5, -0.5],
    ]
)
"""Of a box of size 1 about its centre: down, aside and along, ordered as by `Detections3D`."""

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
    # NumPy: of a hundred boxes each step of PyTorch would be four times as long, most of it calls.
    projection = camera.projection.numpy()
    focal, shift = projection[[0, 1], [0, 1]], projection[:2, 3]
    limit = np.array([camera.image_size[1] - 1, camera.image_size[0] - 1])
    middle, depth, size, angle = (
        values.detach().double().numpy() for values in (middles, depths, dimensions, alphas)
    )
    depth = depth[:, None]
    z = depth - projection[2, 3]
    camera_rows = projection.tolist()
    down, aside, along = np.ascontiguousarray((size[:, :, None] * CORNERS).swapaxes(0, 1))
    centre, miss = middle.copy(), np.zeros_like(middle)
    with np.errstate(all="ignore"):  # a depth may be anything
        for _ in range(FIT_STEPS):
            yaw = angle + np.arctan2(centre[:, 0] - projection[0, 2], focal[0])
            cos, sin = np.cos(yaw)[:, None], np.sin(yaw)[:, None]
            place = (centre * depth - shift - projection[:2, 2] * z) / focal
            x = place[:, :1] + along * cos + aside * sin
            y = place[:, 1:] + down
            far = np.maximum(z + aside * cos - along * sin, MIN_DEPTH)
            rows = [a * x + b * y + c * far + d for a, b, c, d in camera_rows]
            pixels = np.stack(rows[:2], axis=-1) / rows[2][..., None]
            low, high = pixels.min(axis=1).clip(0, limit), pixels.max(axis=1).clip(0, limit)
            miss = middle - (low + high) / 2
            centre += miss
        return torch.from_numpy(np.where(np.abs(miss) < 1, centre, middle))
