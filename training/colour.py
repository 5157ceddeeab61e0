"""Colours of training images changed as in the authors' training (CornerNet's augmentation).

Images are (H, W, 3) float32, blue first, in [0, 1] before the change; nothing is clipped after it.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

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


Random = np.random.Generator | np.random.RandomState


def change_colours(
    image: Floats,
    random: Random,
    order: Sequence[str] = OPERATIONS,
    *,
    variation: float = 0.4,
    light: float = 0.1,
) -> Floats:
    """Change brightness, contrast and saturation in a given order, then the light.

    Args:
        image: stays as it is.
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
    # NOTE: Grey is that of the image before all operations, also for the later ones.
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)[..., None]
    targets = {"brightness": 0.0, "contrast": grey.mean(), "saturation": grey}
    for operation in order:
        factor = np.float32(random.uniform(1 - variation, 1 + variation))
        image = image * factor + (1 - factor) * targets[operation]
    shares = random.normal(0.0, light, 3)
    shift = np.array(LIGHT_DIRECTIONS) @ (np.array(LIGHT_DEVIATIONS) * shares)
    return np.asarray(image + shift, np.float32)
