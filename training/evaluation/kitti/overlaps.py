"""How much two boxes share: in the image, on the ground and in space, for many pairs at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def box_intersections(ones: Array, others: Array) -> Array:
    """Shared areas (P,) of pairs of boxes (P, 4), x1, y1, x2, y2 in pixels without a +1."""
    size = np.minimum(ones[:, 2:], others[:, 2:]) - np.maximum(ones[:, :2], others[:, :2])
    return np.where((size > 0).all(axis=1), size[:, 0] * size[:, 1], 0.0)


def box_areas(boxes: Array) -> Array:
    """Areas (N,) of boxes (N, 4), x1, y1, x2, y2."""
    areas: Array = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    return areas


def box_ious(ones: Array, others: Array) -> Array:
    """IoU (P,) of pairs of boxes (P, 4), x1, y1, x2, y2 in pixels without a +1."""
    shared = box_intersections(ones, others)
    return _ratio(shared, box_areas(ones) + box_areas(others) - shared)


def box_coverages(ones: Array, others: Array) -> Array:
    """Share (P,) of each first box that the second covers, of pairs of boxes (P, 4)."""
    return _ratio(box_intersections(ones, others), box_areas(ones))


def solid_ious(ones: Array, others: Array) -> tuple[Array, Array]:
    """IoU on the ground (P,) and in space (P,) of pairs of 3D boxes.

    Args:
        ones: (P, 7) height, width, length, x, y, z, yaw in metres and radians, as a KITTI label has
            them: x, y, z is the centre of the bottom face, y points down.
        others: (P, 7) likewise.
    """
    shared, volume = _solid_intersections(ones, others)
    grounds = [boxes[:, 1] * boxes[:, 2] for boxes in (ones, others)]
    total = grounds[0] * ones[:, 0] + grounds[1] * others[:, 0]
    return _ratio(shared, grounds[0] + grounds[1] - shared), _ratio(volume, total - volume)


def solid_coverages(ones: Array, others: Array) -> tuple[Array, Array]:
    """Share of the ground (P,) and of the space (P,) of each first 3D box that the second covers.

    Arguments are as those of `solid_ious`.
    """
    shared, volume = _solid_intersections(ones, others)
    ground = ones[:, 1] * ones[:, 2]
    return _ratio(shared, ground), _ratio(volume, ground * ones[:, 0])


def _solid_intersections(ones: Array, others: Array) -> tuple[Array, Array]:
    """Square metres (P,) and cubic metres (P,) that pairs of 3D boxes (P, 7) share."""
    shared = np.zeros(len(ones))
    near = _may_touch(ones, others)
    shared[near] = footprint_intersections(ones[near], others[near])
    bottom = np.minimum(ones[:, 4], others[:, 4])
    top = np.maximum(ones[:, 4] - ones[:, 0], others[:, 4] - others[:, 0])
    return shared, shared * np.maximum(bottom - top, 0)


def footprint_intersections(ones: Array, others: Array) -> Array:
    """Areas (P,) in square metres that pairs of 3D boxes (P, 7) share on the ground.

    The first rectangle is taken into the frame of the second, and its outline is clamped to it:
    what lies outside falls onto the border and encloses nothing, so the clamped outline encloses
    the intersection. Unlike the cutting of polygons, this knows no special cases: the area changes
    continuously with the boxes, however they touch.
    """
    half = _sides(others) / 2
    corners = _corners(ones, others)
    edges = np.roll(corners, -1, axis=1) - corners
    # An outline stays straight between the points where it crosses one of the border's four lines.
    with np.errstate(divide="ignore", invalid="ignore"):
        crossings = np.concatenate(
            [(side * half[:, None] - corners) / edges for side in (-1, 1)], axis=2
        )
    crossings = np.clip(np.nan_to_num(crossings, nan=0.0), 0, 1)
    ends = np.broadcast_to([0.0, 1.0], (*crossings.shape[:2], 2))
    steps = np.sort(np.concatenate([crossings, ends], axis=2), axis=2)  # (P, edges, points)
    points = corners[:, :, None] + steps[..., None] * edges[:, :, None]
    points = np.clip(points, -half[:, None, None], half[:, None, None])
    run = np.diff(points[..., 0], axis=2)
    height = (points[:, :, 1:, 1] + points[:, :, :-1, 1]) / 2
    areas: Array = np.abs((run * height).sum(axis=(1, 2)))
    return areas


def _corners(ones: Array, others: Array) -> Array:
    """Corners (P, 4, 2) of the first footprints, along length and width of the second ones."""
    x, z = (ones[:, [3, 5]] - others[:, [3, 5]]).T
    cos, sin = np.cos(others[:, 6]), np.sin(others[:, 6])
    centres = np.stack([cos * x - sin * z, sin * x + cos * z], axis=1)
    along, aside = np.split(_sides(ones) / 2, 2, axis=1)
    along, aside = along * [1, 1, -1, -1], aside * [1, -1, -1, 1]
    turn = (ones[:, 6] - others[:, 6])[:, None]
    cos, sin = np.cos(turn), np.sin(turn)
    offsets = np.stack([cos * along + sin * aside, cos * aside - sin * along], axis=2)
    return centres[:, None] + offsets


def _sides(boxes: Array) -> Array:
    """Length and width (P, 2) of 3D boxes (P, 7); a negative one is 0.

    NOTE: Two negative ones are a turn by half a circle, as in the official program: a box without a
    place in space, whose sides are -1, lies on the ground as a square of 1 m.
    """
    sides = boxes[:, 2:0:-1]
    turned = (sides < 0).all(axis=1, keepdims=True)
    return np.maximum(np.where(turned, -sides, sides), 0)


def _may_touch(ones: Array, others: Array) -> NDArray[np.bool_]:
    """Whether the circles around the footprints of pairs of 3D boxes (P, 7) overlap."""
    distance = np.hypot(*(ones[:, [3, 5]] - others[:, [3, 5]]).T)
    reach = (np.hypot(ones[:, 1], ones[:, 2]) + np.hypot(others[:, 1], others[:, 2])) / 2
    near: NDArray[np.bool_] = distance < reach
    return near


def _ratio(part: Array, whole: Array) -> Array:
    """Quotients, 0 where there is nothing to divide by."""
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)
