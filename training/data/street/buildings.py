"""Houses along the street: walls with windows, and roofs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from training.data.street.canvas import Canvas
from training.data.street.geometry import NEAR, Array, CameraPose, Mesh
from training.data.street.light import Light
from training.data.street.scene import Building

DEPTH = 11.0
"""Metres from the front of a building to its back."""

_TOWARDS = np.array([0.0, 0.0, -1.0])


@dataclass(frozen=True, slots=True)
class _Layer:
    """Polygons (N, K, 3) of the world in one plane and one colour."""

    polygons: Array
    colour: Array
    normal: Array
    distance: float


def draw_buildings(
    canvas: Canvas, buildings: Sequence[Building], *, pose: CameraPose, light: Light
) -> None:
    """Draw what can be seen of all buildings, far ones first."""
    layers: list[_Layer] = []
    for building in sorted(buildings, key=lambda building: -building.start):
        if building.end > pose.z + 1 and building.start < pose.z + 110:
            layers.extend(_layers(building, pose))
    if not layers:
        return
    points = pose.to_camera(np.concatenate([layer.polygons.reshape(-1, 3) for layer in layers]))
    normals = np.array([pose.direction_to_camera(layer.normal) for layer in layers])
    colours = light.shade(np.array([layer.colour for layer in layers]), normals)
    colours = light.haze(colours, np.array([[layer.distance] for layer in layers]))
    offset = 0
    for layer, colour in zip(layers, colours, strict=True):
        count, size, _ = layer.polygons.shape
        polygons = points[offset : offset + count * size].reshape(count, size, 3)
        offset += count * size
        if count == 1:
            canvas.add(Mesh.of_equal(polygons, colour[None]).clipped())
        else:
            polygons = polygons[polygons[..., 2].min(axis=1) > NEAR]
            canvas.add_alike(Mesh.of_equal(polygons, colour[None]))


def _layers(building: Building, pose: CameraPose) -> list[_Layer]:
    """Everything of a building that faces the street or the camera, in drawing order."""
    inner, outer = building.side * building.front, building.side * (building.front + DEPTH)
    start, end = building.start, building.end
    ahead = start > pose.z + 1
    layers = _roof(building, pose, ahead) if building.roof else []
    if ahead:
        feet = np.array([[inner, 0, start], [outer, 0, start]])
        far = math.hypot((inner + outer) / 2 - pose.x, start - pose.z) * 0.8
        layers += _bands(feet, building, _TOWARDS, far)
        if not building.attached:
            layers += _windows(feet, building, 3, _TOWARDS, far)
    feet = np.array([[inner, 0, end], [inner, 0, start]])
    normal = np.array([-float(building.side), 0, 0])
    far = math.hypot(inner - pose.x, max((start + end) / 2 - pose.z, 0.0)) * 0.8
    layers += _bands(feet, building, normal, far)
    layers += _windows(feet, building, building.columns, normal, far)
    layers.append(_Layer(_door(feet, building), building.wall * 0.4, normal, far))
    return layers


def _bands(feet: Array, building: Building, normal: Array, far: float) -> list[_Layer]:
    """The wall above two points on the ground, its base and the edge below the roof."""
    height, wall = building.height, building.wall
    bands = ((0.0, height, 1.0), (0.0, 0.5, 0.7), (height - 0.3, height, 0.82))
    return [_Layer(_band(feet, low, high), wall * tone, normal, far) for low, high, tone in bands]


def _band(feet: Array, low: float, high: float) -> Array:
    """Rectangle (1, 4, 3) above two points on the ground."""
    down, up = np.array([0, low, 0]), np.array([0, high, 0])
    return np.array([[feet[0] - down, feet[1] - down, feet[1] - up, feet[0] - up]])


def _door(feet: Array, building: Building) -> Array:
    """Rectangle (1, 4, 3) in the middle of a window's place on the ground floor."""
    along = (feet[1] - feet[0]) / building.columns
    place = feet[0] + (building.columns // 2 + 0.5) * along
    half = along * (0.6 / max(float(np.abs(along).sum()), 1.2))
    return _band(np.array([place - half, place + half]), 0.0, 2.1)


def _roof(building: Building, pose: CameraPose, ahead: bool) -> list[_Layer]:
    """Slope towards the road and gable towards the camera."""
    inner, outer = building.side * building.front, building.side * (building.front + DEPTH)
    middle, eaves, ridge = (inner + outer) / 2, -building.height, -building.height - building.roof
    start, end = building.start, building.end
    slope = np.array(
        [[[inner, eaves, end], [inner, eaves, start], [middle, ridge, start], [middle, ridge, end]]]
    )
    gable = np.array([[[inner, eaves, start], [outer, eaves, start], [middle, ridge, start]]])
    normal = np.array([-building.side * building.roof, -DEPTH / 2, 0.0]) / math.hypot(
        building.roof, DEPTH / 2
    )
    tiles = np.array([60.0, 72.0, 120.0]) if building.columns % 2 else np.array([72.0, 70.0, 70.0])
    eye = np.array([pose.x, -pose.height, pose.z])
    far = max(start - pose.z, 0) + 5.0
    layers = []
    if (eye - slope[0, 0]) @ normal > 0:
        layers.append(_Layer(slope, tiles, normal, far))
    if ahead:
        layers.append(_Layer(gable, building.wall * 0.95, _TOWARDS, far))
    return layers


_PANE = np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])


@lru_cache(maxsize=256)
def _places(columns: int, storeys: int) -> tuple[Array, Array]:
    """Column and row of every window of a wall."""
    rows, grid = np.divmod(np.arange(columns * storeys, dtype=np.float64), columns)
    return grid, rows


def _windows(
    feet: Array, building: Building, columns: int, normal: Array, far: float
) -> list[_Layer]:
    """Frames, dark panes and bright panes of a wall above two points on the ground."""
    cell = (feet[1] - feet[0]) / columns
    storey = building.height / building.storeys
    wide, high = building.pane
    column, row = _places(columns, building.storeys)
    middle = feet[0] + (column + 0.5)[:, None] * cell
    middle[:, 1] = -(row + 0.52) * storey
    corners = _PANE[:, :1] * (cell * wide / 2) + _PANE[:, 1:] * np.array([0, storey * high / 2, 0])
    # By the window's place: which curtains are drawn does not change while driving by.
    bright = (column * 7 + row * 13 + building.columns) % 5 == 0
    panes = middle[:, None] + corners
    parts = (
        (middle[:, None] + corners * 1.16, np.minimum(building.wall * 1.18, 250)),
        (panes[~bright], building.window),
        (panes[bright], building.window * 1.5),
    )
    return [_Layer(quads, colour, normal, far) for quads, colour in parts if len(quads)]
