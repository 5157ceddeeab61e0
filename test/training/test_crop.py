"""Pieces of training images: borders, random places, and their views."""

import numpy as np
import pytest
import torch

from training.crop import border_of, random_crop, random_shift, view_of_piece


@pytest.mark.parametrize(
    ("size", "expected"),
    [(640, 128), (257, 128), (256, 64), (129, 64), (128, 32), (3, 1), (2, 0), (1, 0)],
)
def test_border_leaves_room(size, expected):
    assert border_of(size) == expected
    assert size - 2 * expected > 0


def test_crops_lie_inside_the_borders():
    random = np.random.default_rng(0)
    pieces = [random_crop((300, 500), random) for _ in range(2000)]
    x, y = np.array([centre for centre, _ in pieces]).T
    assert (x.min(), x.max()) == (128, 500 - 128 - 1)
    assert (y.min(), y.max()) == (128, 300 - 128 - 1)
    widths = {round(width / 500, 6) for _, width in pieces}
    assert widths == {0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3}


def test_shifts_are_bounded():
    random = np.random.default_rng(0)
    pieces = [random_shift((300, 500), 400, random) for _ in range(4000)]
    places = np.array([centre for centre, _ in pieces]) / [500, 300] - 0.5
    factors = np.array([width for _, width in pieces]) / 400
    assert abs(places).max() == pytest.approx(0.2)
    assert places.std(axis=0) == pytest.approx([0.1, 0.1], rel=0.1)
    assert (factors.min(), factors.max()) == pytest.approx((0.6, 1.4))
    # Beyond the limit lies a third of the draws.
    assert np.isclose(factors, 0.6).mean() == pytest.approx(0.16, abs=0.03)


def test_no_shift_is_the_whole_image():
    random = np.random.default_rng(0)
    assert random_shift((300, 500), 400, random, shift=0, scale=0) == ((250, 150), 400)


@pytest.mark.parametrize("mirrored", [False, True])
def test_piece_fills_the_width_of_the_input(mirrored):
    view = view_of_piece((300, 500), (128, 256), ((200, 100), 160), mirrored=mirrored)
    assert view.mirrored == mirrored
    points = torch.tensor([[200.0, 100], [120, 100], [280, 100], [200, 60], [200, 140]])
    edges = [256, 0] if mirrored else [0, 256]
    expected = [[128, 64], [edges[0], 64], [edges[1], 64], [128, 0], [128, 128]]
    assert (view.to_grid(points) * 4).tolist() == expected
