"""Colours and crops of training images against the authors' numbers."""

import cv2
import numpy as np
import pytest

from training.colour import OPERATIONS, colour_matrix, mean_grey
from training.crop import border_of

NUMBERS = "targets/primitives.npz"
PREFIX = "color_aug/order_"


def test_borders(reference):
    rows = reference.npz(NUMBERS)["get_border"].tolist()
    assert rows
    for border, size, expected in rows:
        assert border_of(size, border) == expected


def test_colours(reference):
    """In every order of the three operations, with the random numbers that the authors drew."""
    numbers = {k: v for k, v in reference.npz(NUMBERS).items() if k.startswith(PREFIX)}
    assert len(numbers) == 6
    seed = reference.seeds["targets"]
    image = reference.formulas.blocks_image(seed + 41, 24, 32).astype(np.float32) / 255
    sample = reference.formulas.sample_index(seed + 42, image.size, 60)
    for key, expected in numbers.items():
        order = [OPERATIONS[int(digit)] for digit in key.removeprefix(PREFIX)]
        matrix = colour_matrix(mean_grey(image), reference.formulas.R(123), order)
        changed = cv2.transform(image, matrix)
        assert changed.ravel()[sample] == pytest.approx(expected, rel=1e-5, abs=1e-5), key
