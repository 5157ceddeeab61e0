"""A scene seen by a camera: the picture and what of every actor is visible in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from centernet_ros.structures import CameraIntrinsics
from training.data.street.buildings import DEPTH, draw_buildings
from training.data.street.canvas import Bytes, Canvas, Footage, Lens
from training.data.street.geometry import Array, CameraPose, footprints, painter_order
from training.data.street.ground import cast_shadows, paint_ground, paint_sky
from training.data.street.props import prop_mesh
from training.data.street.scene import CAR, Actor, Prop, Scene
from training.data.street.sensor import Sensor
from training.data.street.solids import Solid, solid_at

_ACTORS_SEEN, _PROPS_SEEN, _SHADOWS_SEEN = 70.0, 95.0, 50.0


@dataclass(frozen=True, slots=True, eq=False)
class Sighting:
    """An actor as far as it is in the picture.

    Attributes:
        solid: its geometry in the optical frame.
        instance: its number in the instance map.
        footage: what it covers before others hide it.
        visible: how many of its pixels are not hidden by others.
    """

    solid: Solid
    instance: int
    footage: Footage
    visible: int


@dataclass(frozen=True, slots=True, eq=False)
class Rendering:
    """A picture and what is in it.

    Attributes:
        image: (H, W, 3) uint8 BGR.
        instances: (H, W) uint8 number of the actor that a pixel shows, 0 for none.
        sightings: actors with at least one pixel in the picture, before others hide them.
    """

    image: Bytes
    instances: Bytes
    sightings: list[Sighting]


def render(
    scene: Scene,
    camera: CameraIntrinsics,
    time: float,
    *,
    sensor: Sensor,
    rng: np.random.Generator,
) -> Rendering:
    """A scene after so many seconds.

    Args:
        scene: the street.
        camera: the camera; its place comes from the scene.
        time: seconds.
        sensor: what the camera makes of the light.
        rng: of the noise.
    """
    lens = Lens(camera)
    pose = scene.camera_pose(time)
    light = scene.light.seen_from(pose)
    actors = [
        actor for actor in scene.actors if -6 < actor.position(time)[1] - pose.z < _ACTORS_SEEN
    ]
    props = [prop for prop in scene.props if 1.5 < prop.z - pose.z < _PROPS_SEEN]
    grounds = _footprints(actors, props, time)
    picture = np.empty((*lens.size, 3), dtype=np.uint8)
    paint_sky(picture, scene, light, lens, pose.heading)
    shadows = _shadows(scene, actors, props, grounds, pose)
    paint_ground(picture, scene, light, lens=lens, pose=pose, shadows=shadows)
    canvas = Canvas(lens, picture)
    draw_buildings(canvas, scene.buildings, pose=pose, light=light)
    solids: list[Solid] = []
    order = painter_order(grounds, (pose.x, pose.z)) if len(grounds) else []
    for row in order:
        if row >= len(actors):
            canvas.add(prop_mesh(props[row - len(actors)], pose=pose, light=light).clipped())
            continue
        solids.append(solid_at(actors[row], time, pose=pose, light=light, focal=lens.focal))
        canvas.add(solids[-1].mesh, len(solids))
    footage = canvas.draw()
    sightings = [
        Sighting(solids[number - 1], number, seen, canvas.count(number, seen))
        for number, seen in footage.items()
    ]
    return Rendering(sensor.expose(canvas.picture(), rng), canvas.instances(), sightings)


def _footprints(actors: list[Actor], props: list[Prop], time: float) -> Array:
    """Corners (A + P, 4, 2) x, z under actors and props; of a tree under its trunk."""
    rows = [(*actor.position(time), actor.yaw, actor.size[2], actor.size[1]) for actor in actors]
    rows += [
        (prop.x, prop.z, 0.0, min(prop.size[1], 1.2), min(prop.size[1], 1.2)) for prop in props
    ]
    table = np.array(rows).reshape(-1, 5)
    return footprints(table[:, :2], table[:, 2], table[:, 3:])


def _shadows(
    scene: Scene, actors: list[Actor], props: list[Prop], grounds: Array, pose: CameraPose
) -> Array:
    """Point sets (S, 8, 2) x, z around the shadows on the ground in the world."""
    middles = grounds.mean(axis=1, keepdims=True)
    shares = [0.92 if actor.kind == CAR else 0.45 for actor in actors]
    heights = [actor.size[0] * (0.8 if actor.kind == CAR else 0.95) for actor in actors]
    count = len(actors)
    feet = [
        middles[:count] + (grounds[:count] - middles[:count]) * np.array(shares).reshape(-1, 1, 1)
    ]
    sunny = scene.light.direct > 0.25
    if sunny:
        near = [row for row, prop in enumerate(props, count) if prop.z - pose.z < _SHADOWS_SEEN]
        feet.append(middles[near] + (grounds[near] - middles[near]) * 0.6)
        heights += [props[row - count].size[0] * 0.9 for row in near]
        for house in scene.buildings:
            if house.end > pose.z and house.start < pose.z + _SHADOWS_SEEN:
                x = (
                    np.array([house.front, house.front, house.front + DEPTH, house.front + DEPTH])
                    * house.side
                )
                z = [house.start, house.end, house.end, house.start]
                feet.append(np.stack([x, z], axis=-1)[None])
                heights.append(house.height)
    # Under a closed sky things only darken the ground that they cover.
    return cast_shadows(np.concatenate(feet), np.array(heights) * sunny, scene.light.sun)
