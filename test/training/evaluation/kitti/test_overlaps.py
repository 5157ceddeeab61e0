import math

import numpy as np
import pytest

from training.evaluation.kitti.overlaps import (
    box_coverages,
    box_ious,
    footprint_intersections,
    solid_coverages,
    solid_ious,
)


def solid(x=0.0, z=0.0, yaw=0.0, length=4.0, width=2.0, height=1.5, y=1.6):
    """A 3D box as a row of height, width, length, x, y, z, yaw."""
    return [height, width, length, x, y, z, yaw]


def test_boxes_are_as_wide_as_their_edges_are_apart():
    ones = np.array([[0.0, 0, 10, 10]] * 4)
    others = np.array([[0.0, 0, 10, 10], [5, 0, 15, 10], [10, 0, 20, 10], [2, 2, 4, 7]])
    assert box_ious(ones, others).tolist() == pytest.approx([1, 1 / 3, 0, 0.1])
    assert box_coverages(others, ones).tolist() == pytest.approx([1, 0.5, 0, 1])
    # Without size there is nothing to share.
    assert box_ious(others[:1] * 0, others[:1] * 0).tolist() == [0]


@pytest.mark.parametrize(
    ("other", "shared"),
    [
        (solid(), 8),
        (solid(yaw=math.pi), 8),
        (solid(yaw=math.pi / 2), 4),
        (solid(x=1), 6),
        (solid(z=1), 4),
        (solid(x=4), 0),
        (solid(x=4, z=2), 0),
        (solid(length=1, width=1, yaw=0.3), 1),
        (solid(length=10, width=10, yaw=0.3), 8),
        (solid(length=0), 0),
        (solid(length=-1), 0),
        # Two negative sides turn the box by half a circle.
        (solid(length=-1, width=-1), 1),
    ],
)
def test_shared_ground_of_known_cases(other, shared):
    for yaw in (0.0, 0.7, -2.0):
        # Turning and moving both together changes nothing.
        pair = np.array([solid(), other], dtype=np.float64)
        cos, sin = math.cos(yaw), math.sin(yaw)
        x, z = pair[:, 3].copy(), pair[:, 5].copy()
        pair[:, 3], pair[:, 5] = cos * x + sin * z + 30, cos * z - sin * x - 7
        pair[:, 6] += yaw
        for one, two in ((pair[:1], pair[1:]), (pair[1:], pair[:1])):
            assert footprint_intersections(one, two) == pytest.approx(shared, abs=1e-9)


def test_a_square_turned_by_half_a_right_angle_leaves_an_octagon():
    square, turned = solid(length=2), solid(length=2, yaw=math.pi / 4)
    ground, space = solid_ious(np.array([square]), np.array([turned]))
    octagon = 8 * (math.sqrt(2) - 1)
    assert ground[0] == pytest.approx(octagon / (8 - octagon))
    assert space[0] == pytest.approx(octagon / (8 - octagon))


def test_space_counts_heights_from_the_bottom_upwards():
    lower = solid(y=1.6, height=1.5)
    raised = solid(y=1.1, height=1.5)
    above = solid(y=0.1, height=1.5)
    ground, space = solid_ious(np.array([lower, lower]), np.array([raised, above]))
    assert ground.tolist() == pytest.approx([1, 1])
    assert space.tolist() == pytest.approx([0.5, 0])


def test_coverage_is_a_share_of_the_first_box():
    small, large = solid(length=2), solid(y=1.0)
    ones, others = np.array([small, large, small]), np.array([large, small, solid(x=9)])
    ground, space = solid_coverages(ones, others)
    assert ground.tolist() == pytest.approx([1, 0.5, 0])
    assert space.tolist() == pytest.approx([0.6, 0.3, 0])


def corners_of(row):
    _, width, length, x, _, z, yaw = row
    cos, sin = math.cos(yaw), math.sin(yaw)
    halves = [(length, width), (length, -width), (-length, -width), (-length, width)]
    return [(x + (cos * a + sin * b) / 2, z + (cos * b - sin * a) / 2) for a, b in halves]


def cut(polygon, start, end):
    """The part of a polygon on the right of a line (Sutherland and Hodgman)."""

    def side(point):
        return (end[0] - start[0]) * (point[1] - start[1]) - (end[1] - start[1]) * (
            point[0] - start[0]
        )

    kept = []
    for one, two in zip(polygon, polygon[1:] + polygon[:1], strict=True):
        a, b = side(one), side(two)
        if a <= 0:
            kept.append(one)
        if a * b < 0:
            t = a / (a - b)
            kept.append((one[0] + t * (two[0] - one[0]), one[1] + t * (two[1] - one[1])))
    return kept


def polygon_area(polygon):
    pairs = zip(polygon, polygon[1:] + polygon[:1], strict=True)
    return abs(sum(a[0] * b[1] - a[1] * b[0] for a, b in pairs)) / 2


def test_equal_to_cutting_polygons():
    rng = np.random.default_rng(2)
    rows = [
        solid(*rng.uniform(-2, 2, 2), rng.uniform(-7, 7), *rng.uniform(0.3, 5, 2))
        for _ in range(400)
    ]
    ones, others = np.array(rows[::2]), np.array(rows[1::2])
    expected = []
    for one, other in zip(ones, others, strict=True):
        polygon, border = corners_of(one), corners_of(other)
        for start, end in zip(border, border[1:] + border[:1], strict=True):
            polygon = cut(polygon, start, end)
        expected.append(polygon_area(polygon) if polygon else 0.0)
    assert max(expected) > 1
    assert min(expected) == 0
    np.testing.assert_allclose(footprint_intersections(ones, others), expected, atol=1e-9)
