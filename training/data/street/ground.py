"""Sky, and the ground with its markings, grain and shadows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from training.data.street.canvas import Bytes, Lens, fill, fixed_point
from training.data.street.geometry import NEAR, Array, CameraPose, clip_near, quantise
from training.data.street.light import Light
from training.data.street.scene import Road, Scene

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
        coarse = np.pad(rng.integers(-128, 128, (512 // cell, 512 // cell)) / 128, 2, mode="wrap")
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
    """Fill the rows above the horizon of a picture (H, W, 3)."""
    height, width = horizon(lens), lens.size[1]
    if height == 0:
        return
    rows, columns = height // 2 + 1, width // 4 + 1
    up = np.linspace(height / lens.focal, 0, rows, dtype=np.float32)[:, None]
    share = np.minimum(up * np.float32(2.2), 1)
    deep = np.array([215, 150, 95]) if scene.light.direct > 0.3 else np.array([185, 178, 170])
    gradient = light.air * (1 - share) + deep * (light.tint * light.air.mean() / 215) * share
    x, y = scene.sky_place
    x += int(4096 * heading / (2 * math.pi))
    span = int(np.clip(360 * width / lens.rows[0][0], 8, 1000))
    deepness = int(np.clip(256 * height / lens.focal, 8, 128))
    band = np.take(_noise()[1][y : y + deepness], range(x, x + span), axis=1, mode="wrap")
    alpha = cv2.resize(band, (columns, rows), interpolation=cv2.INTER_LINEAR_EXACT).astype(
        np.float32
    )
    cover = (alpha * np.float32(scene.clouds / 255) * np.minimum(share * 3, 1))[..., None]
    white = np.float32(min(light.air.mean() * 1.12, 250))
    base = gradient.astype(np.float32)[:, None, :]
    sky = np.clip(base + (white - base) * cover, 0, 255)
    small = np.rint(sky).astype(np.uint8)
    # The exact variant rounds alike with every instruction set.
    picture[:height] = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR_EXACT)


def paint_ground(
    picture: Bytes, scene: Scene, light: Light, *, lens: Lens, pose: CameraPose, shadows: Array
) -> None:
    """Fill the rows from the horizon down.

    Args:
        picture: (H, W, 3) is written to.
        scene: road, and the seed of the grain.
        light: the light in the optical frame.
        lens: the camera.
        pose: where it stands.
        shadows: (S, 8, 2) x, z in the world: their hulls keep the sun from the ground.
    """
    top = horizon(lens)
    if top >= lens.size[0]:
        return
    rectangles, colours = _plan(scene.road, pose.z)
    up = np.array([[0.0, -1.0, 0.0]])
    lit = np.rint(light.shade(np.concatenate([scene.road.verge[None], colours]), up)).tolist()
    picture[top:] = lit[0]
    _fill_outlines(picture, rectangles, lit[1:], lens, pose)
    sun = light.direct * max(-float(light.sun[1]), 0.0)
    sunlit = np.full(lens.size, 255, dtype=np.uint8)
    dark = float(np.rint(255 * light.ambient / (light.ambient + sun)))
    _fill_outlines(sunlit, shadows, [dark] * len(shadows), lens, pose)
    sunlit = np.asarray(cv2.GaussianBlur(sunlit, (3, 3), 0), dtype=np.uint8)
    depth, gain = _grain(scene.road, lens, pose, top)
    gain *= sunlit[top:] * np.float32(1 / 255)
    clear = (np.rint(np.exp(-depth / light.visibility) * 4096) / 4096).astype(np.float32)
    gain *= clear[:, None]
    ground = picture[top:] * gain[..., None]
    ground += (light.air * (1 - clear[:, None])).astype(np.float32)[:, None]
    np.minimum(ground, 255, out=ground)
    picture[top:] = np.rint(ground, out=ground).astype(np.uint8)


def _plan(road: Road, z: float) -> tuple[Array, Array]:
    """Rectangles (N, 4, 2) x, z around a camera at z with their colours (N, 3), lowest first."""
    near, far = z - 5, z + _FAR
    edge, outer = road.half_width, road.half_width + road.pavement
    white = np.array([215.0, 218.0, 218.0])
    layers = [
        (-outer, outer, near, far),
        (-edge - 0.25, edge + 0.25, near, far),
        (-edge - 0.08, edge + 0.08, near, far),
        (-edge, edge, near, far),
    ]
    colours = [road.paving, np.minimum(road.paving * 1.2, 235), road.paving * 0.55, road.asphalt]
    if road.dashes:
        layers += [(side - 0.07, side + 0.07, near, far) for side in (0.35 - edge, edge - 0.35)]
    period = 3 * road.dash_length
    starts = math.floor((z + 1) / period) * period + period * np.arange(int(75 / period) + 1)
    layers += [
        (x - 0.07, x + 0.07, start, start + road.dash_length)
        for x in road.dashes
        for start in starts
    ]
    for place in road.crossings:
        if z - 5 < place < z + 80:
            layers += [
                (x, x + 0.5, place, place + 3.0) for x in np.arange(-edge + 0.5, edge - 0.6, 1.0)
            ]
    colours += [white] * (len(layers) - len(colours))
    return np.array(layers)[:, [[0, 2], [1, 2], [1, 3], [0, 3]]], np.array(colours)


def _fill_outlines(
    picture: Bytes,
    outlines: Array,
    colours: Sequence[Sequence[float] | float],
    lens: Lens,
    pose: CameraPose,
) -> None:
    """Fill the convex hulls of point sets (N, K, 2) x, z on the ground of the world."""
    if not len(outlines):
        return
    flat = np.zeros((*outlines.shape[:2], 3))
    flat[..., [0, 2]] = outlines
    points = pose.to_camera(flat)
    whole = points[..., 2].min(axis=1) >= NEAR
    seen = points[..., 2].max(axis=1) >= NEAR
    corners = fixed_point(lens.project(np.where(whole[:, None, None], points, 1.0)))
    for row, colour in enumerate(colours):
        if whole[row]:
            hull = corners[row] if outlines.shape[1] == 4 else cv2.convexHull(corners[row])
            fill(picture, np.asarray(hull, dtype=np.int32), colour)
        elif seen[row]:
            ring = cv2.convexHull(points[row][:, [0, 2]].astype(np.float32)).reshape(-1, 2)
            outline = np.insert(ring.astype(np.float64), 1, pose.height, axis=1)
            fill(picture, fixed_point(lens.project(clip_near(outline))), colour)


def _grain(road: Road, lens: Lens, pose: CameraPose, top: int) -> tuple[Array, Floats]:
    """Depths (R,) of the rows below the horizon in metres, and their brightness (R, W)."""
    height, width = lens.size
    rows = lens.rows
    down = (np.arange(top, height) - rows[1][2]) / rows[1][1]
    depth = pose.height / np.maximum(down, 1e-3)
    across = (np.arange(width) - rows[0][2]) / rows[0][0]
    cos, sin = (float(quantise(np.array(f(pose.heading)))) for f in (math.cos, math.sin))
    # OpenCV's fixed-point coordinates end at 32767: beyond that everything is one flat colour
    # anyway.
    z = np.minimum(depth, 800)[:, None].astype(np.float32) * np.float32(_GRAIN)
    turned = (across * cos).astype(np.float32) + np.float32(sin)
    map_x = z * turned + np.float32(pose.x * _GRAIN + road.grain_place[0])
    turned = np.float32(cos) - (across * sin).astype(np.float32)
    map_z = z * turned + np.float32((pose.z * _GRAIN + road.grain_place[1]) % 512)
    grain = cv2.remap(_noise()[0], map_x, map_z, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    strength = (0.0045 / (1 + depth / 12)).astype(np.float32)[:, None]
    return depth, (grain - np.float32(128)) * strength + np.float32(1)


def cast_shadows(outlines: Array, heights: Array, sun: Array) -> Array:
    """Point sets (S, 8, 2) around the shadows of upright prisms on the ground.

    Args:
        outlines: (S, 4, 2) x, z of the prisms' feet in the world.
        heights: (S,) metres.
        sun: (3,) unit vector towards the sun in the world.
    """
    shift = -sun[[0, 2]] / max(-float(sun[1]), 0.2)
    return np.concatenate([outlines, outlines + heights[:, None, None] * shift], axis=1)
