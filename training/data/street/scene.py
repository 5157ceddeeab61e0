"""What stands and moves where in a street, and its state at a moment."""

from __future__ import annotations

import math
from dataclasses import dataclass

from training.data.street.geometry import Array, CameraPose
from training.data.street.light import Light
from training.data.street.skeleton import Look

PEDESTRIAN, CAR, CYCLIST = range(3)

AHEAD = 95.0
"""Metres ahead of the camera up to which the street is furnished."""


@dataclass(frozen=True, slots=True, eq=False)
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


@dataclass(frozen=True, slots=True, eq=False)
class Prop:
    """Something that stands still and carries no label.

    Attributes:
        kind: name of a function of props.py.
        x: metres to the right of the road's middle.
        z: metres along the road.
        size: height, width in metres.
        variation: (64,) numbers in [-1, 1] that tell it from others of its kind.
        colour: (3,) main colour.
    """

    kind: str
    x: float
    z: float
    size: tuple[float, float]
    variation: Array
    colour: Array


@dataclass(frozen=True, slots=True, eq=False)
class Building:
    """A block with its front to the road.

    Attributes:
        side: 1 to the right of the road, -1 to the left.
        front: metres from the road's middle to the front.
        start: z of its near end.
        end: z of its far end.
        attached: whether its near end touches the next building.
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
    attached: bool
    height: float
    roof: float
    wall: Array
    window: Array
    storeys: int
    columns: int
    pane: tuple[float, float]


@dataclass(frozen=True, slots=True, eq=False)
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
        grain_place: x, y of the ground's grain in its texture.
    """

    half_width: float
    pavement: float
    dashes: tuple[float, ...]
    dash_length: float
    crossings: tuple[float, ...]
    asphalt: Array
    paving: Array
    verge: Array
    grain_place: tuple[int, int]


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """A street with everything in it.

    Attributes:
        light: sun and air in the world frame.
        road: the ground's plan.
        buildings: on both sides, in any order.
        props: unlabelled things.
        actors: labelled things.
        start: the camera at time 0.
        speed: of the camera along its heading, metres a second.
        sky_place: x, y of the clouds in their texture.
        clouds: strength of the clouds from 0 to 1.
    """

    light: Light
    road: Road
    buildings: tuple[Building, ...]
    props: tuple[Prop, ...]
    actors: tuple[Actor, ...]
    start: CameraPose
    speed: float
    sky_place: tuple[int, int]
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
