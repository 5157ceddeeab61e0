"""The map from above: places in metres, heading, field of view, and no crash at any number."""

import math

import numpy as np
import pytest
import torch

from centernet_ros.birdseye import FIELD_OF_VIEW, GROUND, beside, draw_birdseye, inset
from centernet_ros.drawing import CLASS_COLOURS
from centernet_ros.structures import CameraIntrinsics, Detections3D

NAMES = ("pedestrian", "car", "cyclist")
SCALE = 10
"""Pixels per metre of a map 600 pixels high that shows 60 metres."""
ORIGIN = 225, 600
CAMERA = CameraIntrinsics.pinhole(500.0, (400.0, 200.0), (400, 800))


def car(x, z, yaw=0.0):
    return Detections3D(
        boxes=torch.zeros(1, 4),
        scores=torch.ones(1),
        labels=torch.tensor([1]),
        dimensions=torch.tensor([[1.5, 2.0, 6.0]]),
        locations=torch.tensor([[x, 1.6, z]]),
        yaws=torch.tensor([yaw]),
        alphas=torch.zeros(1),
    )


def at(drawn, x, z):
    """Pixel of a place in metres."""
    return drawn[round(ORIGIN[1] - z * SCALE), round(ORIGIN[0] + x * SCALE)]


def is_outline(pixel):
    return pixel.tolist() == pytest.approx(CLASS_COLOURS["car"], abs=60)


def test_a_box_lies_at_its_place_with_its_size():
    drawn = draw_birdseye(car(5.5, 33.2), NAMES)
    assert drawn.shape == (600, 450, 3)
    empty = draw_birdseye(Detections3D.empty(), NAMES)
    rows, columns = np.nonzero((drawn != empty).any(axis=-1))
    assert (columns.min(), columns.max()) == pytest.approx((225 + 25, 225 + 85), abs=2)
    assert (rows.min(), rows.max()) == pytest.approx((600 - 342, 600 - 322), abs=2)
    assert is_outline(at(drawn, 2.5, 33.2))


@pytest.mark.parametrize(
    ("yaw", "ahead"),
    [(0.0, (1, 0)), (math.pi, (-1, 0)), (-math.pi / 2, (0, 1)), (math.pi / 2, (0, -1))],
)
def test_the_front_half_is_filled(yaw, ahead):
    drawn = draw_birdseye(car(5.5, 33.2, yaw), NAMES).astype(int)
    x, z = ahead
    # Half a metre beside the line that leads to the front.
    front = at(drawn, 5.5 + 1.5 * x + 0.5 * z, 33.2 + 1.5 * z + 0.5 * x)
    rear = at(drawn, 5.5 - 1.5 * x + 0.5 * z, 33.2 - 1.5 * z + 0.5 * x)
    assert front[2] > rear[2] + 30
    assert is_outline(at(drawn, 5.5 + 1.5 * x, 33.2 + 1.5 * z))
    assert not is_outline(at(drawn, 5.5 - 1.5 * x, 33.2 - 1.5 * z))


def test_the_field_of_view_is_what_the_image_shows():
    drawn = draw_birdseye(Detections3D.empty(), NAMES, camera=CAMERA)
    # The rays of the image's edges leave at 400 / 500 to either side.
    for side in (-1, 1):
        assert at(drawn, side * 0.75 * 12.5, 12.5).tolist() == list(FIELD_OF_VIEW)
        assert at(drawn, side * 0.85 * 12.5, 12.5).tolist() == list(GROUND)


def test_the_grid_grows_with_the_depth():
    def lines(depth):
        drawn = draw_birdseye(Detections3D.empty(), NAMES, depth=depth)
        column = drawn[:, 150]  # off the text
        return 1 + np.nonzero((column[1:] != GROUND).any(axis=-1))[0]

    assert lines(60).tolist() == [100, 200, 300, 400, 500]
    assert lines(6).tolist() == [100, 200, 300, 400, 500]
    assert len(lines(100)) == 4


def test_boxes_off_the_map_are_not_drawn():
    empty = draw_birdseye(Detections3D.empty(), NAMES)
    for x, z in ((0, 90), (60, 20), (0, -20)):
        assert np.array_equal(draw_birdseye(car(float(x), float(z)), NAMES), empty)


@pytest.mark.parametrize("value", [math.nan, math.inf, -1e30])
@pytest.mark.parametrize("height", [1, 375])
def test_no_number_breaks_the_map(value, height):
    for field in ("dimensions", "locations", "yaws"):
        box = car(0.0, 20.0)
        getattr(box, field)[..., -1:] = value
        assert draw_birdseye(box, NAMES, height=height, camera=CAMERA).shape[0] == height


def test_beside_an_image():
    image = np.full((300, 500, 3), 90, np.uint8)
    both = beside(image, draw_birdseye(Detections3D.empty(), NAMES, height=600))
    assert both.shape == (300, 500 + 225, 3)
    assert np.array_equal(both[:, :500], image)
    same = draw_birdseye(Detections3D.empty(), NAMES, height=300)
    assert np.array_equal(beside(image, same)[:, 500:], same)


def test_an_inset_lies_in_the_corner_of_a_copy():
    image, small = np.zeros((100, 200, 3), np.uint8), np.full((40, 30, 3), 255, np.uint8)
    both = inset(image, small)
    assert both.shape == image.shape
    assert not image.any()
    assert (both[:40, 170:] == 255).all()
    assert not both[42:].any()
    assert not both[:, :168].any()
    assert (inset(image, np.full((400, 300, 3), 9, np.uint8)) == 9).all()
