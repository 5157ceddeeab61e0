"""What of lines and faces can be seen: cut off at the image's borders and before the camera.

Points are homogeneous, (..., 3): x, y and w, where the pixel is (x / w, y / w) and w is the depth.
Behind the camera the division turns a picture upside down, so that lines have to be cut first.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

NEAR = 0.1
"""Depth in metres up to which nothing is seen."""

MARGIN = 50
"""Pixels around the image that still count as seen, so that no cut end of a line shows."""

FAR_OUT = 1e6
"""Pixels at which coordinates end; OpenCV fails beyond 32 bits."""


def homogeneous(pixels: Floats) -> Floats:
    """Pixels (..., 2) as homogeneous points (..., 3)."""
    return np.concatenate([pixels, np.ones_like(pixels[..., :1])], axis=-1)


def visible_segments(starts: Floats, ends: Floats, image_size: tuple[int, int]) -> Floats:
    """The seen parts (M, 2, 2) of M of the N given lines, in pixels.

    Args:
        starts: (N, 3) homogeneous; a line with a number that is not finite is not seen.
        ends: (N, 3) homogeneous.
        image_size: height, width in pixels.
    """
    with np.errstate(all="ignore"):
        before, after = _depths_inside(starts, image_size), _depths_inside(ends, image_size)
        crossing = before / (before - after)
        enter = np.where(before < 0, crossing, 0).max(axis=1)[:, None]
        leave = np.where(after < 0, crossing, 1).min(axis=1)[:, None]
        outside = ((before < 0) & (after < 0)).any(axis=1)
        way = ends - starts
        parts = np.stack([starts + enter * way, starts + leave * way], axis=1)
        pixels = parts[..., :2] / parts[..., 2:]
    seen = ~outside & (enter <= leave)[:, 0] & np.isfinite(pixels).all(axis=(1, 2))
    parts_seen: Floats = pixels[seen].clip(-FAR_OUT, FAR_OUT)
    return parts_seen


def visible_polygon(corners: Floats, image_size: tuple[int, int]) -> Floats:
    """The seen part (M, 2) of a convex polygon, in pixels; M is 0 where nothing is seen.

    Sutherland-Hodgman: the polygon is cut along one border after the other.

    Args:
        corners: (N, 3) homogeneous, in order.
        image_size: height, width in pixels.
    """
    if not np.isfinite(corners).all():
        return np.zeros((0, 2))
    for border in range(len(_borders(image_size))):
        inside = _depths_inside(corners, image_size)[:, border]
        kept = []
        for i in range(len(corners)):
            previous, here = corners[i - 1], corners[i]
            if (inside[i - 1] < 0) != (inside[i] < 0):
                part = inside[i - 1] / (inside[i - 1] - inside[i])
                kept.append(previous + part * (here - previous))
            if inside[i] >= 0:
                kept.append(here)
        corners = np.reshape(np.array(kept, dtype=np.float64), (-1, 3))
    return (corners[:, :2] / corners[:, 2:]).clip(-FAR_OUT, FAR_OUT)


def _borders(image_size: tuple[int, int]) -> Floats:
    """Planes (5, 4) in the space of x, y, w, 1, positive where a point is seen."""
    height, width = image_size
    right, bottom = width - 1 + MARGIN, height - 1 + MARGIN
    return np.array(
        [
            [0, 0, 1, -NEAR],
            [1, 0, MARGIN, 0],
            [-1, 0, right, 0],
            [0, 1, MARGIN, 0],
            [0, -1, bottom, 0],
        ],
        dtype=np.float64,
    )


def _depths_inside(points: Floats, image_size: tuple[int, int]) -> Floats:
    """How far (N, 5) points (N, 3) lie within each border; negative outside."""
    planes = _borders(image_size)
    inside: Floats = points @ planes[:, :3].T + planes[:, 3]
    return inside
