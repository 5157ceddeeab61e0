"""The authors' random change of colours (CornerNet's augmentation) as one affine map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

OPERATIONS = ("brightness", "contrast", "saturation")

LIGHT_DEVIATIONS = (0.2141788, 0.01817699, 0.00341571)
"""How strongly the colours of natural images vary along each of `LIGHT_DIRECTIONS`."""

LIGHT_DIRECTIONS = (
    (-0.58752847, -0.69563484, 0.41340352),
    (-0.5832747, 0.00994535, -0.81221408),
    (-0.56089297, 0.71832671, 0.41158938),
)
"""Principal components of the colours of natural images, a column each, with the rows blue, green
and red (Krizhevsky et al. 2012; the numbers are CornerNet's)."""

GREY = (0.114, 0.587, 0.299)
"""Shares of blue, green and red in grey (ITU-R BT.601, as in OpenCV)."""

Random = np.random.Generator | np.random.RandomState


def mean_grey(image: NDArray[Any]) -> float:
    """Mean of the grey of an image (H, W, 3), blue first, in the image's own unit."""
    return float(np.dot(cv2.mean(image)[:3], GREY))


def colour_matrix(
    mean: float,
    random: Random,
    order: Sequence[str] = OPERATIONS,
    *,
    variation: float = 0.4,
    light: float = 0.1,
) -> NDArray[np.float64]:
    """Changes of brightness, contrast and saturation in a given order, then of the light.

    Every operation mixes a pixel with its own grey or with a constant, so that all of them together
    are a (3, 4) affine map of blue, green, red in [0, 1]: a picture is gone through once.

    Args:
        mean: the image's mean grey, in [0, 1].
        random: draws a factor for each operation, in that order, and three for the light.
        order: of `OPERATIONS`; the authors shuffle them for every image.
        variation: factors lie in 1 - variation to 1 + variation.
        light: standard deviation of the light's shares, of the colours' natural variation.

    Raises:
        ValueError: The order names an operation that there is not.
    """
    unknown = sorted(set(order) - set(OPERATIONS))
    if unknown:
        raise ValueError(f"unknown colour operation {unknown[0]!r}; known: {', '.join(OPERATIONS)}")
    # Shares of the pixel's own colour, of its grey, and a constant.
    # NOTE: Grey is that of the image before all operations, also for the later ones.
    own, grey, constant = 1.0, 0.0, 0.0
    for operation in order:
        factor = random.uniform(1 - variation, 1 + variation)
        own, grey, constant = own * factor, grey * factor, constant * factor
        if operation == "contrast":
            constant += (1 - factor) * mean
        elif operation == "saturation":
            grey += 1 - factor
    shares = random.normal(0.0, light, 3)
    shift = np.array(LIGHT_DIRECTIONS) @ (np.array(LIGHT_DEVIATIONS) * shares)
    linear = own * np.eye(3) + grey * np.array([GREY] * 3)
    return np.column_stack([linear, constant + shift])
