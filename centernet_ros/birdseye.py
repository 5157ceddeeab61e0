"""3D boxes from above, for people: a metric map with the camera at the bottom."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np

from centernet_ros.clipping import Floats, homogeneous, visible_polygon, visible_segments
from centernet_ros.drawing import (
    class_colour,
    draw_lines,
    fill_polygon,
    with_finite_corners,
)
from centernet_ros.image import Image
from centernet_ros.lettering import line_width
from centernet_ros.structures import CameraIntrinsics, Detections3D

DEPTH = 60.0
"""Metres ahead that a map shows by default; farther objects of KITTI are hard to place."""

ASPECT = 0.75
"""Width of a map by its height."""

GROUND = (38, 34, 32)
GRID = (88, 82, 78)
FIELD_OF_VIEW = (58, 52, 48)
TEXT = (190, 180, 175)


def draw_birdseye(
    detections: Detections3D,
    class_names: Sequence[str],
    *,
    height: int = 600,
    depth: float = DEPTH,
    camera: CameraIntrinsics | None = None,
) -> Image:
    """A map of 3D boxes seen from above, the camera in the middle of the lower edge.

    Each box is outlined, its front half is filled, and a line leads from its middle to its front.

    Args:
        detections: boxes in the camera's optical frame; those off the map are not drawn.
        class_names: name of each label.
        height: of the map in pixels; it is three quarters as wide.
        depth: metres ahead that the map shows.
        camera: whose field of view is drawn, where there is one.
    """
    canvas = np.full((height, max(1, round(ASPECT * height)), 3), GROUND, np.uint8)
    scale = height / depth
    if camera is not None:
        _draw_field_of_view(canvas, camera, scale)
    _draw_grid(canvas, scale)
    thickness = max(1, round(height / 400))
    size = canvas.shape[0], canvas.shape[1]
    detections = with_finite_corners(detections)
    corners = detections.corners()[:, :4, [0, 2]].numpy()
    labels = detections.labels.tolist()
    for i in range(len(detections) - 1, -1, -1):
        ground = homogeneous(_to_map(corners[i], size, scale))
        colour = class_colour(class_names[labels[i]], labels[i])
        front_left, front_right, rear_right, rear_left = ground
        front, middle = (front_left + front_right) / 2, ground.mean(axis=0)
        left, right = (front_left + rear_left) / 2, (front_right + rear_right) / 2
        half = visible_polygon(np.stack([front_left, front_right, right, left]), size)
        fill_polygon(canvas, half, colour, opacity=0.5)
        starts = np.stack([*ground, middle])
        ends = np.stack([*np.roll(ground, -1, axis=0), front])
        draw_lines(canvas, visible_segments(starts, ends, size), colour, thickness)
    return canvas


def beside(image: Image, birdseye: Image) -> Image:
    """Both next to each other, the map brought to the image's height."""
    height = image.shape[0]
    if birdseye.shape[0] != height:
        width = max(1, round(birdseye.shape[1] * height / birdseye.shape[0]))
        birdseye = np.asarray(cv2.resize(birdseye, (width, height)), dtype=np.uint8)
    return np.hstack([image, birdseye])


def inset(image: Image, birdseye: Image) -> Image:
    """A copy of an image with a map in its upper right corner, as far as it fits."""
    canvas = image.copy()
    part = birdseye[: image.shape[0], -image.shape[1] :]
    height, width = part.shape[:2]
    canvas[:height, -width:] = part
    cv2.rectangle(canvas, (canvas.shape[1] - width - 1, -1), (canvas.shape[1], height), TEXT, 1)
    return canvas


def _to_map(points: Floats, size: tuple[int, int], scale: float) -> Floats:
    """Places (..., 2), x to the right and z ahead in metres, to pixels of a map."""
    height, width = size
    pixels: Floats = np.array([width / 2, height]) + points * scale * np.array([1, -1])
    return pixels


def _draw_field_of_view(canvas: Image, camera: CameraIntrinsics, scale: float) -> None:
    """Brighten what the camera sees, between the rays of the image's first and last column."""
    size = canvas.shape[0], canvas.shape[1]
    projection = camera.projection.numpy()
    columns = np.array([-0.5, camera.image_size[1] - 0.5])
    # Twice as far as the map reaches, in metres.
    far = 2 * sum(size) / scale
    slopes = (columns - projection[0, 2]) / projection[0, 0]
    corners = np.array([[0, 0], [slopes[0] * far, far], [slopes[1] * far, far]])
    seen = visible_polygon(homogeneous(_to_map(corners, size, scale)), size)
    fill_polygon(canvas, seen, FIELD_OF_VIEW, opacity=1.0)


def _draw_grid(canvas: Image, scale: float) -> None:
    """Lines at round distances ahead and aside, with the metres ahead."""
    height, width = canvas.shape[:2]
    step = _round_number(height / scale / 6)
    for i in range(math.ceil(width / 2 / scale / step)):
        for side in (-1, 1):
            x = round(width / 2 + side * i * step * scale)
            cv2.line(canvas, (x, 0), (x, height), GRID, 1)
    size, thickness = max(0.35, height / 1000), line_width(canvas)
    for i in range(1, math.ceil(height / scale / step)):
        y = round(height - i * step * scale)
        cv2.line(canvas, (0, y), (width, y), GRID, 1)
        text = f"{i * step:g} m"
        font = cv2.FONT_HERSHEY_SIMPLEX
        cv2.putText(canvas, text, (4, y - 4), font, size, TEXT, thickness, cv2.LINE_AA)


def _round_number(value: float) -> float:
    """The next 1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= value)
