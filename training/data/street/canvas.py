"""The drawing surface: polygons of the optical frame on twice as many pixels, with an instance number in each."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from centernet_ros.structures import CameraIntrinsics
from training.data.street.geometry import Array, Mesh

OVERSAMPLING = 2
"""Pixels of the surface per pixel of the picture in each direction: smooth edges without seams between polygons."""

_SHIFT = 4
_LIMIT = 1 << 18

Bytes = npt.NDArray[np.uint8]


class Lens:
    """A CameraIntrinsics as plain float64 arithmetic, which rounds alike on every machine (BLAS does not).

    Attributes:
        size: height, width of the picture in pixels.
        focal: vertical focal length in pixels.
        eye: (3,) the optical centre, which a baseline column moves from the origin.
    """

    def __init__(self, camera: CameraIntrinsics) -> None:
        self.rows: list[list[float]] = camera.projection.double().tolist()
        self.size = camera.image_size
        self.focal = self.rows[1][1]
        self.eye = -np.linalg.solve(camera.projection[:, :3].double().numpy(), camera.projection[:, 3].double().numpy())

    def project(self, points: Array) -> Array:
        """Points (..., 3) of the optical frame to pixels (..., 2) of the picture."""
        x, y, z = points[..., 0], points[..., 1], points[..., 2]
        u, v, w = (row[0] * x + row[1] * y + row[2] * z + row[3] for row in self.rows)
        return np.stack([u / w, v / w], axis=-1)


class Canvas:
    """A picture in the making.

    Attributes:
        lens: the camera.
        pixels: (2H, 2W, 4) blue, green, red and the instance number (0: background).
    """

    def __init__(self, lens: Lens, background: Bytes) -> None:
        """Start from a picture (H, W, 3)."""
        self.lens = lens
        height, width = lens.size
        pixels = np.zeros((height, width, 4), dtype=np.uint8)
        pixels[..., :3] = background
        size = (width * OVERSAMPLING, height * OVERSAMPLING)
        self.pixels: Bytes = cv2.resize(pixels, size, interpolation=cv2.INTER_NEAREST).astype(np.uint8, copy=False)

    def draw(self, mesh: Mesh, instance: int = 0) -> None:
        """Draw the polygons of a mesh (in front of the near plane) in its order."""
        corners = fixed_point(self.lens.project(mesh.vertices), OVERSAMPLING)
        colours = np.empty((len(mesh.colours), 4))
        colours[:, :3] = np.rint(mesh.colours)
        colours[:, 3] = instance
        pixels, starts = self.pixels, mesh.starts
        for row, colour in enumerate(colours.tolist()):
            cv2.fillConvexPoly(pixels, corners[starts[row] : starts[row + 1]], colour, shift=_SHIFT)

    def draw_alike(self, polygons: Array, colour: Array) -> None:
        """Draw polygons (N, K, 3) that do not cover each other in one colour (3,)."""
        if len(polygons):
            corners = fixed_point(self.lens.project(polygons), OVERSAMPLING)
            cv2.fillPoly(self.pixels, list(corners), [*np.rint(colour).tolist(), 0], shift=_SHIFT)

    def count(self, instance: int, box: Sequence[float]) -> int:
        """Pixels of the surface inside a box (x1, y1, x2, y2 of the picture, clipped) that show an instance."""
        x1, y1 = (max(int(OVERSAMPLING * value) - 2, 0) for value in box[:2])
        x2, y2 = (int(OVERSAMPLING * value) + 5 for value in box[2:])
        shown = cv2.extractChannel(self.pixels[y1:y2, x1:x2], 3)
        return cv2.countNonZero(cv2.compare(shown, instance, cv2.CMP_EQ))  # type: ignore[call-overload]

    def picture(self) -> Bytes:
        """The picture (H, W, 3), each pixel the mean of its pixels here."""
        height, width = self.lens.size
        mean = cv2.resize(self.pixels, (width, height), interpolation=cv2.INTER_AREA)
        return cv2.cvtColor(mean, cv2.COLOR_BGRA2BGR).astype(np.uint8, copy=False)

    def instances(self) -> Bytes:
        """Instance numbers (H, W) of the picture's pixels."""
        return np.ascontiguousarray(self.pixels[::OVERSAMPLING, ::OVERSAMPLING, 3])


def fixed_point(pixels: Array, oversampling: int = 1) -> npt.NDArray[np.int32]:
    """Pixels (..., 2) of the picture as OpenCV's fixed-point corners; whole pixels are pixel centres."""
    moved = pixels * oversampling + (oversampling - 1) / 2
    return np.clip(np.rint(moved * (1 << _SHIFT)), -_LIMIT, _LIMIT).astype(np.int32)


def fill(picture: Bytes, polygon: Array, colour: Sequence[float] | float) -> None:
    """Draw a convex polygon (K, 2) of pixels with soft edges on a picture of one or three channels."""
    cv2.fillConvexPoly(picture, fixed_point(polygon), colour, lineType=cv2.LINE_AA, shift=_SHIFT)  # type: ignore[arg-type]
