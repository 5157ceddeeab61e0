"""People and bicycles as round bars around their joints, drawn as polygons."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.data.street.geometry import Array, Mesh, balls, capsules, rotate_yaw
from training.data.street.light import Light
from training.data.street.skeleton import (
    BAR,
    CRANK,
    EXTRA,
    FRAME,
    FRONT_AXLE,
    HAIR,
    HEAD,
    HEAD_TUBE,
    LEFT_ANKLE,
    LEFT_ELBOW,
    LEFT_EYE,
    LEFT_HIP,
    LEFT_KNEE,
    LEFT_SHOULDER,
    LEFT_TOE,
    LEFT_WRIST,
    NECK,
    NOSE,
    REAR_AXLE,
    RIGHT_ANKLE,
    RIGHT_ELBOW,
    RIGHT_EYE,
    RIGHT_HIP,
    RIGHT_KNEE,
    RIGHT_SHOULDER,
    RIGHT_TOE,
    RIGHT_WRIST,
    RUBBER,
    SADDLE,
    SHOES,
    SKIN,
    TOP,
    TROUSERS,
    WHEEL,
    Look,
)

# Limbs as (from, to, radius at both ends as a fraction of the height, material); sides come in
# pairs.
_LIMBS = (
    (LEFT_HIP, LEFT_KNEE, 0.048, 0.036, TROUSERS),
    (RIGHT_HIP, RIGHT_KNEE, 0.048, 0.036, TROUSERS),
    (LEFT_KNEE, LEFT_ANKLE, 0.036, 0.024, TROUSERS),
    (RIGHT_KNEE, RIGHT_ANKLE, 0.036, 0.024, TROUSERS),
    (LEFT_ANKLE, LEFT_TOE, 0.024, 0.020, SHOES),
    (RIGHT_ANKLE, RIGHT_TOE, 0.024, 0.020, SHOES),
    (LEFT_SHOULDER, LEFT_ELBOW, 0.031, 0.025, TOP),
    (RIGHT_SHOULDER, RIGHT_ELBOW, 0.031, 0.025, TOP),
    (LEFT_ELBOW, LEFT_WRIST, 0.024, 0.019, TOP),
    (RIGHT_ELBOW, RIGHT_WRIST, 0.024, 0.019, TOP),
    (NECK, HEAD, 0.030, 0.030, SKIN),
)
_LIMB_ENDS = np.array([limb[:2] for limb in _LIMBS])
_LIMB_RADII = np.array([limb[2:4] for limb in _LIMBS])
_LIMB_MATERIALS = np.array([limb[4] for limb in _LIMBS])


@dataclass(frozen=True, slots=True)
class Bars:
    """Round bars in an object's frame.

    Attributes:
        starts: (L, 3) metres.
        ends: (L, 3).
        radii: (L, 2) metres at both ends.
        materials: (L,) row of Look.colours.
    """

    starts: Array
    ends: Array
    radii: Array
    materials: npt.NDArray[np.int64]

    @classmethod
    def join(cls, *parts: Bars) -> Bars:
        """All bars of all parts."""
        return cls(
            np.concatenate([part.starts for part in parts]),
            np.concatenate([part.ends for part in parts]),
            np.concatenate([part.radii for part in parts]),
            np.concatenate([part.materials for part in parts]),
        )

    def extent(self) -> tuple[Array, Array]:
        """Smallest and greatest x, y, z that the bars reach."""
        centres = np.stack([self.starts, self.ends], axis=1)
        radii = self.radii[..., None]
        return (centres - radii).min(axis=(0, 1)), (centres + radii).max(axis=(0, 1))


def body_bars(points: Array, look: Look) -> Bars:
    """Limbs, torso, head, hair and luggage around the points (22, 3) of one person."""
    tall, wide = look.height, look.height * look.girth
    materials = _LIMB_MATERIALS.copy()
    if not look.sleeves:
        materials[8:10] = SKIN
    if look.skirt:
        materials[2:4] = SKIN
    starts, ends = points[_LIMB_ENDS[:, 0]], points[_LIMB_ENDS[:, 1]]
    limbs = Bars(starts, ends, _LIMB_RADII * wide, materials)
    return Bars.join(limbs, _trunk(points, look, wide), _head(points, look, tall))


def _trunk(points: Array, look: Look, wide: float) -> Bars:
    """Torso, hands, and a skirt or a bag."""
    inset = np.array([0, 0, 0.045 * look.height])
    down = np.array([0, 0.035 * look.height, 0])
    left, right = points[LEFT_SHOULDER] - inset + down, points[RIGHT_SHOULDER] + inset + down
    hip = (points[LEFT_HIP] + points[RIGHT_HIP]) / 2
    rows = [
        (left, points[LEFT_HIP] * 0.8 + hip * 0.2, 0.055, 0.050, TOP),
        (right, points[RIGHT_HIP] * 0.8 + hip * 0.2, 0.055, 0.050, TOP),
        ((left + right) / 2, hip, 0.058, 0.056, TOP),
        (left, right, 0.052, 0.052, TOP),
        (points[LEFT_HIP], points[RIGHT_HIP], 0.051, 0.051, TROUSERS),
        (points[LEFT_WRIST], points[LEFT_WRIST] + (0.015, 0.03, 0), 0.021, 0.020, SKIN),
        (points[RIGHT_WRIST], points[RIGHT_WRIST] + (0.015, 0.03, 0), 0.021, 0.020, SKIN),
    ]
    if look.skirt:
        knees = (points[LEFT_KNEE] + points[RIGHT_KNEE]) / 2
        rows.append((hip, hip * 0.15 + knees * 0.85, 0.062, 0.095, TROUSERS))
    if look.bag == 1:
        back = np.array([-0.085 * look.height, 0, 0])
        rows.append((points[NECK] + back + down * 2, hip + back - down * 2, 0.06, 0.068, EXTRA))
    if look.bag == 2:
        hand = points[RIGHT_WRIST] + (0, 0.09, 0)
        rows.append((hand, hand + np.array([0, 0.13, 0]), 0.05, 0.06, EXTRA))
    return _bars(rows, wide)


def _head(points: Array, look: Look, tall: float) -> Bars:
    """Skull, hair and nose."""
    head = points[HEAD]
    rows = [
        (
            head + np.array([0.012, 0.022 * tall, 0]),
            head + np.array([0.004, -0.010 * tall, 0]),
            0.040,
            0.044,
            SKIN,
        ),
        (
            head + np.array([-0.012 * tall, -0.006 * tall, 0]),
            head + np.array([-0.008 * tall, -0.023 * tall, 0]),
            0.049,
            0.047,
            HAIR,
        ),
        (
            points[NOSE] - (0.012 * tall, 0, 0),
            points[NOSE] + (-0.009 * tall, 0.004 * tall, 0),
            0.008,
            0.009,
            SKIN,
        ),
    ]
    if look.long_hair:
        rows.append(
            (
                head - (0.022 * tall, 0, 0),
                head + np.array([-0.03 * tall, 0.075 * tall, 0]),
                0.042,
                0.035,
                HAIR,
            )
        )
    return _bars(rows, tall)


def _bars(rows: list[tuple[Array, Array, float, float, int]], scale: float) -> Bars:
    return Bars(
        np.array([row[0] for row in rows]),
        np.array([row[1] for row in rows]),
        np.array([row[2:4] for row in rows]) * scale,
        np.array([row[4] for row in rows]),
    )


def bicycle_bars(phase: float, segments: int) -> Bars:
    """Wheels of so many segments, frame, fork, handlebar, saddle and cranks at a pedal angle."""
    rows: list[tuple[Array, Array, float, float, int]] = []
    angles = np.linspace(0, 2 * math.pi, segments, endpoint=False)
    tyre = 0.022
    rim = (WHEEL - tyre) * np.stack([np.cos(angles), np.sin(angles), 0 * angles], axis=-1)
    for axle in (REAR_AXLE, FRONT_AXLE):
        ring = axle + rim
        following = np.roll(ring, -1, axis=0)
        rows.extend((a, b, tyre, tyre, RUBBER) for a, b in zip(ring, following, strict=True))
    pedal = 0.165 * np.array([math.cos(phase), math.sin(phase), 0])
    side, foot = np.array([0, 0, 0.24]), np.array([0, 0, 0.07])
    tubes = (
        (CRANK, SADDLE, FRAME),
        (CRANK, HEAD_TUBE, FRAME),
        (SADDLE + np.array([0.03, 0.1, 0]), HEAD_TUBE + np.array([0, -0.06, 0]), FRAME),
        (REAR_AXLE, CRANK, FRAME),
        (REAR_AXLE, SADDLE + np.array([0.03, 0.1, 0]), FRAME),
        (FRONT_AXLE, BAR, FRAME),
        (BAR - side, BAR + side, RUBBER),
        (CRANK + foot + pedal, CRANK + foot, RUBBER),
        (CRANK - foot - pedal, CRANK - foot, RUBBER),
    )
    rows.extend((a, b, 0.02, 0.02, material) for a, b, material in tubes)
    rows.append((SADDLE - (0.1, 0.0, 0), SADDLE + np.array([0.1, 0.01, 0]), 0.05, 0.03, RUBBER))
    return _bars(rows, 1.0)


def bars_mesh(
    bars: Bars, look: Look, *, pose: tuple[Array, float], light: Light, detailed: bool
) -> Mesh:
    """Bars as polygons that face the camera, far ones first, each with a lit and a shaded side.

    Args:
        bars: the bars in the object's frame.
        look: whose colours to use.
        pose: (3,) origin in the optical frame, and rotation_y in radians.
        light: the light in the optical frame.
        detailed: whether bars get a lit side.
    """
    starts = rotate_yaw(bars.starts, pose[1]) + pose[0]
    ends = rotate_yaw(bars.ends, pose[1]) + pose[0]
    order = np.argsort(-(starts[:, 2] + ends[:, 2]), kind="stable")
    starts, ends, radii = starts[order], ends[order], bars.radii[order]
    base = look.colours[bars.materials[order]]
    towards = np.zeros((len(order), 3))
    towards[:, 2] = -1.0
    polygons = capsules(starts, ends, radii[:, 0], radii[:, 1])
    colours = light.shade(base, towards)
    if detailed:
        # A thinner bar shifted towards the sun inside the first: the lit side.
        shift = light.sun * (1.0, 0.4, 0.0) * 0.45
        lit = capsules(
            starts + shift * radii[:, :1],
            ends + shift * radii[:, 1:],
            radii[:, 0] * 0.5,
            radii[:, 1] * 0.5,
        )
        normals = towards * 0.5 + np.array([light.sun[0], light.sun[1], -abs(light.sun[2])]) * 0.5
        polygons = np.stack([polygons, lit], axis=1).reshape(-1, 10, 3)
        colours = np.stack([colours * 0.88, light.shade(base, normals)], axis=1).reshape(-1, 3)
    return Mesh.of_equal(polygons, light.haze(colours, float(pose[0][2])))


def face_details(points: Array, look: Look, *, light: Light) -> Mesh:
    """Eyes, if they face the camera, of a person with points (22, 3) in the optical frame."""
    eyes = points[[LEFT_EYE, RIGHT_EYE]] - (points[HEAD] - points[NOSE]) * 0.03
    facing = (points[NOSE] - points[HEAD]) @ points[HEAD] < 0
    shown = eyes if facing else eyes[:0]
    colours = np.full((len(shown), 3), 30.0)
    discs = balls(shown, np.full(len(shown), 0.006 * look.height))
    return Mesh.of_equal(discs, light.haze(colours, float(points[HEAD, 2])))
