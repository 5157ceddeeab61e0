"""Random streets: who and what stands where, so that nothing runs into anything."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.data.street import cars
from training.data.street.geometry import Array, CameraPose, footprints, overlaps
from training.data.street.light import Light
from training.data.street.scene import (
    AHEAD,
    CAR,
    CYCLIST,
    PEDESTRIAN,
    Actor,
    Building,
    Prop,
    Road,
    Scene,
)
from training.data.street.skeleton import Look


def random_scene(rng: np.random.Generator, duration: float = 0.0) -> Scene:
    """A street, furnished for a drive of so many seconds (0: one picture)."""
    light = Light.random(rng)
    moving = duration > 0
    road = _random_road(rng, duration)
    lane, heading = road.half_width * 0.5 + rng.uniform(-0.4, 0.4), rng.normal(0, 0.03)
    if moving:
        heading = 0.0
    elif rng.random() < 0.15:
        lane, heading = rng.uniform(-1.3, 1.3) * road.half_width, rng.normal(0, 0.15)
    start = CameraPose(float(lane), 0.0, float(rng.uniform(1.4, 1.9)), float(heading))
    speed = float(rng.uniform(3.0, 9.0)) if moving else 0.0
    end = AHEAD + speed * duration
    actors = _random_actors(rng, _Traffic(road, start, speed, duration, float(rng.uniform(4, 11))))
    return Scene(
        light=light,
        road=road,
        buildings=tuple(_random_buildings(rng, road, end)),
        props=tuple(_random_props(rng, road, end, actors)),
        actors=tuple(actors),
        start=start,
        speed=speed,
        sky_place=(int(rng.integers(1024)), int(rng.integers(128))),
        clouds=float(rng.uniform(0 if light.direct > 0.3 else 0.2, 1)),
    )


def _grey(rng: np.random.Generator, low: float, high: float, spread: float = 6.0) -> Array:
    return np.clip(rng.uniform(low, high) + rng.normal(0, spread, 3), 5, 250)


def _random_road(rng: np.random.Generator, duration: float) -> Road:
    half_width = float(rng.uniform(3.4, 7.5))
    lanes = max(2, round(2 * half_width / 3.5))
    marked = rng.random() < 0.8
    lines = np.linspace(-half_width, half_width, lanes + 1)[1 : -1 if marked else 1]
    count = int(rng.integers(0, 3)) if duration == 0 else 1 + int(duration / 6)
    grassy = rng.random() < 0.6
    green = np.array([50.0, 110.0, 85.0]) * rng.uniform(0.6, 1.2) + rng.normal(0, 8, 3)
    return Road(
        half_width=half_width,
        pavement=float(rng.uniform(1.8, 4.5)),
        dashes=tuple(float(x) for x in lines),
        dash_length=float(rng.uniform(1.5, 3.5)),
        crossings=tuple(float(z) for z in rng.uniform(8, AHEAD + 9 * duration, count)),
        asphalt=_grey(rng, 70, 135, 4),
        paving=_grey(rng, 115, 190, 4),
        verge=green if grassy else _grey(rng, 90, 170, 9),
        grain_place=(int(rng.integers(512)), int(rng.integers(512))),
    )


def _random_buildings(rng: np.random.Generator, road: Road, end: float) -> list[Building]:
    buildings = []
    density = rng.choice([0.0, 0.5, 0.95], p=[0.12, 0.28, 0.6])
    for side in (-1, 1):
        attached = False
        setback = road.half_width + road.pavement + rng.uniform(0.0, 7.0)
        z = float(rng.uniform(-25, -10))
        while z < end:
            length = float(rng.uniform(8, 26))
            if rng.random() < density:
                buildings.append(_random_building(rng, side, setback, (z, z + length), attached))
            gap = float(rng.uniform(0, 12)) if rng.random() < 0.35 else 0.0
            attached = gap == 0 and bool(buildings) and buildings[-1].end == z + length
            z += length + gap
    return buildings


def _random_building(
    rng: np.random.Generator, side: int, setback: float, reach: tuple[float, float], attached: bool
) -> Building:
    storeys = int(rng.integers(1, 7))
    pitched = rng.random() < 0.5 and storeys < 5
    warmth = rng.uniform(-1, 1) * np.array([-35.0, 0.0, 30.0])
    return Building(
        side=side,
        front=float(setback + rng.uniform(0, 1.5)),
        start=reach[0],
        end=reach[1],
        attached=attached,
        height=storeys * float(rng.uniform(2.8, 3.5)),
        roof=float(rng.uniform(1.5, 4)) if pitched else 0.0,
        wall=np.clip(_grey(rng, 80, 215, 10) + warmth, 10, 250),
        window=_grey(rng, 40, 130, 10) + np.array([12, 4, 0]),
        storeys=storeys,
        columns=max(1, round((reach[1] - reach[0]) / float(rng.uniform(2.2, 4.2)))),
        pane=(float(rng.uniform(0.35, 0.7)), float(rng.uniform(0.4, 0.65))),
    )


# Columns: kind; rough height and width in metres; share; nearest and farthest distance from the
# kerb; blue, green, red.
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
    ("traffic_light", 3.2, 0.3, 0.03, (0.4, 0.8), (40, 40, 40)),
)


def _random_props(
    rng: np.random.Generator, road: Road, end: float, actors: list[Actor]
) -> list[Prop]:
    """Street furniture, clear of each other and of where actors stand at the beginning."""
    count = int(rng.uniform(0.05, 0.33) * end)
    shares = np.array([row[3] for row in _PROPS])
    rows = rng.choice(len(_PROPS), count, p=shares / shares.sum())
    sizes = np.array([row[1:3] for row in _PROPS])[rows] * rng.uniform(0.75, 1.3, (count, 1))
    nearest, farthest = np.array([row[4] for row in _PROPS])[rows].T
    x = (road.half_width + nearest + (farthest - nearest) * rng.random(count)) * rng.choice(
        [-1, 1], count
    )
    places = np.stack([x, rng.uniform(4.0, end, count)], axis=-1)
    colours = np.array([row[5] for row in _PROPS])[rows] * rng.uniform(0.6, 1.4, (count, 1))
    colours = np.clip(colours + rng.normal(0, 14, (count, 3)), 8, 245)
    variations = rng.uniform(-1, 1, (count, 64))
    centres, radii = _discs(actors)
    props = []
    for row in range(count):
        radius = min(float(sizes[row, 1]), 1.2) * 0.5 + 0.2
        distances = np.hypot(*(centres - places[row]).T)
        if (distances > radii + radius).all():
            centres, radii = np.concatenate([centres, places[row, None]]), np.append(radii, radius)
            size = (float(sizes[row, 0]), float(sizes[row, 1]))
            place = (float(places[row, 0]), float(places[row, 1]))
            props.append(Prop(_PROPS[rows[row]][0], *place, size, variations[row], colours[row]))
    return props


def _discs(actors: list[Actor]) -> tuple[Array, Array]:
    """Centres (3A, 2) and radii (3A,) of three discs that cover each actor's ground."""
    if not actors:
        return np.zeros((0, 2)), np.zeros(0)
    middles = np.array([actor.position(0.0) for actor in actors])
    forward = np.array([[math.cos(actor.yaw), -math.sin(actor.yaw)] for actor in actors])
    sizes = np.array([actor.size for actor in actors])
    third = (forward * sizes[:, 2:] / 3)[:, None] * np.array([[-1.0], [0.0], [1.0]])
    radii = np.hypot(sizes[:, 1] / 2, sizes[:, 2] / 6) + 0.2
    return (middles[:, None] + third).reshape(-1, 2), np.repeat(radii, 3)


@dataclass(frozen=True, slots=True, eq=False)
class _Spot:
    """A way through the street that a new actor could take."""

    kind: int
    x: float
    z: float
    yaw: float
    speed: float
    size: tuple[float, float, float]
    shape: str = ""


def _random_actors(rng: np.random.Generator, traffic: _Traffic) -> list[Actor]:
    """Actors that never share ground with each other or with the camera's car."""
    drive = traffic.duration > 0
    if drive:
        count = int(rng.integers(8, 15)) + int(traffic.speed * traffic.duration / 4)
    else:
        count = 0 if rng.random() < 0.06 else int(rng.integers(1, 17))
    mix = rng.dirichlet([2.6, 2.2, 1.6])
    spots = [
        traffic.spot(rng, (CAR, PEDESTRIAN, CYCLIST)[rng.choice(3, p=mix)])
        for _ in range(count + count // 2)
    ]
    if not spots:
        return []
    collide = _collisions(spots, traffic)
    chosen: list[int] = []
    for row in range(len(spots)):
        if len(chosen) < count and not collide[row, chosen].any() and not collide[row, -1]:
            chosen.append(row)
    return [_settle(rng, spots[row], identity) for identity, row in enumerate(chosen)]


def _collisions(spots: list[_Spot], traffic: _Traffic) -> npt.NDArray[np.bool_]:
    """Which pairs (S + 1, S + 1) ever share ground; the last row is the camera's car."""
    centres = np.array([[spot.x, spot.z] for spot in spots] + [[traffic.start.x, 0.8]])
    yaws = np.array([spot.yaw for spot in spots] + [traffic.start.heading - math.pi / 2])
    sizes = np.array([[spot.size[2], spot.size[1]] for spot in spots] + [[6.0, 1.9]]) + 0.35
    speeds = np.array([spot.speed for spot in spots] + [traffic.speed])
    velocity = speeds[:, None] * np.stack([np.cos(yaws), -np.sin(yaws)], axis=-1)
    collide = np.zeros((len(centres), len(centres)), dtype=np.bool_)
    for time in np.arange(0.0, traffic.duration + 0.01, 0.3):
        collide |= overlaps(footprints(centres + velocity * time, yaws, sizes))
    return collide


def _settle(rng: np.random.Generator, spot: _Spot, identity: int) -> Actor:
    """The actor that takes a spot, with its looks."""
    car = spot.kind == CAR
    return Actor(
        identity=identity,
        kind=spot.kind,
        x=spot.x,
        z=spot.z,
        yaw=spot.yaw,
        speed=spot.speed,
        phase=float(rng.uniform(0, 2 * math.pi)),
        size=spot.size,
        shape=spot.shape,
        paint=_paint(rng) if car else None,
        look=None if car else Look.random(rng, spot.speed > 0),
    )


def _paint(rng: np.random.Generator) -> Array:
    """A car's colour: mostly white, grey and black, else anything."""
    if rng.random() < 0.55:
        return _grey(rng, 25, 235, 4)
    colour = rng.uniform(15, 215, 3)
    colour[rng.integers(3)] *= 0.3
    return colour


_GROWTH = {"suv": (1.08, 1.06, 1.04), "van": (1.2, 1.07, 1.08), "hatchback": (0.98, 0.98, 0.93)}


@dataclass(frozen=True, slots=True, eq=False)
class _Traffic:
    """Where actors of each kind may be, and how fast they go.

    Attributes:
        road: the ground's plan.
        start: the camera at time 0.
        speed: of the camera, metres a second.
        duration: seconds, 0 for one picture.
        lane_speed: of the oncoming cars, metres a second.
    """

    road: Road
    start: CameraPose
    speed: float
    duration: float
    lane_speed: float

    def spot(self, rng: np.random.Generator, kind: int) -> _Spot:
        """A place and a way to go that may still be somebody else's."""
        far = 45.0 if rng.random() < 0.85 else 65.0
        z = 4.0 + (far - 4.0) * float(rng.random() ** 1.25)
        if self.duration > 0:
            z = float(rng.uniform(4.0, 60 + self.speed * self.duration))
        if kind == CAR:
            return self._car(rng, z)
        return self._cyclist(rng, z) if kind == CYCLIST else self._pedestrian(rng, z)

    def _lane(self, rng: np.random.Generator, inner: float, outer: float) -> tuple[float, float]:
        """A place across the road, and the yaw of its traffic, which keeps right."""
        side = 1.0 if rng.random() < 0.5 else -1.0
        return float(side * rng.uniform(inner, outer) * self.road.half_width), -side * math.pi / 2

    def _anywhere(self, rng: np.random.Generator, reach: float) -> tuple[float, float]:
        """A place on or beside the road and any yaw, for single pictures: nobody drives so."""
        return float(rng.uniform(-reach, reach) * self.road.half_width), float(
            rng.uniform(-math.pi, math.pi)
        )

    def _car(self, rng: np.random.Generator, z: float) -> _Spot:
        manner, single = rng.random(), self.duration == 0
        x, yaw = self._lane(rng, 0.35, 0.55)
        # All cars of a lane keep its speed, so that none runs into another; the camera's lane
        # keeps the camera's.
        speed = self.lane_speed if x < 0 else self.speed
        if manner < 0.45:
            x, speed = math.copysign(self.road.half_width - rng.uniform(0.9, 1.3), x), 0.0
            yaw = yaw if rng.random() < 0.8 else -yaw
        elif manner < 0.65 and single:
            x, yaw = self._anywhere(rng, 1.6)
        yaw += rng.normal(0, 0.04) if single else 0.0
        shape = cars.SHAPES[rng.integers(len(cars.SHAPES))]
        mean = np.array([1.5, 1.66, 4.1]) * _GROWTH.get(shape, (0.96, 1.0, 1.06))
        height, width, length = (float(v) for v in mean * np.clip(rng.normal(1, 0.04, 3), 0.9, 1.1))
        return _Spot(CAR, x, z, float(yaw), float(speed), (height, width, length), shape)

    def _cyclist(self, rng: np.random.Generator, z: float) -> _Spot:
        single = self.duration == 0
        x, yaw = self._lane(rng, 0.6, 0.95)
        if rng.random() < 0.35:
            x, yaw = self._lane(rng, 1.05, 1.3)
            yaw = yaw if rng.random() < 0.5 else -yaw
        if single and rng.random() < 0.3:
            x, yaw = self._anywhere(rng, 1.2)
        yaw += rng.normal(0, 0.08) if single else 0.0
        return _Spot(CYCLIST, x, z, float(yaw), float(rng.uniform(2.5, 5.5)), (1.75, 0.65, 1.8))

    def _pedestrian(self, rng: np.random.Generator, z: float) -> _Spot:
        road = self.road
        side = 1.0 if rng.random() < 0.5 else -1.0
        x = side * (road.half_width + rng.uniform(0.3, max(road.pavement, 2.0)))
        yaw = rng.choice([-1.0, 1.0]) * math.pi / 2 + rng.normal(0, 0.12)
        if rng.random() < 0.35:
            x, yaw = (
                rng.uniform(-1.0, 1.0) * road.half_width,
                rng.choice([0.0, math.pi]) + rng.normal(0, 0.3),
            )
        speed = float(rng.uniform(0.8, 1.7)) if rng.random() < 0.75 else 0.0
        if speed == 0 and rng.random() < 0.5:
            yaw = rng.uniform(-math.pi, math.pi)
        return _Spot(PEDESTRIAN, float(x), z, float(yaw), speed, (1.76, 0.7, 0.9))
