"""Cars: body shapes as convex polygons in a unit box, scaled, painted and lit."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from training.data.street.geometry import Array, Mesh, quantise, rotate_yaw
from training.data.street.light import Light

Point = tuple[float, float, float]

PAINT, GLASS, TYRE, RIM, HEADLIGHT, TAILLIGHT, PLATE, TRIM, SHINE, GLOW = range(10)
_MATERIALS = np.array(
    [
        [0, 0, 0],
        [62, 52, 44],
        [26, 24, 23],
        [158, 156, 152],
        [196, 200, 202],
        [38, 28, 190],
        [225, 230, 232],
        [36, 34, 33],
        [128, 116, 100],
        [250, 252, 252],
    ],
    dtype=np.float64,
)
_EMISSIVE = np.array([0, 0, 0, 0, 0.3, 0.35, 0.1, 0, 0.2, 0.9])


@dataclass(frozen=True, slots=True)
class Profile:
    """Outline of a body shape seen from its left side, as fractions of length and height.

    Attributes:
        nose: height of the bonnet's front edge.
        cowl: x, height where bonnet and windscreen meet.
        roof: x of the roof's front and rear edge.
        rear: x, height where rear window and boot meet.
        boot: height of the boot's rear edge.
        pillars: x at the roof between the side windows, front to rear.
        wheels: x of the front and the rear wheel.
    """

    nose: float
    cowl: tuple[float, float]
    roof: tuple[float, float]
    rear: tuple[float, float]
    boot: float
    pillars: tuple[float, ...]
    wheels: tuple[float, float] = (0.31, -0.30)


PROFILES = {
    "sedan": Profile(0.50, (0.21, 0.63), (0.05, -0.20), (-0.34, 0.69), 0.66, (-0.07,)),
    "hatchback": Profile(0.52, (0.26, 0.65), (0.08, -0.33), (-0.46, 0.66), 0.58, (-0.08,)),
    "estate": Profile(0.50, (0.22, 0.62), (0.06, -0.40), (-0.47, 0.62), 0.56, (-0.06, -0.24)),
    "suv": Profile(0.57, (0.25, 0.66), (0.11, -0.40), (-0.47, 0.64), 0.58, (-0.05, -0.26)),
    "van": Profile(
        0.50, (0.36, 0.60), (0.19, -0.44), (-0.48, 0.58), 0.54, (0.02, -0.22), (0.33, -0.31)
    ),
}
SHAPES = tuple(PROFILES)


@dataclass(frozen=True, slots=True)
class _UnitCar:
    """Polygons of a body shape in the box x in [-.5, .5], y in [-1, 0], z in [-.5, .5].

    Attributes:
        vertices: (V, 3).
        starts: F + 1 indices of each polygon's first vertex.
        materials: (F,) material of each polygon.
        detail: (F,) whether a polygon is left out of small pictures.
    """

    vertices: Array
    starts: npt.NDArray[np.int64]
    materials: npt.NDArray[np.int64]
    detail: npt.NDArray[np.bool_]


class _Builder:
    """Collects polygons given as (x, height, z) and turns each one outward."""

    def __init__(self) -> None:
        self.polygons: list[tuple[Array, int, bool]] = []

    def add(self, points: Sequence[Point], material: int, detail: bool = False) -> None:
        """Add one polygon; its normal is made to point away from the middle of the box."""
        polygon = np.array(points, dtype=np.float64) * (1, -1, 1)
        normal = np.cross(polygon[1] - polygon[0], polygon[2] - polygon[0])
        if normal @ (polygon.mean(axis=0) - (0, -0.35, 0)) < 0:
            polygon = polygon[::-1]
        self.polygons.append((polygon, material, detail))

    def both(self, points: Sequence[Point], material: int, detail: bool = False) -> None:
        """Add a polygon of the left side and its mirror image."""
        self.add(points, material, detail)
        self.add([(x, height, -z) for x, height, z in points], material, detail)

    def across(self, front: Point, rear: Point, material: int) -> list[Point]:
        """Add the strip from side to side between two points of the left outline."""
        quad = [front, (front[0], front[1], -front[2]), (rear[0], rear[1], -rear[2]), rear]
        self.add(quad, material)
        return quad

    def build(self) -> _UnitCar:
        """All polygons in the order in which they were added."""
        sizes = [len(polygon) for polygon, _, _ in self.polygons]
        return _UnitCar(
            np.concatenate([polygon for polygon, _, _ in self.polygons]),
            np.cumsum([0, *sizes]),
            np.array([material for _, material, _ in self.polygons]),
            np.array([detail for _, _, detail in self.polygons]),
        )


def _patch(quad: Sequence[Point], u: tuple[float, float], v: tuple[float, float]) -> list[Point]:
    """Part of a quad between fractions u of its first and v of its second direction."""
    corners = np.array(quad)

    def at(a: float, b: float) -> Point:
        near, far = (
            corners[0] + a * (corners[1] - corners[0]),
            corners[3] + a * (corners[2] - corners[3]),
        )
        x, height, z = near + b * (far - near)
        return float(x), float(height), float(z)

    return [at(u[0], v[0]), at(u[1], v[0]), at(u[1], v[1]), at(u[0], v[1])]


def _disc(x: float, radius: tuple[float, float], z: float, count: int = 12) -> list[Point]:
    """Regular polygon in the plane of a side, standing on the ground."""
    angles = np.linspace(0, 2 * np.pi, count, endpoint=False) + np.pi / count
    height = radius[1]
    scale = 1 / np.cos(np.pi / count)
    return [
        (x + radius[0] * float(np.cos(a)), height + radius[1] * scale * float(np.sin(a)) * 0.999, z)
        for a in angles
    ]


@cache
def _unit_car(shape: str) -> _UnitCar:
    """Model of a body shape; body before cabin, since the camera is above the window line."""
    car, profile = _Builder(), PROFILES[shape]
    sill, waist = 0.17, 0.44
    nose, cowl = (0.475, profile.nose, 0.43), (*profile.cowl, 0.475)
    rear, boot = (*profile.rear, 0.465), (-0.49, profile.boot, 0.43)
    radius = (0.078, 0.205)
    for x in profile.wheels:
        _tyre_block(car, x, radius)
    _front_and_rear(car, profile, sill, waist)
    side = [(0.455, sill, 0.49), (0.455, waist, 0.5), (-0.455, waist, 0.5), (-0.455, sill, 0.49)]
    car.both(side, PAINT)
    shoulder = [side[1], nose, cowl, rear, boot, side[2]]
    car.both(shoulder, PAINT)
    car.both(_patch([side[0], side[3], side[2], side[1]], (0, 1), (0, 0.16)), TRIM, detail=True)
    for x in profile.wheels:
        car.both(_disc(x, (radius[0] * 1.2, radius[1] * 1.14), 0.4985), TRIM, detail=True)
        car.both(_disc(x, radius, 0.499), TYRE)
        car.both(
            [(px, (h - radius[1]) * 0.62 + radius[1], z) for px, h, z in _disc_rim(x, radius)], RIM
        )
    car.across(nose, cowl, PAINT)
    car.across(rear, boot, PAINT)
    _cabin(car, profile)
    return car.build()


def _disc_rim(x: float, radius: tuple[float, float]) -> list[Point]:
    return _disc(x, (radius[0] * 0.62, radius[1]), 0.4995, 10)


def _tyre_block(car: _Builder, x: float, radius: tuple[float, float]) -> None:
    """Front and rear face of both tyres at x, seen below the bumpers."""
    for end in (x + radius[0] * 0.8, x - radius[0] * 0.8):
        car.both([(end, 0.0, 0.485), (end, 0.3, 0.485), (end, 0.3, 0.36), (end, 0.0, 0.36)], TYRE)


def _front_and_rear(car: _Builder, profile: Profile, sill: float, waist: float) -> None:
    """Bumpers, corners, lamps, grille and number plates."""
    for sign, top in ((1, profile.nose), (-1, profile.boot)):
        end, corner = 0.5 * sign, 0.455 * sign
        lip = 0.475 if sign > 0 else -0.49
        low = [(end, sill, 0.40), (end, sill, -0.40), (end, waist, -0.40), (end, waist, 0.40)]
        high = [(end, waist, 0.40), (end, waist, -0.40), (lip, top, -0.43), (lip, top, 0.43)]
        car.both(
            [(end, sill, 0.40), (corner, sill, 0.49), (corner, waist, 0.5), (end, waist, 0.40)],
            PAINT,
        )
        wedge = [(end, waist, 0.40), (corner, waist, 0.5), (lip, top, 0.43)]
        car.both(wedge, PAINT)
        car.add(low, PAINT)
        car.add(high, PAINT)
        car.add(_patch(low, (0.0, 1.0), (0.0, 0.28)), TRIM)
        lamp = HEADLIGHT if sign > 0 else TAILLIGHT
        depth = (0.15, 0.85) if sign > 0 else (-0.1, 0.9)
        car.add(_patch(high, (0.0, 0.24), depth), lamp)
        car.add(_patch(high, (0.76, 1.0), depth), lamp)
        car.both(
            [
                _mix(wedge[0], wedge[2], 0.2),
                _mix(wedge[1], wedge[2], 0.35),
                _mix(wedge[1], wedge[2], 0.8),
                _mix(wedge[0], wedge[2], 0.85),
            ],
            lamp,
            detail=True,
        )
        if sign > 0:
            car.add(_patch(high, (0.28, 0.72), (0.1, 0.6)), TRIM)
            for lamp_u in ((0.06, 0.14), (0.86, 0.94)):
                car.add(_patch(high, lamp_u, (0.3, 0.75)), GLOW, detail=True)
            car.add(_patch(low, (0.39, 0.61), (0.55, 0.8)), PLATE)
        else:
            car.add(_patch(low, (0.38, 0.62), (0.6, 0.92)), PLATE)


def _mix(one: Point, other: Point, share: float) -> Point:
    x, height, z = (a + share * (b - a) for a, b in zip(one, other, strict=True))
    return x, height, z


def _cabin(car: _Builder, profile: Profile) -> None:
    """Windscreen, roof, rear window and side windows."""
    cowl, rear = (*profile.cowl, 0.475), (*profile.rear, 0.465)
    front_edge, rear_edge = (profile.roof[0], 0.965, 0.385), (profile.roof[1], 0.96, 0.375)
    middle = (sum(profile.roof) / 2, 1.0, 0.36)
    car.both([cowl, front_edge, middle, rear_edge, rear], PAINT)
    screen = car.across(cowl, front_edge, PAINT)
    car.add(_patch(screen, (0.05, 0.95), (0.06, 0.93)), GLASS)
    car.add(_patch(screen, (0.1, 0.45), (0.5, 0.9)), SHINE, detail=True)
    back = car.across(rear, rear_edge, PAINT)
    car.add(_patch(back, (0.07, 0.93), (0.12, 0.9)), GLASS)
    car.add(_patch(back, (0.5, 0.88), (0.55, 0.86)), SHINE, detail=True)
    car.across(front_edge, middle, PAINT)
    car.across(middle, rear_edge, PAINT)
    _side_windows(car, profile, cowl, rear)
    mirror = (cowl[0] - 0.035, cowl[1] + 0.03, 0.485)
    x, height, z = mirror
    car.both(
        [
            (x, height, z - 0.03),
            (x, height, z + 0.014),
            (x, height + 0.09, z + 0.014),
            (x, height + 0.09, z - 0.03),
        ],
        TRIM,
        detail=True,
    )


def _side_windows(car: _Builder, profile: Profile, cowl: Point, rear: Point) -> None:
    """Panes between the pillars, on the plane of the cabin's side."""

    def point(share: float, up: float) -> Point:
        low = _mix(cowl, rear, share)
        x = profile.roof[0] + share * (profile.roof[1] - profile.roof[0])
        return _mix(low, (x, 0.963, 0.382), up)

    length = profile.roof[1] - profile.roof[0]
    cuts = [0.06, *((pillar - profile.roof[0]) / length for pillar in profile.pillars), 0.95]
    for start, end in itertools.pairwise(cuts):
        car.both(
            [
                point(start + 0.02, 0.08),
                point(start + 0.02, 0.86),
                point(end - 0.02, 0.86),
                point(end - 0.02, 0.08),
            ],
            GLASS,
        )


def car_mesh(
    shape: str,
    dimensions: tuple[float, float, float],
    paint: Array,
    *,
    pose: tuple[Array, float],
    light: Light,
    detailed: bool,
) -> Mesh:
    """Draw-ready polygons of a car: those that face the camera, lit.

    Args:
        shape: a key of PROFILES.
        dimensions: height, width, length in metres.
        paint: (3,) colour of the body.
        pose: (3,) bottom centre in the optical frame, and rotation_y in radians.
        light: the light in the optical frame.
        detailed: whether to draw what is lost in a small picture.
    """
    unit = _unit_car(shape)
    height, width, length = dimensions
    vertices = rotate_yaw(unit.vertices * (length, height, width), pose[1]) + pose[0]
    first = vertices[unit.starts[:-1]]
    normals = np.cross(
        vertices[unit.starts[:-1] + 1] - first, vertices[unit.starts[:-1] + 2] - first
    )
    shown = (normals * first).sum(axis=-1) < 0
    if not detailed:
        shown &= ~unit.detail
    rows = np.flatnonzero(shown)
    normals = normals[rows] / np.linalg.norm(normals[rows], axis=-1, keepdims=True)
    materials = unit.materials[rows]
    palette = _MATERIALS.copy()
    palette[PAINT] = paint
    colours = light.shade(palette[materials], normals, _EMISSIVE[materials])
    sizes = np.diff(unit.starts)
    keep = np.repeat(shown, sizes)
    starts = [0, *np.cumsum(sizes[rows]).tolist()]
    return Mesh(quantise(vertices[keep]), starts, light.haze(colours, float(pose[0][2])))
