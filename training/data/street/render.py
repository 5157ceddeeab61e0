"""A scene seen by a camera: the picture and what of every actor is visible in it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from centernet_ros.structures import CameraIntrinsics
from training.data.street import backdrop
from training.data.street.canvas import Bytes, Canvas, Lens
from training.data.street.geometry import NEAR, Array, CameraPose, Mesh, footprint, painter_order
from training.data.street.light import Light
from training.data.street.props import prop_mesh
from training.data.street.scene import CAR, Actor, Prop, Scene, prop_ground
from training.data.street.solids import Solid, solid_at


@dataclass(frozen=True, slots=True)
class Sighting:
    """An actor as far as it is in the picture.

    Attributes:
        solid: its geometry in the optical frame.
        instance: its number in the instance map.
        extent: (4,) x1, y1, x2, y2 of its geometry in pixels, neither clipped nor hidden by others.
        pixels: how many pixels of the drawing surface it covers alone.
        visible: how many of them are not hidden by others.
    """

    solid: Solid
    instance: int
    extent: Array
    pixels: int
    visible: int


@dataclass(frozen=True, slots=True)
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


def render(scene: Scene, camera: CameraIntrinsics, time: float, rng: np.random.Generator) -> Rendering:
    """A scene after so many seconds.

    Args:
        scene: the street.
        camera: the camera; its place comes from the scene.
        time: seconds.
        rng: for what differs from picture to picture: exposure, blur and noise.
    """
    lens = Lens(camera)
    pose = scene.camera_pose(time)
    light = scene.light.seen_from(pose)
    actors = [actor for actor in scene.actors if _ahead(actor.position(time), pose, 70.0)]
    props = [prop for prop in scene.props if _ahead((prop.x, prop.z), pose, 95.0)]
    props = [prop for prop in props if prop.z - pose.z > 1.5]
    picture = np.empty((*lens.size, 3), dtype=np.uint8)
    backdrop.paint_sky(picture, scene, light, lens, pose.heading)
    shadows = _shadows(scene, actors, props, time, pose)
    backdrop.paint_ground(picture, scene, light, lens=lens, pose=pose, shadows=shadows)
    canvas = Canvas(lens, picture)
    for building in sorted(scene.buildings, key=lambda building: -building.start):
        if building.start - pose.z < 130:
            backdrop.draw_building(canvas, building, pose=pose, light=light)
    sightings = _draw_things(canvas, actors, props, time=time, pose=pose, light=light)
    counted = [
        Sighting(s.solid, s.instance, s.extent, s.pixels, canvas.count(s.instance, _clip(s.extent, lens)))
        for s in sightings
    ]
    return Rendering(_expose(canvas.picture(), rng), canvas.instances(), counted)


def _ahead(place: tuple[float, float], pose: CameraPose, limit: float) -> bool:
    return -6.0 < place[1] - pose.z < limit


def _shadows(
    scene: Scene, actors: list[Actor], props: list[Prop], time: float, pose: CameraPose
) -> list[Array]:
    """Outlines (K, 2) x, z of shadows on the ground in the world."""
    sun, outlines = scene.light.sun, []
    if scene.light.direct > 0.25:
        for building in scene.buildings:
            if building.end > pose.z and building.start < pose.z + 90:
                outlines.append(backdrop.building_shadow(building, sun))
        for prop in props:
            if prop.z - pose.z < 45:
                width = prop.size[1] * 0.5
                outlines.append(
                    backdrop.cast_shadow(footprint((prop.x, prop.z), 0.0, width, width), prop.size[0] * 0.9, sun)
                )
    for actor in actors:
        height, width, length = actor.size
        share = 0.9 if actor.kind == CAR else 0.45
        foot = footprint(actor.position(time), actor.yaw, length * share, width * share)
        reach = height * (0.75 if actor.kind == CAR else 0.95) if scene.light.direct > 0.25 else 0.0
        outlines.append(backdrop.cast_shadow(foot, reach, sun))
    return outlines


def _draw_things(
    canvas: Canvas, actors: list[Actor], props: list[Prop], *, time: float, pose: CameraPose, light: Light
) -> list[Sighting]:
    """Draw actors and props from far to near; visible counts are those right after drawing."""
    sightings: list[Sighting] = []
    grounds = [actor.ground(time) for actor in actors] + [prop_ground(prop) for prop in props]
    if not grounds:
        return sightings
    focal = canvas.lens.focal * 2
    for row in painter_order(np.array(grounds), (pose.x, pose.z)):
        if row >= len(actors):
            canvas.draw(prop_mesh(props[row - len(actors)], pose=pose, light=light).clipped())
            continue
        solid = solid_at(actors[row], time, pose=pose, light=light, focal=focal)
        extent = mesh_extent(solid.mesh, canvas.lens)
        if extent is None:
            continue
        instance = len(sightings) + 1
        canvas.draw(solid.mesh, instance)
        pixels = canvas.count(instance, _clip(extent, canvas.lens))
        if pixels:
            sightings.append(Sighting(solid, instance, extent, pixels, pixels))
    return sightings


def mesh_extent(mesh: Mesh, lens: Lens) -> Array | None:
    """Box (4,) around a mesh in pixels; None where it is not in the picture."""
    if not len(mesh.vertices):
        return None
    corners = lens.project(mesh.vertices)
    low, high = corners.min(axis=0), corners.max(axis=0)
    height, width = lens.size
    if low[0] > width - 1 or low[1] > height - 1 or high[0] < 0 or high[1] < 0:
        return None
    return np.concatenate([low, high])


def _clip(extent: Array, lens: Lens) -> list[float]:
    height, width = lens.size
    return [float(v) for v in np.clip(extent, 0, (width - 1, height - 1, width - 1, height - 1))]


@lru_cache(maxsize=1)
def _sensor_noise() -> Bytes:
    """Noise (1024, 2048, 3) about 128, made of whole numbers only."""
    rng = np.random.default_rng(7)
    total = sum(rng.integers(0, 64, (1024, 2048, 3), dtype=np.uint8) for _ in range(4))
    return np.asarray(total + 2, dtype=np.uint8)


def _expose(picture: Bytes, rng: np.random.Generator) -> Bytes:
    """Exposure, colour balance, blur and noise of a real camera."""
    gain, gamma = np.exp2(rng.normal(0, 0.25)), np.exp2(rng.normal(0, 0.2))
    balance = np.exp2(rng.normal(0, 0.06, 3))
    levels = np.arange(256)[:, None] / 255
    curve = np.clip((levels * balance * gain) ** gamma, 0, 1) * 255
    picture = cv2.LUT(picture, np.rint(curve).astype(np.uint8)[:, None, :])  # type: ignore[assignment]
    if rng.random() < 0.35:
        picture = cv2.GaussianBlur(picture, (3, 3), 0)  # type: ignore[assignment]
    strength = int(rng.integers(1, 9)) / 64
    height, width = picture.shape[:2]
    bank = _sensor_noise()
    y, x = int(rng.integers(1024)), int(rng.integers(2048))
    if height + y > bank.shape[0] or width + x > bank.shape[1]:
        rows, columns = np.arange(y, y + height) % 1024, np.arange(x, x + width) % 2048
        patch = bank[rows][:, columns]
    else:
        patch = bank[y : y + height, x : x + width]
    noisy = cv2.addWeighted(picture, 1.0, patch, strength, -128 * strength)
    return np.asarray(noisy, dtype=np.uint8)
