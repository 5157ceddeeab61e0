"""What stands and moves where: a random street, and its state at a moment."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from training.data.street import cars
from training.data.street.geometry import Array, CameraPose, footprint, overlap
from training.data.street.light import Light
from training.data.street.people import Look

PEDESTRIAN, CAR, CYCLIST = range(3)

AHEAD = 95.0
"""Metres ahead of the camera up to which the street is furnished."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Something that is labelled, with its state at time 0.

    Attributes:
        identity: number that stays the same through a sequence.
        kind: PEDESTRIAN, CAR or CYCLIST.
        x: metres to the right of the road's middle.
        z: metres along the road.
        yaw: rotation_y in the world frame.
        speed: metres a second along its own forward direction.
        phase: gait or pedal angle in radians.
        size: height, width, length in metres: a car's exact size, else roughly the ground it needs.
        shape: body shape of a car.
        paint: (3,) colour of a car.
        look: the person, or the rider.
    """

    identity: int
    kind: int
    x: float
    z: float
    yaw: float
    speed: float
    phase: float
    size: tuple[float, float, float]
    shape: str = ""
    paint: Array | None = None
    look: Look | None = None

    def position(self, time: float) -> tuple[float, float]:
        """World x, z in metres after so many seconds."""
        way = self.speed * time
        return self.x + way * math.cos(self.yaw), self.z - way * math.sin(self.yaw)

    def phase_at(self, time: float) -> float:
        """Gait or pedal angle: 1.45 m of walking or 4.5 m of riding are one turn."""
        turn = 1.45 if self.kind == PEDESTRIAN else 4.5
        return self.phase + 2 * math.pi * self.speed * time / turn

    def ground(self, time: float, margin: float = 0.0) -> Array:
        """Corners (4, 2) x, z of the ground that it covers, grown by a margin in metres."""
        return footprint(self.position(time), self.yaw, self.size[2] + margin, self.size[1] + margin)


@dataclass(frozen=True, slots=True)
class Prop:
    """Something that stands still and carries no label.

    Attributes:
        kind: name of a function of props.py.
        x: metres to the right of the road's middle.
        z: metres along the road.
        size: height, width in metres.
        seed: what its variations come from.
        colour: (3,) main colour.
    """

    kind: str
    x: float
    z: float
    size: tuple[float, float]
    seed: int
    colour: Array


@dataclass(frozen=True, slots=True)
class Building:
    """A block with its front to the road.

    Attributes:
        side: 1 to the right of the road, -1 to the left.
        front: metres from the road's middle to the front.
        start: z of its near end.
        end: z of its far end.
        height: metres to the eaves.
        roof: metres from the eaves to the ridge, 0 for a flat roof.
        wall: (3,) colour.
        window: (3,) colour of the panes.
        storeys: rows of windows.
        columns: windows in a row of the front.
        pane: width and height of a window as shares of its cell.
    """

    side: int
    front: float
    start: float
    end: float
    height: float
    roof: float
    wall: Array
    window: Array
    storeys: int
    columns: int
    pane: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Road:
    """The ground's plan, the same all along the road.

    Attributes:
        half_width: metres from the middle to the kerb.
        pavement: width of the pavement in metres.
        dashes: x of dashed lines.
        dash_length: metres of a dash; the gap is twice as long.
        crossings: z of zebra crossings.
        asphalt: (3,) colour.
        paving: (3,) colour of the pavement.
        verge: (3,) colour beyond the pavement.
        seed: of the ground's grain.
    """

    half_width: float
    pavement: float
    dashes: tuple[float, ...]
    dash_length: float
    crossings: tuple[float, ...]
    asphalt: Array
    paving: Array
    verge: Array
    seed: int


@dataclass(frozen=True, slots=True)
class Scene:
    """A street with everything in it.

    Attributes:
        light: sun and air in the world frame.
        road: the ground's plan.
        buildings: far to near is not guaranteed.
        props: unlabelled things.
        actors: labelled things.
        start: the camera at time 0.
        speed: of the camera along its heading, metres a second.
        sky_seed: of the clouds.
        clouds: strength of the clouds from 0 to 1.
    """

    light: Light
    road: Road
    buildings: tuple[Building, ...]
    props: tuple[Prop, ...]
    actors: tuple[Actor, ...]
    start: CameraPose
    speed: float
    sky_seed: int
    clouds: float

    def camera_pose(self, time: float) -> CameraPose:
        """The camera after so many seconds."""
        way = self.speed * time
        return CameraPose(
            self.start.x + way * math.sin(self.start.heading),
            self.start.z + way * math.cos(self.start.heading),
            self.start.height,
            self.start.heading,
        )


def random_scene(rng: np.random.Generator, duration: float = 0.0) -> Scene:
    """A street, furnished for a drive of so many seconds (0: one picture)."""
    light = Light.random(rng)
    road = _random_road(rng, duration)
    lane = road.half_width * 0.5 + rng.uniform(-0.4, 0.4)
    moving = duration > 0
    heading = rng.normal(0, 0.004) if moving else rng.normal(0, 0.03)
    if not moving and rng.random() < 0.15:
        lane, heading = rng.uniform(-1.3, 1.3) * road.half_width, rng.normal(0, 0.15)
    start = CameraPose(float(lane), 0.0, float(rng.uniform(1.4, 1.9)), float(heading))
    speed = float(rng.uniform(3.0, 9.0)) if moving else 0.0
    end = AHEAD + speed * duration
    actors = _random_actors(rng, road, start, speed, duration)
    return Scene(
        light=light,
        road=road,
        buildings=tuple(_random_buildings(rng, road, end)),
        props=tuple(_random_props(rng, road, end, [actor.ground(0.0, 0.6) for actor in actors])),
        actors=tuple(actors),
        start=start,
        speed=speed,
        sky_seed=int(rng.integers(1 << 30)),
        clouds=float(rng.uniform(0, 1)) if light.direct > 0.3 else float(rng.uniform(0.2, 1)),
    )


def _grey(rng: np.random.Generator, low: float, high: float, spread: float = 6.0) -> Array:
    return np.clip(rng.uniform(low, high) + rng.normal(0, spread, 3), 5, 250)


def _random_road(rng: np.random.Generator, duration: float) -> Road:
    half_width = float(rng.uniform(3.4, 7.5))
    lanes = max(2, round(2 * half_width / 3.5))
    marked = rng.random() < 0.8
    lines = np.linspace(-half_width, half_width, lanes + 1)[1:-1] if marked else []
    count = int(rng.integers(0, 3)) if duration == 0 else 1 + int(duration / 6)
    grassy = rng.random() < 0.6
    green = np.array([50.0, 110.0, 85.0]) * rng.uniform(0.7, 1.25) + rng.normal(0, 8, 3)
    return Road(
        half_width=half_width,
        pavement=float(rng.uniform(1.8, 4.5)),
        dashes=tuple(float(x) for x in lines),
        dash_length=float(rng.uniform(1.5, 3.5)),
        crossings=tuple(float(z) for z in rng.uniform(8, AHEAD + 9 * duration, count)),
        asphalt=_grey(rng, 70, 135, 4),
        paving=_grey(rng, 115, 190, 7),
        verge=green if grassy else _grey(rng, 90, 170, 9),
        seed=int(rng.integers(1 << 30)),
    )


def _random_buildings(rng: np.random.Generator, road: Road, end: float) -> list[Building]:
    buildings = []
    density = rng.choice([0.0, 0.5, 0.95], p=[0.12, 0.28, 0.6])
    for side in (-1, 1):
        setback = road.half_width + road.pavement + rng.uniform(0.0, 7.0)
        z = -15.0
        while z < end:
            length = float(rng.uniform(8, 26))
            if rng.random() < density:
                storeys = int(rng.integers(1, 7))
                buildings.append(
                    Building(
                        side=side,
                        front=float(setback + rng.uniform(0, 1.5)),
                        start=z,
                        end=z + length,
                        height=storeys * float(rng.uniform(2.8, 3.5)),
                        roof=float(rng.uniform(1.5, 4)) if rng.random() < 0.5 and storeys < 5 else 0.0,
                        wall=np.clip(_grey(rng, 80, 215, 10) + rng.uniform(-1, 1) * np.array([-35, 0, 30]), 10, 250),
                        window=_grey(rng, 40, 130, 10) + (12, 4, 0),
                        storeys=storeys,
                        columns=max(1, round(length / float(rng.uniform(2.2, 4.2)))),
                        pane=(float(rng.uniform(0.35, 0.7)), float(rng.uniform(0.4, 0.65))),
                    )
                )
            z += length + (float(rng.uniform(0, 12)) if rng.random() < 0.35 else 0.0)
    return buildings


# kind, rough height and width in metres, share, distance from the kerb as a range, mean colour (b, g, r)
_PROPS = (
    ("tree", 6.5, 3.4, 0.24, (0.7, 8.0), (45, 95, 60)),
    ("conifer", 7.0, 3.0, 0.06, (2.5, 10.0), (45, 80, 40)),
    ("bush", 1.1, 1.4, 0.12, (1.2, 8.0), (50, 105, 75)),
    ("lamp", 6.5, 0.16, 0.12, (0.4, 0.8), (120, 125, 125)),
    ("sign", 2.4, 0.7, 0.14, (0.4, 1.2), (60, 60, 200)),
    ("bin", 1.0, 0.6, 0.09, (0.6, 4.0), (70, 90, 60)),
    ("box", 1.2, 0.9, 0.09, (1.0, 4.0), (120, 130, 135)),
    ("bollard", 0.9, 0.18, 0.08, (0.25, 0.5), (60, 60, 70)),
    ("column", 2.8, 1.2, 0.03, (1.2, 4.0), (140, 150, 160)),
    ("light", 3.2, 0.3, 0.03, (0.4, 0.8), (40, 40, 40)),
)


def _random_props(rng: np.random.Generator, road: Road, end: float, taken: list[Array]) -> list[Prop]:
    """Street furniture that stands clear of all footprints taken."""
    props: list[Prop] = []
    used = list(taken)
    density = rng.uniform(0.05, 0.35)
    shares = np.array([row[3] for row in _PROPS])
    for _ in range(int(density * end)):
        kind, height, width, _, offsets, colour = _PROPS[rng.choice(len(_PROPS), p=shares / shares.sum())]
        scale = rng.uniform(0.75, 1.3)
        side = 1 if rng.random() < 0.5 else -1
        x = side * (road.half_width + rng.uniform(*offsets))
        z = float(rng.uniform(4.0, end))
        tint = np.clip(np.array(colour) * rng.uniform(0.6, 1.4) + rng.normal(0, 14, 3), 8, 245)
        prop = Prop(kind, float(x), z, (height * float(scale), width * float(scale)), int(rng.integers(1 << 30)), tint)
        ground = prop_ground(prop, margin=0.3)
        if not used or not overlap(ground, np.array(used)).any():
            used.append(ground)
            props.append(prop)
    return props


def prop_ground(prop: Prop, margin: float = 0.0) -> Array:
    """Corners (4, 2) of the ground under a prop; of a tree only under its trunk and some crown."""
    width = min(prop.size[1], 1.2) + margin
    return footprint((prop.x, prop.z), 0.0, width, width)


def _random_actors(
    rng: np.random.Generator, road: Road, start: CameraPose, speed: float, duration: float
) -> list[Actor]:
    """Actors that never share ground with each other or with the camera's car."""
    if duration > 0:
        count = int(rng.integers(5, 12)) + int(speed * duration / 7)
    else:
        count = 0 if rng.random() < 0.06 else int(rng.integers(1, 17))
    times = np.arange(0.0, duration + 0.01, 0.4)
    mix = rng.dirichlet([2.6, 2.2, 1.6])
    traffic = _Traffic(road, start, speed, duration, lane_speed=float(rng.uniform(4, 11)))
    actors: list[Actor] = []
    tracks = np.array([[_ego_ground(start, speed, time) for time in times]])
    for _ in range(3 * count):
        if len(actors) == count:
            break
        kind = (CAR, PEDESTRIAN, CYCLIST)[rng.choice(3, p=mix)]
        actor = traffic.place(rng, kind, len(actors))
        track = np.array([actor.ground(time, 0.35) for time in times])
        if not overlap(track[None], tracks).any():
            actors.append(actor)
            tracks = np.concatenate([tracks, track[None]])
    return actors


def _ego_ground(start: CameraPose, speed: float, time: float) -> Array:
    """The camera's car and some air before it."""
    middle = speed * time + 0.5
    centre = (start.x + middle * math.sin(start.heading), start.z + middle * math.cos(start.heading))
    return footprint(centre, start.heading - math.pi / 2, 6.5, 2.0)


@dataclass(frozen=True, slots=True)
class _Traffic:
    """Where actors of each kind may stand, and how fast they go."""

    road: Road
    start: CameraPose
    speed: float
    duration: float
    lane_speed: float

    def place(self, rng: np.random.Generator, kind: int, identity: int) -> Actor:
        """An actor that may still be in somebody's way."""
        near, far = 4.0, 45.0 if rng.random() < 0.85 else 65.0
        z = near + (far - near) * float(rng.random() ** 1.25)
        if self.duration > 0:
            z = float(rng.uniform(near, 60 + self.speed * self.duration))
        if kind == CAR:
            return self._car(rng, z, identity)
        if kind == CYCLIST:
            return self._cyclist(rng, z, identity)
        return self._pedestrian(rng, z, identity)

    def _lane(self, rng: np.random.Generator, inner: float, outer: float) -> tuple[float, float]:
        """A place across the road, and the yaw of its traffic (which keeps right)."""
        side = 1.0 if rng.random() < 0.5 else -1.0
        share = rng.uniform(inner, outer)
        return float(side * share * self.road.half_width), -side * math.pi / 2

    def _car(self, rng: np.random.Generator, z: float, identity: int) -> Actor:
        manner = rng.random()
        x, yaw = self._lane(rng, 0.35, 0.55)
        speed = self.lane_speed if x < 0 else self.speed
        if manner < 0.45:
            x, yaw = math.copysign(self.road.half_width - rng.uniform(0.9, 1.3), x), yaw
            speed = 0.0
            yaw = yaw if rng.random() < 0.8 else -yaw
        elif manner < 0.62 and self.duration == 0:
            x, yaw = rng.uniform(-1.6, 1.6) * self.road.half_width, rng.uniform(-math.pi, math.pi)
        yaw += rng.normal(0, 0.04) if self.duration == 0 else 0.0
        shape = cars.SHAPES[rng.integers(len(cars.SHAPES))]
        grow = {"suv": (1.08, 1.06, 1.04), "van": (1.2, 1.07, 1.08), "hatchback": (0.98, 0.98, 0.93)}
        mean = np.array([1.5, 1.66, 4.1]) * grow.get(shape, (0.96, 1.0, 1.06))
        size = mean * np.clip(rng.normal(1, 0.04, 3), 0.9, 1.1)
        return Actor(
            identity, CAR, float(x), z, float(yaw), float(speed), 0.0,
            (float(size[0]), float(size[1]), float(size[2])), shape=shape, paint=_paint(rng),
        )

    def _cyclist(self, rng: np.random.Generator, z: float, identity: int) -> Actor:
        if rng.random() < 0.65:
            x, yaw = self._lane(rng, 0.6, 0.95)
        else:
            x, yaw = self._lane(rng, 1.05, 1.3)
            yaw = yaw if rng.random() < 0.5 else -yaw
        if rng.random() < 0.25 and self.duration == 0:
            x, yaw = rng.uniform(-1.2, 1.2) * self.road.half_width, rng.uniform(-math.pi, math.pi)
        yaw += rng.normal(0, 0.08) if self.duration == 0 else 0.0
        look = Look.random(rng, walking=True)
        speed = float(rng.uniform(2.5, 5.5))
        return Actor(
            identity, CYCLIST, float(x), z, float(yaw), speed, float(rng.uniform(0, 2 * math.pi)),
            (1.75, 0.65, 1.8), look=look,
        )

    def _pedestrian(self, rng: np.random.Generator, z: float, identity: int) -> Actor:
        road = self.road
        side = 1.0 if rng.random() < 0.5 else -1.0
        x = side * (road.half_width + rng.uniform(0.3, max(road.pavement, 2.0)))
        yaw = rng.choice([-1.0, 1.0]) * math.pi / 2 + rng.normal(0, 0.12)
        if rng.random() < 0.35:
            x, yaw = rng.uniform(-1.0, 1.0) * road.half_width, rng.choice([0.0, math.pi]) + rng.normal(0, 0.3)
        walking = bool(rng.random() < 0.75)
        if not walking and rng.random() < 0.5:
            yaw = rng.uniform(-math.pi, math.pi)
        speed = float(rng.uniform(0.8, 1.7)) if walking else 0.0
        look = Look.random(rng, walking)
        return Actor(
            identity, PEDESTRIAN, float(x), z, float(yaw), speed, float(rng.uniform(0, 2 * math.pi)),
            (1.76, 0.7, 0.9), look=look,
        )


def _paint(rng: np.random.Generator) -> Array:
    """A car's colour: mostly white, grey and black, else anything."""
    if rng.random() < 0.55:
        return _grey(rng, 25, 235, 4)
    colour = rng.uniform(15, 215, 3)
    colour[rng.integers(3)] *= 0.3
    return colour
