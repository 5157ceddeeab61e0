"""Joints of people: how somebody looks, walks and rides."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from training.data.street.geometry import Array

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
    """Points (T, 22, 3) of a walker at phases (T,) in radians, with the soles at y = 0.

    The frame is a person's own: x forward, y down, z to the left, in metres.
    """
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
        points[:, LEFT_SHOULDER + side] = chest + np.array([0, 0, sign * 0.102 * tall])
    points[:, NECK] = chest + np.array([forward, -up, 0]) * 0.03 * tall
    head = chest + np.array([0.6 * forward + 0.02, -0.5 * up - 0.5, 0]) * 0.125 * tall
    points[:, HEAD] = head
    points[:, NOSE] = head + np.array([0.062 * tall, 0.008 * tall, 0])
    for side, sign in ((0, 1.0), (1, -1.0)):
        points[:, LEFT_EYE + side] = head + np.array(
            [0.052 * tall, -0.012 * tall, sign * 0.019 * tall]
        )
        points[:, LEFT_EAR + side] = head + np.array([0.0, 0.0, sign * 0.045 * tall])


WHEEL = 0.335
REAR_AXLE, FRONT_AXLE = np.array([-0.53, -WHEEL, 0]), np.array([0.54, -WHEEL, 0])
CRANK, SADDLE = np.array([-0.08, -0.29, 0]), np.array([-0.24, -0.93, 0])
HEAD_TUBE, BAR = np.array([0.37, -0.85, 0]), np.array([0.33, -1.03, 0])


def riding_points(look: Look, phase: Array) -> Array:
    """Points (T, 22, 3) of a rider at pedal angles (T,); the bicycle's wheels stand at y = 0."""
    tall = look.height
    points = np.zeros((len(phase), NUM_POINTS, 3))
    points[:, PELVIS] = SADDLE + np.array([0.02, -0.07, 0])
    _upper_body(points, look, look.lean)
    for side, sign in ((0, 1.0), (1, -1.0)):
        hip, knee, ankle = LEFT_HIP + side, LEFT_KNEE + side, LEFT_ANKLE + side
        points[:, hip] = points[:, PELVIS] + (0.02, 0, sign * 0.052 * tall)
        pedal = phase + (0 if side == 0 else math.pi)
        points[:, ankle, 0] = CRANK[0] - 0.06 + 0.165 * np.cos(pedal)
        points[:, ankle, 1] = CRANK[1] - 0.08 + 0.165 * np.sin(pedal)
        points[:, ankle, 2] = sign * 0.1
        points[:, LEFT_TOE + side] = points[:, ankle] + (0.14, 0.06, 0)
        _bend(points, (hip, knee, ankle), (0.245 * tall, 0.24 * tall), forward=1.0)
        wrist = LEFT_WRIST + side
        points[:, wrist] = BAR + np.array([0, -0.02, sign * 0.24])
        _bend(
            points,
            (LEFT_SHOULDER + side, LEFT_ELBOW + side, wrist),
            (0.17 * tall, 0.16 * tall),
            forward=-1.0,
        )
        points[:, LEFT_ELBOW + side, 2] += sign * 0.04
    return points


def _bend(
    points: Array, chain: tuple[int, int, int], lengths: tuple[float, float], forward: float
) -> None:
    """Place the middle joint of a limb whose ends are given, bent forward (1) or backward (-1)."""
    start, middle, end = chain
    reach = points[:, end] - points[:, start]
    distance = np.linalg.norm(reach, axis=-1)
    along = np.clip(
        (distance**2 + lengths[0] ** 2 - lengths[1] ** 2) / (2 * distance), 0, lengths[0]
    )
    out = np.sqrt(np.maximum(lengths[0] ** 2 - along**2, 0))
    unit = reach / distance[:, None]
    normal = np.stack([unit[:, 1], -unit[:, 0], np.zeros_like(out)], axis=-1) * forward
    points[:, middle] = points[:, start] + unit * along[:, None] + normal * out[:, None]
