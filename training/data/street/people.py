"""People and bicycles: joints from a walking or pedalling phase, and round limbs around them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from training.data.street.geometry import Array, Mesh, balls, capsules, rotate_yaw
from training.data.street.light import Light

# COCO's joints first; the points after them only serve the drawing.
NOSE, LEFT_EYE, RIGHT_EYE, LEFT_EAR, RIGHT_EAR = range(5)
LEFT_SHOULDER, RIGHT_SHOULDER, LEFT_ELBOW, RIGHT_ELBOW, LEFT_WRIST, RIGHT_WRIST = range(5, 11)
LEFT_HIP, RIGHT_HIP, LEFT_KNEE, RIGHT_KNEE, LEFT_ANKLE, RIGHT_ANKLE = range(11, 17)
NECK, HEAD, PELVIS, LEFT_TOE, RIGHT_TOE = range(17, 22)
NUM_POINTS = 22

FACE = (NOSE, LEFT_EYE, RIGHT_EYE, LEFT_EAR, RIGHT_EAR)

SKIN, HAIR, TOP, TROUSERS, SHOES, EXTRA, FRAME, RUBBER = range(8)


@dataclass(frozen=True, slots=True)
class Look:
    """What makes a person different from others.

    Attributes:
        height: metres from sole to crown.
        girth: factor on the radii of limbs.
        swing: amplitude of the legs' swing in radians; 0 for someone who stands.
        arms: lift of the arms to the side in radians.
        bend: bend of the elbows in radians.
        lean: lean of a rider's back in radians from upright.
        long_hair: whether the hair reaches the shoulders.
        skirt: whether the trousers are a skirt.
        bag: 0 none, 1 backpack, 2 handbag.
        sleeves: whether the arms are covered.
        colours: (8, 3) colour of each material.
    """

    height: float
    girth: float
    swing: float
    arms: float
    bend: float
    lean: float
    long_hair: bool
    skirt: bool
    bag: int
    sleeves: bool
    colours: Array

    @classmethod
    def random(cls, rng: np.random.Generator, walking: bool) -> Look:
        """Someone."""
        skin = np.array([118.0, 150.0, 205.0]) * rng.uniform(0.35, 1.1)
        hair = np.array([40.0, 60.0, 85.0]) * rng.uniform(0.3, 1.6)
        clothes = rng.uniform(25, 225, (4, 3)) * rng.uniform(0.5, 1.0, (4, 1))
        clothes[1] *= rng.uniform(0.35, 0.9)
        colours = np.concatenate(
            [[skin, hair], clothes[:2], [rng.uniform(20, 120, 3)], clothes[2:], [[26, 26, 28]]]
        )
        return cls(
            height=float(np.clip(rng.normal(1.74, 0.09), 1.45, 1.95)),
            girth=float(rng.uniform(0.9, 1.2)),
            swing=float(rng.uniform(0.3, 0.5)) if walking else float(rng.uniform(0.0, 0.08)),
            arms=float(rng.uniform(0.06, 0.22)),
            bend=float(rng.uniform(0.1, 0.7) if rng.random() < 0.8 else rng.uniform(1.2, 2.0)),
            lean=float(rng.uniform(0.25, 0.65)),
            long_hair=bool(rng.random() < 0.4),
            skirt=bool(rng.random() < 0.2),
            bag=int(rng.choice(3, p=[0.55, 0.25, 0.2])),
            sleeves=bool(rng.random() < 0.7),
            colours=np.clip(colours, 8, 245),
        )


def walking_points(look: Look, phase: Array) -> Array:
    """Points (T, 22, 3) of a walker at phases (T,) in radians; x forward, y down, z left, soles at y = 0."""
    tall = look.height
    points = np.zeros((len(phase), NUM_POINTS, 3))
    for side, sign in ((0, 1.0), (1, -1.0)):
        swing = look.swing * np.sin(phase) * sign
        bend = look.swing * (0.35 + 0.9 * np.maximum(np.cos(phase) * sign, 0.0)) * 1.1
        across = sign * 0.052 * tall
        points[:, LEFT_HIP + side] = (0, 0, across)
        _hang(points, LEFT_HIP + side, LEFT_KNEE + side, swing + 0.3 * bend, 0.245 * tall)
        _hang(points, LEFT_KNEE + side, LEFT_ANKLE + side, swing - 0.7 * bend, 0.235 * tall)
    # The lower foot stands on the ground; everything above follows.
    hip = -0.045 * tall - points[:, [LEFT_ANKLE, RIGHT_ANKLE], 1].max(axis=1)
    points[:, LEFT_HIP : RIGHT_ANKLE + 1, 1] += hip[:, None]
    for side in (0, 1):
        points[:, LEFT_TOE + side] = points[:, LEFT_ANKLE + side] + (0.085 * tall, 0.02 * tall, 0)
    points[:, PELVIS] = points[:, [LEFT_HIP, RIGHT_HIP]].mean(axis=1)
    lean = 0.08 * look.swing
    _upper_body(points, look, lean)
    for side, sign in ((0, 1.0), (1, -1.0)):
        swing = -look.swing * 0.8 * np.sin(phase) * sign
        shoulder, elbow, wrist = LEFT_SHOULDER + side, LEFT_ELBOW + side, LEFT_WRIST + side
        _hang(points, shoulder, elbow, swing - 0.1, 0.175 * tall)
        points[:, elbow, 2] += sign * math.sin(look.arms) * 0.175 * tall
        _hang(points, elbow, wrist, swing + look.bend, 0.155 * tall)
        points[:, wrist, 2] += sign * (math.sin(look.arms) - 0.3 * look.bend / 2) * 0.155 * tall
    return points


def _hang(points: Array, parent: int, child: int, angle: Array | float, length: float) -> None:
    """Place a joint so far below its parent, swung forward by an angle."""
    points[:, child, 0] = points[:, parent, 0] + length * np.sin(angle)
    points[:, child, 1] = points[:, parent, 1] + length * np.cos(angle)
    points[:, child, 2] = points[:, parent, 2]


def _upper_body(points: Array, look: Look, lean: float) -> None:
    """Shoulders, neck and head above a pelvis, leaning forward; the head stays upright."""
    tall = look.height
    forward, up = math.sin(lean), math.cos(lean)
    pelvis = points[:, PELVIS]
    chest = pelvis + np.array([forward, -up, 0]) * 0.29 * tall
    for side, sign in ((0, 1.0), (1, -1.0)):
        points[:, LEFT_SHOULDER + side] = chest + (0, 0, sign * 0.102 * tall)
    points[:, NECK] = chest + np.array([forward, -up, 0]) * 0.03 * tall
    head = chest + np.array([0.6 * forward + 0.02, -0.5 * up - 0.5, 0]) * 0.125 * tall
    points[:, HEAD] = head
    points[:, NOSE] = head + (0.062 * tall, 0.008 * tall, 0)
    for side, sign in ((0, 1.0), (1, -1.0)):
        points[:, LEFT_EYE + side] = head + (0.052 * tall, -0.012 * tall, sign * 0.019 * tall)
        points[:, LEFT_EAR + side] = head + (0.0, 0.0, sign * 0.045 * tall)


WHEEL = 0.335
_REAR_AXLE, _FRONT_AXLE = np.array([-0.53, -WHEEL, 0]), np.array([0.54, -WHEEL, 0])
_CRANK, _SADDLE = np.array([-0.08, -0.29, 0]), np.array([-0.24, -0.93, 0])
_HEAD_TUBE, _BAR = np.array([0.37, -0.85, 0]), np.array([0.33, -1.03, 0])


def riding_points(look: Look, phase: Array) -> Array:
    """Points (T, 22, 3) of a rider at pedal angles (T,); the bicycle's wheels stand at y = 0."""
    tall = look.height
    points = np.zeros((len(phase), NUM_POINTS, 3))
    points[:, PELVIS] = _SADDLE + (0.02, -0.07, 0)
    _upper_body(points, look, look.lean)
    for side, sign in ((0, 1.0), (1, -1.0)):
        hip, knee, ankle = LEFT_HIP + side, LEFT_KNEE + side, LEFT_ANKLE + side
        points[:, hip] = points[:, PELVIS] + (0.02, 0, sign * 0.052 * tall)
        pedal = phase + (0 if side == 0 else math.pi)
        points[:, ankle, 0] = _CRANK[0] - 0.06 + 0.165 * np.cos(pedal)
        points[:, ankle, 1] = _CRANK[1] - 0.08 + 0.165 * np.sin(pedal)
        points[:, ankle, 2] = sign * 0.1
        points[:, LEFT_TOE + side] = points[:, ankle] + (0.14, 0.06, 0)
        _bend(points, (hip, knee, ankle), (0.245 * tall, 0.24 * tall), forward=1.0)
        wrist = LEFT_WRIST + side
        points[:, wrist] = _BAR + (0, -0.02, sign * 0.24)
        _bend(points, (LEFT_SHOULDER + side, LEFT_ELBOW + side, wrist), (0.17 * tall, 0.16 * tall), forward=-1.0)
        points[:, LEFT_ELBOW + side, 2] += sign * 0.04
    return points


def _bend(points: Array, chain: tuple[int, int, int], lengths: tuple[float, float], forward: float) -> None:
    """Place the middle joint of a limb whose ends are given, bent forward (1) or backward (-1)."""
    start, middle, end = chain
    reach = points[:, end] - points[:, start]
    distance = np.linalg.norm(reach, axis=-1)
    along = np.clip((distance**2 + lengths[0] ** 2 - lengths[1] ** 2) / (2 * distance), 0, lengths[0])
    out = np.sqrt(np.maximum(lengths[0] ** 2 - along**2, 0))
    unit = reach / distance[:, None]
    normal = np.stack([unit[:, 1], -unit[:, 0], np.zeros_like(out)], axis=-1) * forward
    points[:, middle] = points[:, start] + unit * along[:, None] + normal * out[:, None]


# Limbs as (from, to, radius at both ends as a fraction of the height, material); sides come in pairs.
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
    materials: Array

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
        rows.append((hand, hand + (0, 0.13, 0), 0.05, 0.06, EXTRA))
    return _bars(rows, wide)


def _head(points: Array, look: Look, tall: float) -> Bars:
    """Skull, hair and nose."""
    head = points[HEAD]
    rows = [
        (head + (0.012, 0.022 * tall, 0), head + (0.004, -0.010 * tall, 0), 0.040, 0.044, SKIN),
        (
            head + (-0.012 * tall, -0.006 * tall, 0),
            head + (-0.008 * tall, -0.023 * tall, 0),
            0.049,
            0.047,
            HAIR,
        ),
        (points[NOSE] - (0.012 * tall, 0, 0), points[NOSE] + (-0.009 * tall, 0.004 * tall, 0), 0.008, 0.009, SKIN),
    ]
    if look.long_hair:
        rows.append((head - (0.022 * tall, 0, 0), head + (-0.03 * tall, 0.075 * tall, 0), 0.042, 0.035, HAIR))
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
    for axle in (_REAR_AXLE, _FRONT_AXLE):
        ring = axle + rim
        following = np.roll(ring, -1, axis=0)
        rows.extend((a, b, tyre, tyre, RUBBER) for a, b in zip(ring, following, strict=True))
    pedal = 0.165 * np.array([math.cos(phase), math.sin(phase), 0])
    side = np.array([0, 0, 0.24])
    tubes = (
        (_CRANK, _SADDLE, FRAME),
        (_CRANK, _HEAD_TUBE, FRAME),
        (_SADDLE + (0.03, 0.1, 0), _HEAD_TUBE + (0, -0.06, 0), FRAME),
        (_REAR_AXLE, _CRANK, FRAME),
        (_REAR_AXLE, _SADDLE + (0.03, 0.1, 0), FRAME),
        (_FRONT_AXLE, _BAR, FRAME),
        (_BAR - side, _BAR + side, RUBBER),
        (_CRANK + (0, 0, 0.07) + pedal, _CRANK + (0, 0, 0.07), RUBBER),
        (_CRANK - (0, 0, 0.07) - pedal, _CRANK - (0, 0, 0.07), RUBBER),
    )
    rows.extend((a, b, 0.02, 0.02, material) for a, b, material in tubes)
    rows.append((_SADDLE - (0.1, 0.0, 0), _SADDLE + (0.1, 0.01, 0), 0.05, 0.03, RUBBER))
    return _bars(rows, 1.0)


def bars_mesh(bars: Bars, look: Look, *, pose: tuple[Array, float], light: Light, detailed: bool) -> Mesh:
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
            starts + shift * radii[:, :1], ends + shift * radii[:, 1:], radii[:, 0] * 0.5, radii[:, 1] * 0.5
        )
        normals = towards * 0.5 + np.array([light.sun[0], light.sun[1], -abs(light.sun[2])]) * 0.5
        polygons = np.stack([polygons, lit], axis=1).reshape(-1, 10, 3)
        colours = np.stack([colours * 0.88, light.shade(base, normals)], axis=1).reshape(-1, 3)
    return Mesh.of_equal(polygons, light.haze(colours, float(pose[0][2])))


def face_details(points: Array, look: Look, *, light: Light) -> Mesh:
    """Eyes of a person whose points (22, 3) are given in the optical frame, if they face the camera."""
    eyes = points[[LEFT_EYE, RIGHT_EYE]] - (points[HEAD] - points[NOSE]) * 0.03
    facing = (points[NOSE] - points[HEAD]) @ points[HEAD] < 0
    shown = eyes if facing else eyes[:0]
    colours = np.full((len(shown), 3), 30.0)
    discs = balls(shown, np.full(len(shown), 0.006 * look.height))
    return Mesh.of_equal(discs, light.haze(colours, float(points[HEAD, 2])))
