"""Labels on pictures, each where it hides none of a better one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from centernet_ros.image import Image

Colour = tuple[int, int, int]
"""Blue, green, red, each 0-255."""

Plate = tuple[int, int, int, int]
"""x1, y1, x2, y2 in pixels: of a label's plate, or of the box that it stands at."""

FONT = cv2.FONT_HERSHEY_SIMPLEX


@dataclass(frozen=True)
class Label:
    """A text on a plate.

    Attributes:
        text: one line.
        plate: x1, y1, x2, y2 in pixels.
        baseline: pixels of the plate below the line that the letters stand on.
        colour: of the plate.
        free: whether the plate overlaps none of a better result.
    """

    text: str
    plate: Plate
    baseline: int
    colour: Colour
    free: bool


def place_labels(
    canvas: Image, texts: Sequence[str], boxes: Sequence[Plate], colours: Sequence[Colour]
) -> list[Label]:
    """Where texts stand, best first: each where it hides none of a better one, if possible.

    A plate stands above its box, else inside the box's top edge, else below the box, else above the
    plate that took its place, and moves inside where the image ends. Where all are taken, it goes
    under the better ones.
    """
    labels: list[Label] = []
    taken = np.zeros((len(texts), 4), np.int64)
    scale, thickness = _letters(canvas)
    for i, (text, box, colour) in enumerate(zip(texts, boxes, colours, strict=True)):
        (width, height), baseline = cv2.getTextSize(text, FONT, scale, thickness)
        places = _places(box, (height + baseline, width), canvas)
        free = _are_free(np.array(places), taken[:i])
        chosen = free.index(True) if any(free) else 0
        taken[i] = places[chosen]
        labels.append(Label(text, places[chosen], baseline, colour, free[chosen]))
    return labels


def draw_plates(canvas: Image, labels: Sequence[Label]) -> None:
    """The plates of labels, best on top, and the texts of those that better ones may hide."""
    for label in reversed(labels):
        cv2.rectangle(canvas, label.plate[:2], label.plate[2:], label.colour, cv2.FILLED)
        if not label.free:
            draw_texts(canvas, [label])


def draw_texts(canvas: Image, labels: Sequence[Label]) -> None:
    """The texts of labels: those of free ones come last, so that no line strikes them out."""
    scale, thickness = _letters(canvas)
    for label in labels:
        blue, green, red = label.colour
        ink = (0, 0, 0) if 0.114 * blue + 0.587 * green + 0.299 * red > 127 else (255, 255, 255)
        origin = label.plate[0], label.plate[3] - label.baseline
        cv2.putText(canvas, label.text, origin, FONT, scale, ink, thickness, cv2.LINE_AA)


def _letters(canvas: Image) -> tuple[float, int]:
    """Scale of the font, and pixels of a stroke."""
    return max(0.35, _mean_side(canvas) / 1400), line_width(canvas)


def _places(box: Plate, size: tuple[int, int], canvas: Image) -> list[Plate]:
    """Where a plate of height, width may stand at a box, the best place first."""
    height, width = size
    left = max(0, min(box[0], canvas.shape[1] - width))
    tops = [max(box[1] - height, 0), max(box[1], 0), box[3], box[1] - 2 * height]
    inside = [top for top in tops if 0 <= top <= canvas.shape[0] - height]
    return [(left, top, left + width, top + height) for top in inside or tops[:1]]


def _are_free(places: NDArray[np.int64], taken: NDArray[np.int64]) -> list[bool]:
    """Which of the places (N, 4) overlap none of those taken (M, 4): x1, y1, x2, y2 of each."""
    starts_before = taken[:, :2] < places[:, None, 2:]
    ends_after = taken[:, 2:] > places[:, None, :2]
    apart = ~np.all(starts_before & ends_after, axis=2)
    return [bool(value) for value in np.all(apart, axis=1)]


def line_width(image: Image) -> int:
    """Pixels of a line: one for every 600 pixels of image keeps results legible at any size."""
    return max(1, round(_mean_side(image) / 600))


def _mean_side(image: Image) -> float:
    """Side in pixels of a square as large as an image."""
    return math.sqrt(image.shape[0] * image.shape[1])
