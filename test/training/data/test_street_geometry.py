"""Who is drawn over whom, and what is cut off at the near plane."""

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from training.data.street.geometry import (
    NEAR,
    CameraPose,
    Mesh,
    footprints,
    overlaps,
    painter_order,
    rotate_yaw,
)


def rectangles(*rows: tuple[float, float, float, float, float]) -> np.ndarray:
    """Footprints (N, 4, 2) from x, z, yaw, length, width."""
    table = np.array(rows)
    return footprints(table[:, :2], table[:, 2], table[:, 3:])


def nearest_hit(outline: np.ndarray, direction: np.ndarray) -> float:
    """Distance at which a ray from the origin meets a convex outline; infinite if it misses."""
    best = math.inf
    for start, end in zip(outline, np.roll(outline, -1, axis=0), strict=True):
        edge = end - start
        cross = direction[0] * edge[1] - direction[1] * edge[0]
        if abs(cross) > 1e-12:
            way = (start[0] * edge[1] - start[1] * edge[0]) / cross
            along = (start[0] * direction[1] - start[1] * direction[0]) / cross
            if way > 0 and 0 <= along <= 1:
                best = min(best, way)
    return best


def test_overlaps_of_turned_rectangles():
    pairs = overlaps(
        rectangles((0, 0, 0, 4, 2), (0, 1.5, 0, 4, 2), (0, 3.2, 0.5, 4, 2), (9, 9, 1, 1, 1))
    )
    assert pairs[0, 1]
    assert pairs[1, 2]
    assert not pairs[0, 2]
    assert not pairs[3, :3].any()
    assert (pairs == pairs.T).all()


def test_someone_beside_a_long_car_is_drawn_after_it():
    # The car's middle is nearer than the person, and yet the person stands in front of its side.
    grounds = rectangles((3.0, 10.0, -math.pi / 2, 4.4, 1.7), (1.6, 10.8, 0.0, 0.6, 0.6))
    assert painter_order(grounds, (0.0, 0.0)) == [0, 1]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000))
def test_nearer_things_are_drawn_later(seed: int):
    rng = np.random.default_rng(seed)
    table = np.column_stack(
        [
            rng.uniform(-8, 8, 12),
            rng.uniform(4, 30, 12),
            rng.uniform(-4, 4, 12),
            rng.uniform(0.4, 5, 12),
        ]
    )
    grounds = rectangles(*np.column_stack([table, rng.uniform(0.4, 2, 12)]))
    free = [0]
    pairs = overlaps(grounds)
    for row in range(1, 12):
        if not pairs[row, free].any():
            free.append(row)
    grounds = grounds[free]
    place = {row: position for position, row in enumerate(painter_order(grounds, (0.0, 0.0)))}
    assert sorted(place) == list(range(len(grounds)))
    for angle in np.linspace(-0.9, 0.9, 61):
        direction = np.array([math.sin(angle), math.cos(angle)])
        hits = sorted((nearest_hit(ground, direction), row) for row, ground in enumerate(grounds))
        met = [row for distance, row in hits if math.isfinite(distance)]
        assert [place[row] for row in met] == sorted((place[row] for row in met), reverse=True)


def test_mesh_is_cut_at_the_near_plane():
    square = np.array([[[0, 0, -1], [1, 0, -1], [1, 0, 3], [0, 0, 3]]], dtype=np.float64)
    behind = square - (0, 0, 5)
    mesh = Mesh.of_equal(
        np.concatenate([behind, square]), np.array([[1.0, 1, 1], [2, 2, 2]])
    ).clipped()
    assert mesh.starts == [0, 4]
    assert mesh.colours.tolist() == [[2, 2, 2]]
    assert math.isclose(mesh.vertices[:, 2].min(), NEAR, abs_tol=1e-12)
    assert mesh.vertices[:, 2].max() == 3


def test_yaw_and_heading_follow_kitti():
    forward = np.array([1.0, 0, 0])
    np.testing.assert_allclose(rotate_yaw(forward, -math.pi / 2), [0, 0, 1], atol=1e-9)
    pose = CameraPose(x=2.0, z=1.0, height=1.5, heading=0.3)
    ahead = np.array([2 + 10 * math.sin(0.3), 0.0, 1 + 10 * math.cos(0.3)])
    np.testing.assert_allclose(pose.to_camera(ahead), [0, 1.5, 10], atol=1e-5)
