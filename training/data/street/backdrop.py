"""Everything behind the things on the street: sky, ground with shadows, and buildings."""

from __future__ import annotations

import math
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from training.data.street.canvas import Bytes, Canvas, Lens, fill
from training.data.street.geometry import Array, CameraPose, Mesh, clip_near, quantise
from training.data.street.light import Light
from training.data.street.scene import Building, Road, Scene

Floats = npt.NDArray[np.float32]

_FAR = 400.0
_GRAIN = 14.0
"""Texels of the ground's grain per metre."""


@lru_cache(maxsize=1)
def _noise() -> tuple[Bytes, Bytes]:
    """Tileable grain (512, 512) for the ground and clouds (256, 1024) for the sky."""
    rng = np.random.default_rng(20)
    grain = np.zeros((512, 512))
    for cell, weight in ((1, 16.0), (4, 12.0), (32, 14.0), (128, 12.0)):
        coarse = rng.integers(-128, 128, (512 // cell, 512 // cell)) / 128
        coarse = np.pad(coarse, 2, mode="wrap")
        fine = cv2.resize(coarse, None, fx=cell, fy=cell, interpolation=cv2.INTER_LINEAR)
        grain += weight * fine[2 * cell : 2 * cell + 512, 2 * cell : 2 * cell + 512]
    clouds = np.zeros((256, 1024))
    for cell, weight in ((8, 18.0), (16, 30.0), (32, 60.0), (64, 80.0)):
        coarse = np.pad(rng.integers(-128, 128, (256 // cell, 512 // cell)) / 128, 2, mode="wrap")
        fine = cv2.resize(coarse, None, fx=2 * cell, fy=cell, interpolation=cv2.INTER_CUBIC)
        clouds += weight * fine[2 * cell : 2 * cell + 256, 4 * cell : 4 * cell + 1024]
    return (
        np.clip(np.rint(grain + 128), 0, 255).astype(np.uint8),
        np.clip(np.rint(clouds * 2 + 60), 0, 255).astype(np.uint8),
    )


def horizon(lens: Lens) -> int:
    """First row of pixels that shows ground."""
    return int(np.clip(math.floor(lens.rows[1][2]) + 1, 0, lens.size[0]))


def paint_sky(picture: Bytes, scene: Scene, light: Light, lens: Lens, heading: float) -> None:
    """Fill the rows above the horizon."""
    height, width = horizon(lens), lens.size[1]
    if height == 0:
        return
    # Some rows beyond the horizon: where the ground ends, it has faded into the same colour.
    up = np.arange(height, 0, -1, dtype=np.float32)[:, None] / np.float32(lens.focal)
    share = np.minimum(up * 2.2, 1.0).astype(np.float32)
    deep = np.array([215, 150, 95]) if scene.light.direct > 0.3 else np.array([185, 178, 170])
    rows = light.air * (1 - share) + deep * (light.tint * light.air.mean() / 215) * share
    clouds = _noise()[1]
    rng = np.random.default_rng(scene.sky_seed)
    x = int(rng.integers(1024) + 1024 * 4 * heading / (2 * math.pi))
    y = int(rng.integers(0, 128))
    span = int(np.clip(1024 * width / lens.rows[0][0] * 0.35, 8, 1000))
    band = np.take(clouds[y : y + int(np.clip(256 * height / lens.focal, 8, 128))], range(x, x + span), 1, mode="wrap")
    alpha = cv2.resize(band, (width, height), interpolation=cv2.INTER_LINEAR)
    cover = (alpha.astype(np.float32) * np.float32(scene.clouds / 255) * np.minimum(share * 3, 1))[..., None]
    white = np.float32(min(light.air.mean() * 1.12, 250))
    sky = rows.astype(np.float32)[:, None, :]
    picture[:height] = np.rint(np.clip(sky + (white - sky) * cover, 0, 255)).astype(np.uint8)


def paint_ground(
    picture: Bytes, scene: Scene, light: Light, *, lens: Lens, pose: CameraPose, shadows: list[Array]
) -> None:
    """Fill the rows from the horizon down.

    Args:
        picture: (H, W, 3) is written to.
        scene: road, and the seed of the grain.
        light: the light in the optical frame.
        lens: the camera.
        pose: where it stands.
        shadows: outlines (K, 2) x, z in the world of what keeps the sun from the ground.
    """
    top = horizon(lens)
    if top >= lens.size[0]:
        return
    up = np.array([[0.0, -1.0, 0.0]])

    def lit(colour: Array) -> list[float]:
        return [float(value) for value in np.rint(light.shade(colour[None], up)[0])]

    picture[top:] = lit(scene.road.verge)
    for corners, colour in _ground_polygons(scene.road, pose.z):
        _fill_ground(picture, corners, lit(colour), lens, pose)
    ground = picture[top:].astype(np.float32)
    depth, gain = _grain(scene.road, lens, pose, top)
    gain *= _sunshine(light, shadows, lens=lens, pose=pose)[top:].astype(np.float32) / np.float32(255)
    clear = np.exp(-depth / light.visibility)
    clear = (np.rint(clear * 4096) / 4096).astype(np.float32)[:, None, None]
    ground = ground * gain[..., None] * clear + light.air.astype(np.float32) * (1 - clear)
    picture[top:] = np.rint(np.clip(ground, 0, 255)).astype(np.uint8)


def _ground_polygons(road: Road, z: float) -> list[tuple[Array, Array]]:
    """Rectangles (4, 2) x, z with their colours, lowest first, around a camera at z."""
    near, far = z - 5, z + _FAR
    edge, outer = road.half_width, road.half_width + road.pavement
    white = np.array([215.0, 218.0, 218.0])
    polygons = [
        (_rectangle(-outer, outer, near, far), road.paving),
        (_rectangle(-edge - 0.25, edge + 0.25, near, far), np.minimum(road.paving * 1.2, 235)),
        (_rectangle(-edge - 0.08, edge + 0.08, near, far), road.paving * 0.55),
        (_rectangle(-edge, edge, near, far), road.asphalt),
    ]
    if road.dashes:
        polygons += [(_rectangle(s - 0.07, s + 0.07, near, far), white) for s in (0.35 - edge, edge - 0.35)]
    period = 3 * road.dash_length
    first = math.floor(near / period) * period
    for x in road.dashes:
        for step in range(int(90 / period) + 1):
            start = first + step * period
            polygons.append((_rectangle(x - 0.07, x + 0.07, start, start + road.dash_length), white))
    for place in road.crossings:
        if z - 5 < place < z + 80:
            bars = np.arange(-edge + 0.5, edge - 0.6, 1.0)
            polygons += [(_rectangle(x, x + 0.5, place, place + 3.0), white) for x in bars]
    return polygons


def _rectangle(x1: float, x2: float, z1: float, z2: float) -> Array:
    return np.array([[x1, z1], [x2, z1], [x2, z2], [x1, z2]])


def _fill_ground(
    picture: Bytes, corners: Array, colour: list[float] | float, lens: Lens, pose: CameraPose
) -> None:
    """Draw a convex outline (K, 2) x, z of the world."""
    outline = pose.to_camera(np.stack([corners[:, 0], 0 * corners[:, 0], corners[:, 1]], axis=-1))
    if outline[:, 2].min() < 1.0:
        outline = clip_near(outline)
    if len(outline) > 2:
        fill(picture, lens.project(outline), colour)


def _grain(road: Road, lens: Lens, pose: CameraPose, top: int) -> tuple[Array, Floats]:
    """Depths (R,) of the rows below the horizon in metres, and their brightness (R, W)."""
    height, width = lens.size
    rows = lens.rows
    down = (np.arange(top, height) - rows[1][2]) / rows[1][1]
    depth = pose.height / np.maximum(down, 1e-3)
    across = (np.arange(width) - rows[0][2]) / rows[0][0]
    cos, sin = (float(quantise(np.array(f(pose.heading)))) for f in (math.cos, math.sin))
    z = depth[:, None].astype(np.float32)
    x = z * across.astype(np.float32)
    shift = np.random.default_rng(road.seed).integers(0, 512, 2)
    map_x = (x * np.float32(cos) + z * np.float32(sin) + np.float32(pose.x)) * np.float32(_GRAIN)
    map_z = (z * np.float32(cos) - x * np.float32(sin)) * np.float32(_GRAIN)
    map_x += np.float32(shift[0])
    map_z += np.float32((pose.z * _GRAIN + shift[1]) % 512)
    np.clip(map_x, -30000, 30000, out=map_x)
    np.clip(map_z, -30000, 30000, out=map_z)
    grain = cv2.remap(_noise()[0], map_x, map_z, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    strength = (0.0045 / (1 + depth / 12)).astype(np.float32)[:, None]
    return depth, 1 + (grain.astype(np.float32) - 128) * strength


def _sunshine(light: Light, shadows: list[Array], *, lens: Lens, pose: CameraPose) -> Bytes:
    """Share (H, W) of the light that reaches the ground, 255 for all."""
    lit = np.full(lens.size, 255, dtype=np.uint8)
    sun = light.direct * max(-float(light.sun[1]), 0.0)
    level = 255 * light.ambient / (light.ambient + sun)
    for outline in shadows:
        _fill_ground(lit, outline, float(np.rint(level)), lens, pose)
    blurred: Bytes = cv2.GaussianBlur(lit, (3, 3), 0).astype(np.uint8, copy=False)
    return blurred


_DEPTH = 11.0


def building_shadow(building: Building, sun: Array) -> Array:
    """Outline (K, 2) x, z of a building's shadow; sun is in the world frame."""
    x = sorted((building.side * building.front, building.side * (building.front + _DEPTH)))
    return cast_shadow(_rectangle(x[0], x[1], building.start, building.end), building.height, sun)


def cast_shadow(foot: Array, height: float, sun: Array) -> Array:
    """Outline (K, 2) x, z of the shadow of an upright prism on the ground (K', 2)."""
    moved = foot - sun[[0, 2]] / max(-float(sun[1]), 0.2) * height
    outline = cv2.convexHull(np.concatenate([foot, moved]).astype(np.float32))
    return outline.reshape(-1, 2).astype(np.float64)


def draw_building(canvas: Canvas, building: Building, *, pose: CameraPose, light: Light) -> None:
    """Draw front, near end, roof and windows."""
    if building.end < pose.z + 1:
        return
    inner, outer = building.side * building.front, building.side * (building.front + _DEPTH)
    start, end = building.start, building.end
    walls = [((inner, end), (inner, start), np.array([-building.side, 0.0, 0.0]))]
    if start > pose.z + 1:
        walls.insert(0, ((inner, start), (outer, start), np.array([0.0, 0.0, -1.0])))
    if building.roof:
        _draw_roof(canvas, building, pose, light)
    for (xa, za), (xb, zb), normal in walls:
        feet = np.array([[xa, 0, za], [xb, 0, zb]])
        far = building.storeys * 0 + float(np.hypot(xb - pose.x, max(za, zb) - pose.z)) * 0.6
        facing = pose.direction_to_camera(normal)[None]

        def lit(colour: Array, facing: Array = facing, far: float = far) -> Array:
            return light.haze(light.shade(colour[None], facing), far)

        wall = _wall(feet, 0, building.height)
        canvas.draw(_one(pose.to_camera(wall), lit(building.wall)))
        columns = building.columns if xa == xb else 3
        panes = _panes(feet, building, columns, pose)
        canvas.draw_alike(panes[0], lit(np.minimum(building.wall * 1.18, 250))[0])
        canvas.draw_alike(panes[1], lit(building.window)[0])
        canvas.draw_alike(panes[2], lit(building.window * 1.5)[0])
        canvas.draw(_one(pose.to_camera(_wall(feet, 0, 0.5)), lit(building.wall * 0.7)))
        canvas.draw(_one(pose.to_camera(_wall(feet, building.height - 0.3, building.height)), lit(building.wall * 0.82)))


def _one(polygon: Array, colours: Array) -> Mesh:
    return Mesh.of_equal(polygon[None], colours).clipped()


def _wall(feet: Array, low: float, high: float) -> Array:
    """Rectangle (4, 3) above two points on the ground."""
    down, up = np.array([0, low, 0]), np.array([0, high, 0])
    return np.array([feet[0] - down, feet[1] - down, feet[1] - up, feet[0] - up])


def _draw_roof(canvas: Canvas, building: Building, pose: CameraPose, light: Light) -> None:
    """Slope towards the road and gable towards the camera."""
    inner, outer = building.side * building.front, building.side * (building.front + _DEPTH)
    middle, eaves, ridge = (inner + outer) / 2, -building.height, -building.height - building.roof
    slope = np.array(
        [[inner, eaves, building.end], [inner, eaves, building.start], [middle, ridge, building.start],
         [middle, ridge, building.end]]
    )
    gable = np.array([[inner, eaves, building.start], [outer, eaves, building.start], [middle, ridge, building.start]])
    normal = np.array([-building.side * building.roof, -_DEPTH / 2, 0.0]) / math.hypot(building.roof, _DEPTH / 2)
    red = np.array([60.0, 72.0, 120.0]) if building.columns % 2 else np.array([72.0, 70.0, 70.0])
    eye = np.array([pose.x, -pose.height, pose.z])
    far = max(building.start - pose.z, 0) + 5.0
    if (eye - slope[0]) @ normal > 0:
        colour = light.shade(red[None], pose.direction_to_camera(normal)[None])
        canvas.draw(_one(pose.to_camera(slope), light.haze(colour, far)))
    if building.start > pose.z + 1:
        colour = light.shade(building.wall[None] * 0.95, pose.direction_to_camera(np.array([0.0, 0.0, -1.0]))[None])
        canvas.draw(_one(pose.to_camera(gable), light.haze(colour, far)))


def _panes(feet: Array, building: Building, columns: int, pose: CameraPose) -> tuple[Array, Array, Array]:
    """Frames, dark panes and bright panes (N, 4, 3) of a wall in the optical frame."""
    along = feet[1] - feet[0]
    cell = along / columns
    storey = building.height / building.storeys
    wide, high = building.pane
    column, row = (grid.ravel() for grid in np.meshgrid(np.arange(columns), np.arange(building.storeys)))
    corners = feet[0] + (column + 0.5)[:, None] * cell - (row + 0.52)[:, None] * np.array([0, storey, 0])
    centre = pose.to_camera(corners)
    right = pose.to_camera(feet[0] + cell) - pose.to_camera(feet[0])
    half = np.stack([right * wide / 2, np.array([0, storey * high / 2, 0])])
    quads = centre[:, None] + np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) @ half
    quads = quads[quads[..., 2].min(axis=1) > 0.5]
    middle = quads.mean(axis=1, keepdims=True)
    frames = middle + (quads - middle) * 1.16
    bright = (column * 7 + row * 13 + building.columns)[: len(quads)] % 5 == 0
    return frames, quads[~bright], quads[bright]
