"""The drawing surface: twice as many pixels as the picture, each with an instance number."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from centernet_ros.structures import CameraIntrinsics
from training.data.street.geometry import Array, Mesh

OVERSAMPLING = 2
"""Pixels of the surface per pixel of the picture, each way: smooth edges without seams."""

BACKGROUND = 255
"""Instance number of everything that is no actor."""

_SHIFT = 4
_LIMIT = 1 << 18

Bytes = npt.NDArray[np.uint8]


class Lens:
    """A camera as plain float64 arithmetic, which rounds alike on every machine; BLAS does not.

    Attributes:
        rows: the projection's three rows.
        size: height, width of the picture in pixels.
        focal: vertical focal length in pixels.
    """

    def __init__(self, camera: CameraIntrinsics) -> None:
        self.rows: list[list[float]] = camera.projection.double().tolist()
        self.size = camera.image_size
        self.focal = self.rows[1][1]

    def project(self, points: Array) -> Array:
        """Points (..., 3) of the optical frame to pixels (..., 2) of the picture."""
        x, y, z = points[..., 0], points[..., 1], points[..., 2]
        u, v, w = ((row[0] * x + row[1] * y) + (row[2] * z + row[3]) for row in self.rows)
        pixels = np.empty((*points.shape[:-1], 2))
        np.divide(u, w, out=pixels[..., 0])
        np.divide(v, w, out=pixels[..., 1])
        return pixels

    def clip(self, extent: Array) -> Array:
        """A box (4,) cut to the pixel centres of the picture."""
        height, width = self.size
        return np.minimum(np.maximum(extent, 0), (width - 1, height - 1, width - 1, height - 1))


@dataclass(frozen=True, slots=True)
class Footage:
    """What an actor covers in the picture.

    Attributes:
        extent: (4,) x1, y1, x2, y2 of its geometry in pixels, not clipped.
        box: (4,) tight box of its part inside the picture.
        pixels: how many pixels of the surface it covers before others hide it.
    """

    extent: Array
    box: Array
    pixels: int


class Canvas:
    """Collects what is to be drawn in order, then draws it: one projection of everything is fast.

    Attributes:
        lens: the camera.
        pixels: (2H, 2W, 4) blue, green, red and the instance number.
    """

    def __init__(self, lens: Lens, background: Bytes) -> None:
        """Start from a picture (H, W, 3)."""
        self.lens = lens
        height, width = lens.size
        pixels = cv2.cvtColor(background, cv2.COLOR_BGR2BGRA)
        size = (width * OVERSAMPLING, height * OVERSAMPLING)
        self.pixels: Bytes = np.asarray(
            cv2.resize(pixels, size, interpolation=cv2.INTER_NEAREST), dtype=np.uint8
        )
        self._jobs: list[tuple[Mesh, int, bool]] = []

    def add(self, mesh: Mesh, instance: int = BACKGROUND) -> None:
        """Draw the polygons of a mesh (in front of the near plane) in its order."""
        if len(mesh.vertices):
            self._jobs.append((mesh, instance, False))

    def add_alike(self, mesh: Mesh) -> None:
        """Draw polygons that do not cover each other, all in the mesh's first colour."""
        if len(mesh.vertices):
            self._jobs.append((mesh, BACKGROUND, True))

    def draw(self) -> dict[int, Footage]:
        """Draw everything added; gives what each instance covered at the moment it was drawn."""
        footage: dict[int, Footage] = {}
        if not self._jobs:
            return footage
        exact = self.lens.project(np.concatenate([mesh.vertices for mesh, _, _ in self._jobs]))
        corners = fixed_point(exact, OVERSAMPLING)
        offset = 0
        for mesh, instance, alike in self._jobs:
            end = offset + len(mesh.vertices)
            self._draw_mesh(mesh, corners[offset:end], instance, alike)
            if instance != BACKGROUND:
                seen = self._footage(exact[offset:end], instance)
                if seen is not None:
                    footage[instance] = seen
            offset = end
        self._jobs = []
        return footage

    def _draw_mesh(
        self, mesh: Mesh, corners: npt.NDArray[np.int32], instance: int, alike: bool
    ) -> None:
        pixels, starts = self.pixels, mesh.starts
        colours = np.rint(mesh.colours).tolist()
        if alike:
            polygons = [corners[start:end] for start, end in itertools.pairwise(starts)]
            cv2.fillPoly(pixels, polygons, (*colours[0], instance), shift=_SHIFT)
            return
        for row, colour in enumerate(colours):
            cv2.fillConvexPoly(
                pixels, corners[starts[row] : starts[row + 1]], (*colour, instance), shift=_SHIFT
            )

    def _footage(self, corners: Array, instance: int) -> Footage | None:
        extent = np.concatenate([corners.min(axis=0), corners.max(axis=0)])
        height, width = self.lens.size
        if extent[0] > width - 1 or extent[1] > height - 1 or extent[2] < 0 or extent[3] < 0:
            return None
        box = self.lens.clip(extent)
        mask, origin = self._mask(instance, box)
        count = cv2.countNonZero(mask)
        if count == 0:
            return None
        if (box != extent).any():
            # What sticks out of the picture may be what reached the sides: keep to the part inside.
            x, y, wide, high = cv2.boundingRect(mask)
            low = np.array([x + origin[0], y + origin[1]])
            inside = (np.concatenate([low, low + np.array([wide, high])]) - 0.5) / OVERSAMPLING
            box = np.concatenate([np.maximum(box[:2], inside[:2]), np.minimum(box[2:], inside[2:])])
        return Footage(extent, box, count)

    def _mask(self, instance: int, box: Sequence[float] | Array) -> tuple[Bytes, tuple[int, int]]:
        """Where in a box of the picture an instance shows, and the mask's first pixel x, y."""
        x1, y1 = (max(int(OVERSAMPLING * value) - 2, 0) for value in box[:2])
        x2, y2 = (int(OVERSAMPLING * value) + 5 for value in box[2:])
        shown = cv2.extractChannel(self.pixels[y1:y2, x1:x2], 3)
        return np.asarray(cv2.inRange(shown, instance, instance), dtype=np.uint8), (x1, y1)

    def count(self, instance: int, footage: Footage) -> int:
        """How many pixels of the surface show an instance now."""
        return cv2.countNonZero(self._mask(instance, footage.box)[0])

    def picture(self) -> Bytes:
        """The picture (H, W, 3), each pixel the mean of its pixels here."""
        height, width = self.lens.size
        mean = cv2.resize(self.pixels, (width, height), interpolation=cv2.INTER_AREA)
        return np.asarray(cv2.cvtColor(mean, cv2.COLOR_BGRA2BGR), dtype=np.uint8)

    def instances(self) -> Bytes:
        """Instance numbers (H, W): of pixels that show several, the one drawn last; else 0."""
        numbers = cv2.extractChannel(self.pixels, 3)
        numbers = cv2.subtract(numbers, cv2.inRange(numbers, BACKGROUND, BACKGROUND))
        rows = np.maximum(numbers[::2], numbers[1::2])
        return np.asarray(np.maximum(rows[:, ::2], rows[:, 1::2]), dtype=np.uint8)


def fixed_point(pixels: Array, oversampling: int = 1) -> npt.NDArray[np.int32]:
    """Pixels (..., 2), whole at pixel centres, as OpenCV's fixed-point corners (..., 2)."""
    moved = np.rint((pixels * oversampling + (oversampling - 1) / 2) * (1 << _SHIFT))
    return np.minimum(np.maximum(moved, -_LIMIT), _LIMIT).astype(np.int32)


def fill(picture: Bytes, corners: npt.NDArray[np.int32], colour: Sequence[float] | float) -> None:
    """Draw a convex polygon of fixed-point corners (K, 2) with soft edges."""
    cv2.fillConvexPoly(picture, corners, colour, lineType=cv2.LINE_AA, shift=_SHIFT)
