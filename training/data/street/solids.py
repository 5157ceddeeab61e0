"""An actor at one moment, ready to be drawn and to be labelled."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from training.data.street import people, skeleton
from training.data.street.cars import car_mesh
from training.data.street.geometry import Array, CameraPose, Mesh, quantise, rotate_yaw
from training.data.street.light import Light
from training.data.street.people import Bars
from training.data.street.scene import CAR, CYCLIST, Actor
from training.data.street.skeleton import Look

_PHASES = np.linspace(0, 2 * math.pi, 8, endpoint=False)
_CROWN = 0.071


@dataclass(frozen=True, slots=True)
class Solid:
    """Polygons and 3D truth of an actor in the optical frame.

    Attributes:
        actor: whose moment this is.
        mesh: what is drawn, in front of the near plane.
        body: the part of the mesh that is a person; None for a car.
        location: (3,) bottom centre of the 3D box in metres.
        dimensions: (3,) height, width, length in metres; nothing of the mesh is outside.
        yaw: rotation_y in the optical frame, in [-pi, pi].
        points: (22, 3) a person's joints and drawing points; None for a car.
    """

    actor: Actor
    mesh: Mesh
    body: Mesh | None
    location: Array
    dimensions: Array
    yaw: float
    points: Array | None


def solid_at(actor: Actor, time: float, *, pose: CameraPose, light: Light, focal: float) -> Solid:
    """An actor after so many seconds, seen by a camera.

    Args:
        actor: the actor.
        time: seconds.
        pose: the camera at that time.
        light: the light in the optical frame.
        focal: pixels of the drawing surface, which decides how much detail is worth drawing.
    """
    x, z = actor.position(time)
    location = pose.to_camera(np.array([x, 0.0, z]))
    yaw = math.remainder(actor.yaw - pose.heading, 2 * math.pi)
    pixels_per_metre = focal / max(float(location[2]), 1.0)
    placed = (location, yaw)
    if actor.kind == CAR:
        assert actor.paint is not None
        mesh = car_mesh(
            actor.shape,
            actor.size,
            actor.paint,
            pose=placed,
            light=light,
            detailed=pixels_per_metre > 16,
        ).clipped()
        return Solid(actor, mesh, None, location, np.array(actor.size), yaw, None)
    assert actor.look is not None
    return _person(
        actor, actor.phase_at(time), actor.look, placed, light=light, scale=pixels_per_metre
    )


def _person(
    actor: Actor,
    phase: float,
    look: Look,
    placed: tuple[Array, float],
    *,
    light: Light,
    scale: float,
) -> Solid:
    """A pedestrian, or a rider with the bicycle."""
    riding = actor.kind == CYCLIST
    joints = skeleton.riding_points if riding else skeleton.walking_points
    cycle = joints(look, np.concatenate([[phase], _PHASES]))
    body = people.body_bars(cycle[0], look)
    parts = [people.bars_mesh(body, look, pose=placed, light=light, detailed=scale > 20)]
    bicycle: Bars | None = None
    if riding:
        bicycle = people.bicycle_bars(phase, 14 if scale > 20 else 8)
        mesh = people.bars_mesh(bicycle, look, pose=placed, light=light, detailed=False)
        # Rider and bicycle interleave: the leg on the far side belongs behind the frame.
        parts = [mesh, parts[0]]
    points = quantise(rotate_yaw(cycle[0], placed[1]) + placed[0])
    if scale > 60:
        parts.append(people.face_details(points, look, light=light))
    meshes = [part.clipped() for part in parts]
    return Solid(
        actor,
        Mesh.join(meshes),
        meshes[-2] if scale > 60 else meshes[-1],
        placed[0],
        _dimensions(cycle, look, body, bicycle),
        placed[1],
        points,
    )


def _dimensions(cycle: Array, look: Look, body: Bars, bicycle: Bars | None) -> Array:
    """Height, width, length (3,) of the box around a whole gait cycle, symmetric about the origin.

    Labels of real drives keep a person's dimensions through a track, so the swing of the limbs
    must not change them.
    """
    reach = np.abs(cycle).max(axis=(0, 1)) + 0.032 * look.height * look.girth
    lows, highs = zip(*(bars.extent() for bars in (body, bicycle) if bars is not None), strict=True)
    reach = np.maximum(reach, np.maximum(np.abs(lows).max(axis=0), np.abs(highs).max(axis=0)))
    height = max(
        float(-min(low[1] for low in lows)), float(-cycle[..., 1].min()) + _CROWN * look.height
    )
    # NOTE: the crown is above every eye and shoulder, so the topmost joint plus the hair bounds
    # the height.
    return quantise(np.array([height, 2 * reach[2], 2 * reach[0]]))
