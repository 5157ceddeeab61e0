"""Street furniture and plants: things that a detector has to tell from objects."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from training.data.street.geometry import Array, CameraPose, Mesh, balls, capsules
from training.data.street.light import Light
from training.data.street.scene import Prop

_UP = np.array([0.0, -1.0, 0.0])


def prop_mesh(prop: Prop, *, pose: CameraPose, light: Light) -> Mesh:
    """Polygons of a prop in the optical frame.

    Args:
        prop: the prop.
        pose: the camera.
        light: the light in the optical frame.
    """
    foot = pose.to_camera(np.array([prop.x, 0.0, prop.z]))
    mesh = _KINDS[prop.kind](prop, foot, light)
    return Mesh(mesh.vertices, mesh.starts, light.haze(mesh.colours, float(foot[2])))


def _pick(prop: Prop, place: int, count: int) -> int:
    """One of so many choices, from one of a prop's numbers."""
    return int((prop.variation[place] + 1) / 2 * count * 0.999)


def _poles(bars: list[tuple[Array, Array, float]], colours: Array, light: Light) -> Mesh:
    """Bars given as (from, to, radius) with colours (L, 3)."""
    radii = np.array([bar[2] for bar in bars])
    polygons = capsules(
        np.array([bar[0] for bar in bars]), np.array([bar[1] for bar in bars]), radii, radii
    )
    normals = np.tile([[0.0, 0.0, -1.0]], (len(bars), 1))
    return Mesh.of_equal(polygons, light.shade(np.broadcast_to(colours, (len(bars), 3)), normals))


def _leaves(centres: Array, radii: Array, prop: Prop, light: Light) -> Mesh:
    """Clumps (N, 3) of leaves, lighter towards the sun, each with a lit top."""
    order = np.argsort(-centres[:, 2], kind="stable")
    centres, radii = centres[order], radii[order]
    middle = centres.mean(axis=0)
    outward = centres - middle
    outward /= np.linalg.norm(outward, axis=-1, keepdims=True) + 0.1
    varied = prop.colour * (0.95 + 0.2 * prop.variation[-len(centres) :, None])
    dark = light.shade(varied, outward) * 0.85
    lit = light.shade(varied * 1.12, (outward + light.sun) / 2)
    tops = centres + light.sun * (0.35, 0.35, 0.0) * radii[:, None]
    polygons = np.stack([balls(centres, radii), balls(tops, radii * 0.62)], axis=1)
    return Mesh.of_equal(polygons.reshape(-1, 12, 3), np.stack([dark, lit], axis=1).reshape(-1, 3))


def _tree(prop: Prop, foot: Array, light: Light) -> Mesh:
    height, width = prop.size
    crown = foot + _UP * height * 0.66
    trunk = _poles(
        [(foot, crown, 0.03 * width + 0.05)],
        np.array([45.0, 62.0, 78.0]) * (0.9 + 0.3 * prop.variation[0]),
        light,
    )
    count = 13
    spread = prop.variation[: 3 * count].reshape(count, 3)
    offsets = spread * (0.36 * width, 0.24 * height, 0.36 * width)
    radii = (0.23 + 0.07 * prop.variation[40 : 40 + count]) * width
    return Mesh.join([trunk, _leaves(crown + offsets, radii, prop, light)])


def _bush(prop: Prop, foot: Array, light: Light) -> Mesh:
    height, width = prop.size
    count = 9
    offsets = prop.variation[: 3 * count].reshape(count, 3) * (
        0.4 * width,
        0.2 * height,
        0.3 * width,
    )
    radii = (0.28 + 0.06 * prop.variation[40 : 40 + count]) * min(height, width)
    return _leaves(foot + _UP * height * 0.5 + offsets, radii, prop, light)


def _conifer(prop: Prop, foot: Array, light: Light) -> Mesh:
    height, width = prop.size
    trunk = _poles([(foot, foot + _UP * height * 0.3, 0.12)], np.array([40.0, 55.0, 70.0]), light)
    tiers = []
    for tier in range(4):
        low, top = 0.12 + 0.2 * tier, 0.42 + 0.195 * tier
        half = 0.5 * width * (1 - 0.21 * tier)
        tiers.append(
            [
                foot + _UP * low * height - (half, 0, 0),
                foot + _UP * low * height + (half, 0, 0),
                foot + _UP * top * height,
            ]
        )
    shades = prop.colour * np.linspace(0.85, 1.1, 4)[:, None]
    normals = np.tile([[0.0, -0.3, -0.95]], (4, 1))
    return Mesh.join([trunk, Mesh.of_equal(np.array(tiers), light.shade(shades, normals))])


def _lamp(prop: Prop, foot: Array, light: Light) -> Mesh:
    top = foot + _UP * prop.size[0]
    arm = top + np.array([(-1.2 if prop.x > 0 else 1.2), -0.1, 0])
    bars = [
        (foot, foot + _UP * 0.9, 0.11),
        (foot, top, 0.07),
        (top, arm, 0.05),
        (arm, arm + np.array([0.25, 0, 0]), 0.1),
    ]
    return _poles(bars, prop.colour, light)


def _bollard(prop: Prop, foot: Array, light: Light) -> Mesh:
    top = foot + _UP * prop.size[0]
    stripe = foot + _UP * prop.size[0] * 0.75
    radius = prop.size[1] / 2
    colours = np.stack([prop.colour, np.full(3, 225.0)])
    return _poles([(foot, top, radius), (stripe, stripe + _UP * 0.08, radius)], colours, light)


def _sign(prop: Prop, foot: Array, light: Light) -> Mesh:
    """A round, three-cornered or square traffic sign with a border."""
    height, width = prop.size
    pole = _poles([(foot, foot + _UP * height, 0.04)], np.array([130.0, 132.0, 130.0]), light)
    centre = foot + _UP * (height - width * 0.3) - (0, 0, 0.06)
    corners = (3, 4, 10)[_pick(prop, 0, 3)]
    angles = (
        np.linspace(0, 2 * np.pi, corners, endpoint=False)
        - np.pi / 2
        + (np.pi / 4 if corners == 4 else 0.0)
    )
    ring = np.stack([np.cos(angles), np.sin(angles), 0 * angles], axis=-1) * width / 2
    vivid = np.array([[40.0, 35, 200], [190, 90, 30], [235, 235, 235], [50, 190, 235]])
    outer = vivid[_pick(prop, 1, 4)]
    inner = vivid[(_pick(prop, 1, 4) + 1 + _pick(prop, 2, 3)) % 4]
    symbol = (
        np.array([[-0.12, -0.25, 0], [0.12, -0.25, 0], [0.12, 0.22, 0], [-0.12, 0.22, 0]]) * width
    )
    facing = np.array([[0.0, 0.0, -1.0]])
    return Mesh.join(
        [
            pole,
            Mesh.of_equal((centre + ring)[None], light.shade(outer[None], facing)),
            Mesh.of_equal((centre + ring * 0.75)[None], light.shade(inner[None], facing)),
            Mesh.of_equal((centre + symbol)[None], light.shade(np.full((1, 3), 40.0), facing)),
        ]
    )


def _block(foot: Array, size: tuple[float, float, float], colour: Array, light: Light) -> Mesh:
    """Front, side and top of an upright box of height, width, depth that faces the camera."""
    height, half, depth = size[0], size[1] / 2, size[2] / 2
    side = half if foot[0] < 0 else -half
    front = np.array(
        [[-half, 0, -depth], [half, 0, -depth], [half, -height, -depth], [-half, -height, -depth]]
    )
    flank = np.array(
        [[side, 0, -depth], [side, 0, depth], [side, -height, depth], [side, -height, -depth]]
    )
    top = np.array(
        [
            [-half, -height, -depth],
            [half, -height, -depth],
            [half, -height, depth],
            [-half, -height, depth],
        ]
    )
    polygons = np.stack([top, flank, front]) if foot[1] > height else np.stack([flank, front])
    normals = np.array([[0, -1, 0], [np.sign(side), 0, 0], [0, 0, -1]], dtype=np.float64)[
        -len(polygons) :
    ]
    return Mesh.of_equal(polygons + foot, light.shade(np.tile(colour, (len(polygons), 1)), normals))


def _bin(prop: Prop, foot: Array, light: Light) -> Mesh:
    height, width = prop.size
    body = _block(foot, (height * 0.88, width, width), prop.colour, light)
    lid = _block(
        foot - (0, height * 0.88, 0),
        (height * 0.12, width * 1.1, width * 1.1),
        prop.colour * 0.6,
        light,
    )
    return Mesh.join([body, lid])


def _box(prop: Prop, foot: Array, light: Light) -> Mesh:
    height, width = prop.size
    body = _block(foot, (height, width, width * 0.6), prop.colour, light)
    panel = _block(
        foot - (0, height * 0.25, 0.03),
        (height * 0.5, width * 0.7, width * 0.6),
        prop.colour * 0.8,
        light,
    )
    return Mesh.join([body, panel])


def _column(prop: Prop, foot: Array, light: Light) -> Mesh:
    """An advertising column with posters."""
    height, width = prop.size
    radius = np.array([width / 2, 0, 0])
    shaft = np.array(
        [foot - radius, foot + radius, foot + radius + _UP * height, foot - radius + _UP * height]
    )
    roof = np.array(
        [
            foot - radius * 1.15,
            foot + radius * 1.15,
            foot + radius * 0.3 + _UP * 0.4,
            foot - radius * 0.3 + _UP * 0.4,
        ]
    )
    facing = np.tile([[0.0, 0.0, -1.0]], (2, 1))
    colours = light.shade(np.stack([prop.colour, prop.colour * 0.5]), facing)
    posters = [Mesh.of_equal(np.stack([shaft, roof + _UP * height]), colours)]
    for index, place in enumerate((-0.27, 0.2)):
        low = foot + np.array([place * width, -0.25 * height, -width / 2])
        corners = np.array([[0, 0, 0], [0.3, 0, 0], [0.3, -0.8, 0], [0, -0.8, 0]]) * (
            width,
            height * 0.7,
            1,
        )
        colour = light.shade(
            130 + 100 * prop.variation[3 * index : 3 * index + 3][None],
            np.array([[0.0, 0.0, -1.0]]),
        )
        posters.append(Mesh.of_equal((low + corners)[None], colour))
    return Mesh.join(posters)


def _traffic_light(prop: Prop, foot: Array, light: Light) -> Mesh:
    height, width = prop.size
    pole = _poles([(foot, foot + _UP * height, 0.06)], prop.colour, light)
    case = _block(foot + _UP * (height - 0.9), (0.9, width, width), np.array([35.0, 35, 35]), light)
    lamps = (
        foot - (0, height, width / 2 + 0.02) + np.array([[0, 0.17, 0], [0, 0.45, 0], [0, 0.73, 0]])
    )
    colours = np.array([[30.0, 30, 90], [30, 80, 90], [50, 80, 30]])
    lit = _pick(prop, 0, 3)
    colours[lit] = [[60, 60, 250], [60, 200, 250], [140, 240, 90]][lit]
    return Mesh.join([pole, case, Mesh.of_equal(balls(lamps, np.full(3, 0.11)), colours)])


_KINDS: dict[str, Callable[[Prop, Array, Light], Mesh]] = {
    "tree": _tree,
    "bush": _bush,
    "conifer": _conifer,
    "lamp": _lamp,
    "bollard": _bollard,
    "sign": _sign,
    "bin": _bin,
    "box": _box,
    "column": _column,
    "traffic_light": _traffic_light,
}
