"""Geometry shared by everything in the street: lit polygons, the camera's place, footprints.

World frame: x right and z forward along the road, y down with the ground at y = 0, in metres. The
camera is level, so that world and optical frame differ by a heading about y, a position and the
camera's height.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[np.float64]

NEAR = 0.3
"""Metres in front of the camera where geometry is cut off."""

_QUANTUM = 2.0**20


def quantise(values: Array) -> Array:
    """Round metres to 2^-20, so that the last bit of a machine's sine cannot show anywhere."""
    rounded: Array = np.rint(values * _QUANTUM) / _QUANTUM
    return rounded


@dataclass(frozen=True, slots=True)
class Mesh:
    """Convex polygons in drawing order (far to near), without shared vertices.

    Attributes:
        vertices: (V, 3) metres of the optical frame.
        starts: F + 1 indices; polygon i owns vertices[starts[i]:starts[i + 1]].
        colours: (F, 3) blue, green, red from 0 to 255, with the light already in them.
    """

    vertices: Array
    starts: list[int]
    colours: Array

    @classmethod
    def of_equal(cls, polygons: Array, colours: Array) -> Mesh:
        """Polygons (F, K, 3) with K vertices each."""
        count, size, _ = polygons.shape
        return cls(polygons.reshape(-1, 3), list(range(0, (count + 1) * size, size)), colours)

    @classmethod
    def join(cls, parts: Sequence[Mesh]) -> Mesh:
        """All polygons of all parts, in order."""
        starts, offset = [0], 0
        for part in parts:
            starts.extend(start + offset for start in part.starts[1:])
            offset += len(part.vertices)
        return cls(
            np.concatenate([part.vertices for part in parts]),
            starts,
            np.concatenate([part.colours for part in parts]),
        )

    def clipped(self) -> Mesh:
        """The part in front of the near plane."""
        if not len(self.vertices) or self.vertices[:, 2].min() >= NEAR:
            return self
        polygons, colours = [], []
        for row, (start, end) in enumerate(itertools.pairwise(self.starts)):
            polygon = clip_near(self.vertices[start:end])
            if len(polygon) > 2:
                polygons.append(polygon)
                colours.append(self.colours[row])
        sizes = [len(polygon) for polygon in polygons]
        return Mesh(
            np.concatenate([*polygons, np.zeros((0, 3))]),
            [0, *np.cumsum(sizes).tolist()],
            np.array(colours).reshape(-1, 3),
        )


@dataclass(frozen=True, slots=True)
class CameraPose:
    """Where the level camera stands in the world.

    Attributes:
        x: metres to the right of the road's middle.
        z: metres along the road.
        height: metres above the ground.
        heading: radians from the road's direction, positive to the right.
    """

    x: float
    z: float
    height: float
    heading: float

    def to_camera(self, points: Array) -> Array:
        """World points (..., 3) to the optical frame."""
        cos, sin = math.cos(self.heading), math.sin(self.heading)
        x, z = points[..., 0] - self.x, points[..., 2] - self.z
        moved = np.empty(points.shape)
        moved[..., 0] = x * cos - z * sin
        moved[..., 1] = points[..., 1] + self.height
        moved[..., 2] = x * sin + z * cos
        return quantise(moved)

    def direction_to_camera(self, direction: Array) -> Array:
        """A world direction (3,) in the optical frame."""
        cos, sin = math.cos(self.heading), math.sin(self.heading)
        x, y, z = direction
        return np.array([x * cos - z * sin, y, x * sin + z * cos])


def rotate_yaw(points: Array, yaw: float) -> Array:
    """Turn points (..., 3) of an object (x forward, y down, z left) by KITTI's rotation_y."""
    cos, sin = math.cos(yaw), math.sin(yaw)
    x, z = points[..., 0], points[..., 2]
    turned = np.empty(points.shape)
    turned[..., 0] = x * cos + z * sin
    turned[..., 1] = points[..., 1]
    turned[..., 2] = z * cos - x * sin
    return turned


def clip_near(polygon: Array) -> Array:
    """Cut a polygon (K, 3) of the optical frame at the near plane, giving (L, 3)."""
    kept = []
    for current, following in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        if current[2] >= NEAR:
            kept.append(current)
        if (current[2] >= NEAR) != (following[2] >= NEAR):
            share = (NEAR - current[2]) / (following[2] - current[2])
            kept.append(current + share * (following - current))
    return np.array(kept).reshape(-1, 3)


_ARC = np.linspace(0.5 * math.pi, 1.5 * math.pi, 5)


def capsules(starts: Array, ends: Array, start_radii: Array, end_radii: Array) -> Array:
    """Round bars (L) as polygons (L, 10, 3) that face the camera.

    A bar is the hull of two balls; its polygon is the hull of the balls' discs parallel to the
    image, so it never leaves the balls.

    Args:
        starts: (L, 3) centres of the first balls in the optical frame.
        ends: (L, 3) centres of the second balls.
        start_radii: (L,) metres.
        end_radii: (L,) metres.
    """
    across = ends[:, :2] / ends[:, 2:] - starts[:, :2] / starts[:, 2:]
    angles = np.arctan2(across[:, 1], across[:, 0])[:, None] + _ARC
    cos, sin = np.cos(angles), np.sin(angles)
    polygons = np.empty((len(starts), 10, 3))
    polygons[:, :5] = starts[:, None]
    polygons[:, 5:] = ends[:, None]
    polygons[:, :5, 0] += cos * start_radii[:, None]
    polygons[:, :5, 1] += sin * start_radii[:, None]
    polygons[:, 5:, 0] -= cos * end_radii[:, None]
    polygons[:, 5:, 1] -= sin * end_radii[:, None]
    return quantise(polygons)


_CIRCLE = np.linspace(0, 2 * math.pi, 12, endpoint=False) + 0.2
_CIRCLE_XY = np.stack([np.cos(_CIRCLE), np.sin(_CIRCLE), np.zeros(12)], axis=-1)


def balls(centres: Array, radii: Array, squash: float = 1.0) -> Array:
    """Balls (N, 3) of radii (N,) as discs (N, 12, 3) that face the camera, heights times squash."""
    return quantise(
        centres[:, None] + radii[:, None, None] * (_CIRCLE_XY * np.array([1.0, squash, 1.0]))
    )


_CORNERS = np.array([[0.5, -0.5], [0.5, 0.5], [-0.5, 0.5], [-0.5, -0.5]])
_NEXT = np.array([1, 2, 3, 0])


def footprints(centres: Array, yaws: Array, sizes: Array) -> Array:
    """Corners (..., 4, 2) x, z of rectangles on the ground.

    Args:
        centres: (..., 2) x, z.
        yaws: (...) rotation_y in radians.
        sizes: (..., 2) length, width.
    """
    corners = sizes[..., None, :] * _CORNERS
    cos, sin = np.cos(yaws)[..., None], np.sin(yaws)[..., None]
    along, across = corners[..., 0], corners[..., 1]
    turned = np.stack([cos * along + sin * across, cos * across - sin * along], axis=-1)
    return np.asarray(centres[..., None, :] + turned)


def _edge_planes(outlines: Array) -> tuple[Array, Array]:
    """Outward normals (..., 4, 2), offsets (..., 4) of convex outlines' edges (..., 4, 2)."""
    edges = outlines[..., _NEXT, :] - outlines
    normals = np.stack([edges[..., 1], -edges[..., 0]], axis=-1)
    offsets = (outlines * normals).sum(axis=-1)
    inside = (outlines.mean(axis=-2, keepdims=True) * normals).sum(axis=-1) - offsets
    normals = np.where(inside[..., None] > 0, -normals, normals)
    return normals, (outlines * normals).sum(axis=-1)


def _separated(outlines: Array) -> npt.NDArray[np.bool_]:
    """Whether outline j is beyond edge e of outline i: (N, N, 4) for outlines (N, 4, 2)."""
    normals, offsets = _edge_planes(outlines)
    sides = normals[:, None, :, None, 0] * outlines[None, :, None, :, 0]
    sides = sides + normals[:, None, :, None, 1] * outlines[None, :, None, :, 1]
    return np.asarray((sides > offsets[:, None, :, None]).all(axis=-1))


def overlaps(outlines: Array) -> npt.NDArray[np.bool_]:
    """Which pairs (N, N) of rectangles (N, 4, 2) on the ground overlap."""
    apart = np.asarray(_separated(outlines).any(axis=-1))
    return np.asarray(~(apart | apart.T))


def painter_order(outlines: Array, eye: tuple[float, float]) -> list[int]:
    """Order (N) in which standing things are drawn, so that a nearer one covers a farther one.

    Two footprints that do not touch are separated by the line through an edge of one of them, and
    the one on the eye's side of that line can only be in front. Distance decides where nothing
    else does.

    Args:
        outlines: (N, 4, 2) x, z of the footprints' corners.
        eye: x, z of the camera.
    """
    place = np.asarray(eye)
    normals, offsets = _edge_planes(outlines)
    eye_outside = (normals * place).sum(axis=-1) > offsets
    separated = _separated(outlines)
    behind = (separated & eye_outside[:, None, :]).any(axis=-1)
    in_front = (separated & ~eye_outside[:, None, :]).any(axis=-1)
    first = (behind | in_front.T) & ~(behind.T | in_front)
    distances = ((outlines.mean(axis=1) - place) ** 2).sum(axis=-1)
    waiting = first.sum(axis=0)
    left = np.argsort(-distances, kind="stable").tolist()
    order = []
    while left:
        # A ring of things that cover each other has no order: the farthest goes first.
        row = next((row for row in left if waiting[row] == 0), left[0])
        left.remove(row)
        order.append(row)
        waiting -= first[row]
    return order
