"""Which piece of an image is trained on, drawn as the authors' training does it.

A piece is a centre (x, y) in pixels and the width in pixels that fills the network input's width;
`view_of_piece` lays it onto the input.
"""

from __future__ import annotations

import numpy as np
import torch

from centernet_ros.structures import CameraIntrinsics, View

Piece = tuple[tuple[float, float], float]
"""Centre (x, y) and width in pixels of the image."""

SCALES = (0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3)
"""Widths of crops, in terms of the image's longer side."""

BORDER = 128
"""Pixels that centres of crops keep away from the edges of large images."""


def border_of(size: int, border: int = BORDER) -> int:
    """The border, halved until there is room between two of them, in pixels.

    Args:
        size: height or width of the image in pixels, at least 1.
        border: the border of large images.
    """
    while size - border <= border:
        border //= 2
    return border


def random_crop(image_size: tuple[int, int], random: np.random.Generator) -> Piece:
    """A piece about any place of an image of this height and width, for 2D boxes and poses."""
    width = max(image_size) * float(random.choice(SCALES))
    height_border, width_border = (border_of(size) for size in image_size)
    x = random.integers(width_border, image_size[1] - width_border)
    y = random.integers(height_border, image_size[0] - height_border)
    return (float(x), float(y)), width


def random_shift(
    image_size: tuple[int, int],
    width: float,
    random: np.random.Generator,
    *,
    shift: float = 0.1,
    scale: float = 0.4,
) -> Piece:
    """A piece about the middle of an image, moved and scaled by normal deviates, for 3D boxes.

    Args:
        image_size: height, width of the image in pixels.
        width: that of the piece before the change, in pixels.
        random: draws the scale, then the shift along x and y.
        shift: deviation of the centre, as a share of the image's sides; at most twice as much.
        scale: deviation of the width's factor from 1; at most as much.
    """
    factor = float(np.clip(1 + scale * random.standard_normal(), 1 - scale, 1 + scale))
    right, down = np.clip(shift * random.standard_normal(2), -2 * shift, 2 * shift).tolist()
    centre = (image_size[1] * (0.5 + right), image_size[0] * (0.5 + down))
    return centre, width * factor


def view_of_piece(
    image_size: tuple[int, int],
    input_size: tuple[int, int],
    piece: Piece,
    *,
    mirrored: bool = False,
    camera: CameraIntrinsics | None = None,
) -> View:
    """The view whose input shows a piece of an image, undistorted.

    Args:
        image_size: height, width of the image in pixels.
        input_size: height, width of the network input in pixels.
        piece: its centre comes to lie at the middle of the input, and its width fills the input's.
        mirrored: whether left and right are exchanged.
        camera: of the image, where the piece keeps its geometry.
    """
    (x, y), width = piece
    scale = input_size[1] / width
    across = -scale if mirrored else scale
    rows = [
        [across, 0, input_size[1] / 2 - across * x],
        [0, scale, input_size[0] / 2 - scale * y],
    ]
    return View(image_size, input_size, torch.tensor(rows, dtype=torch.float64), camera)
