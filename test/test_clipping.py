"""Clipping: what is seen of lines and faces, also of those that reach behind the camera."""

import numpy as np
import pytest

from centernet_ros.clipping import MARGIN, homogeneous, visible_polygon, visible_segments

SIZE = 100, 200
FOCAL = 100.0
INF, NAN = float("inf"), float("nan")


def seen(start, end):
    """The seen part of a line between two places before a camera in the middle of its image."""
    x, y, z = np.array([start, end], dtype=np.float64).T
    points = np.stack([FOCAL * x + 100 * z, FOCAL * y + 50 * z, z], axis=1)
    return visible_segments(points[:1], points[1:], SIZE)


def test_a_line_in_the_image_stays():
    np.testing.assert_allclose(seen((0, 0, 10), (5, 2, 10)), [[[100, 50], [150, 70]]])
    # Nearer to its far end in the picture than in space.
    np.testing.assert_allclose(seen((0, 0, 10), (5, 0, 20)), [[[100, 50], [125, 50]]])


def test_a_line_that_leaves_the_image_is_cut_beside_it():
    ((start, end),) = seen((0, 0, 10), (0, 1e9, 10))
    assert start.tolist() == [100, 50]
    assert end == pytest.approx([100, 99 + MARGIN])
    ((start, end),) = seen((-1e6, 0, 10), (1e6, 0, 10))
    assert start == pytest.approx([-MARGIN, 50], abs=1e-3)
    assert end == pytest.approx([199 + MARGIN, 50], abs=1e-3)


def test_a_line_that_ends_behind_the_camera_keeps_its_direction():
    """A road's edge at the left below: plain projection would let it run to the upper right."""
    ((start, end),) = seen((-1, 1, 10), (-1, 1, -10))
    assert start.tolist() == [90, 60]
    slope = (end - start) / np.abs(end - start)
    assert slope == pytest.approx([-1, 1])
    assert end[1] == pytest.approx(99 + MARGIN)


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ((0, 0, -1), (1, 1, -5)),
        ((0, 0, 0), (1, 0, 0)),
        ((50, 0, 10), (60, 5, 10)),
        ((50, 0, 10), (0, 60, 10)),
        ((0, 0, 10), (NAN, 0, 10)),
        ((0, 0, 10), (INF, 0, 10)),
        ((0, 0, NAN), (0, 0, NAN)),
    ],
)
def test_what_is_not_seen_is_left_out(start, end):
    assert seen(start, end).shape == (0, 2, 2)


def test_huge_numbers_end_within_reach_of_opencv():
    points = homogeneous(np.array([[[-1e30, 50], [1e30, 50]], [[0, -1e18], [10, 1e18]]]))
    pixels = visible_segments(points[:, 0], points[:, 1], SIZE)
    assert np.abs(pixels).max() <= 1e6


def square(*corners):
    return homogeneous(np.array(corners, dtype=np.float64))


def area(polygon):
    x, y = polygon.T
    return abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) / 2


def test_polygons():
    inside = square((10, 10), (30, 10), (30, 40), (10, 40))
    assert area(visible_polygon(inside, SIZE)) == pytest.approx(600)
    around = square((-1e6, -1e6), (1e6, -1e6), (1e6, 1e6), (-1e6, 1e6))
    whole = (199 + 2 * MARGIN) * (99 + 2 * MARGIN)
    assert area(visible_polygon(around, SIZE)) == pytest.approx(whole)
    outside = square((500, 0), (600, 0), (600, 50), (500, 50))
    assert len(visible_polygon(outside, SIZE)) == 0
    assert len(visible_polygon(inside * np.array([1, 1, -1]), SIZE)) == 0
    assert len(visible_polygon(inside * NAN, SIZE)) == 0
