"""From a pixel, a depth and an observation angle to a place and a yaw, and back."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from centernet_ros.structures import CameraIntrinsics, View
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


def focal_ratio(view: View, training_focal_length: float) -> float:
    """How many times the focal length on the network's input is that of the training.

    A network sees sizes in pixels: with twice the focal length of its training everything seems
    half as far as it is.

    Args:
        view: of an image with a camera.
        training_focal_length: in pixels of the network's input.
    """
    assert view.camera is not None
    focal = view.camera.projection[0, 0] * view.to_input[0, 0].abs()
    return float(focal) / training_focal_length


CORNERS = np.array(
    [
        [0.5, 0.5, 0.5, 0.5, -0.5, -0.5, -0.5, -0.5],
        [0.5, -0.5, -0.5, 0.5, 0.5, -0.5, -0.5, 0.5],
        [0.5, 0.5, -0.5, -0.5, 0.5, 0.5, -0.5, -0.5],
    ]
)
"""Of a box of size 1 about its centre: down, aside and along, ordered as by `Detections3D`."""

FIT_STEPS = 20
"""A step halves the error, at least, where one side of a box is seen."""

MIN_DEPTH = 0.1
"""Corners nearer than this, in metres, are projected as if they were this far away."""


def visible_region(view: View) -> Tensor:
    """The part of the image that 2D boxes are cut off at: x1, y1, x2, y2 in pixels, (4,) float64.

    It is what lies both in the image, to the middles of its outermost pixels as in KITTI's labels,
    and on the grid, to its outermost cells as in `heatmap.place`.
    """
    height, width = view.grid_size
    cells = torch.tensor([[0, 0], [width - 1, height - 1]], dtype=torch.float64)
    low, high = view.to_image(cells).sort(dim=0).values.unbind()
    limit = torch.tensor([view.image_size[1] - 1, view.image_size[0] - 1])
    return torch.cat([low.clamp(min=0), high.minimum(limit)])


def fit_centres(
    camera: CameraIntrinsics,
    middles: Tensor,
    depths: Tensor,
    dimensions: Tensor,
    alphas: Tensor,
    *,
    visible: Tensor,
) -> Tensor:
    """Pixels (N, 2) where the centres of 3D boxes appear, given the middles of their 2D boxes.

    The middle of a 2D box is not where the 3D box's centre appears: the near end takes more room
    than the far end, and boxes are cut off where the network sees no more. The centre is moved
    until the projected 3D box, cut off likewise, has the given middle. Where it cannot be found, as
    both sides are cut off, the middle stays.

    Args:
        camera: the camera of the image.
        middles: (N, 2) middles of the 2D boxes in pixels.
        depths: (N,) homogeneous coordinate of the centres in metres, z + P[2, 3].
        dimensions: (N, 3) height, width, length in metres.
        alphas: (N,) observation angles in radians.
        visible: (4,) where 2D boxes are cut off, see `visible_region`.
    """
    # NumPy: of a hundred boxes each step of PyTorch would be four times as long, most of it calls.
    projection = camera.projection.numpy()
    focal, shift = projection[[0, 1], [0, 1]], projection[:2, 3]
    left_top, right_bottom = visible.numpy().reshape(2, 2)
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
            edges = np.stack([pixels.min(axis=1), pixels.max(axis=1)])
            miss = middle - edges.clip(left_top, right_bottom).mean(axis=0)
            centre += miss
        return torch.from_numpy(np.where(np.abs(miss) < 1, centre, middle))
