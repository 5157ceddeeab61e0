"""Results on an image, for people: the debug topic, previews and reports."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

import cv2
import numpy as np

from centernet_ros.image import Image
from centernet_ros.structures import Detections2D

Colour = tuple[int, int, int]
"""Blue, green, red, each 0-255."""

CLASS_COLOURS: dict[str, Colour] = {
    "car": (0, 158, 255),
    "person": (255, 128, 32),
    "pedestrian": (255, 128, 32),
    "cyclist": (0, 224, 224),
}
"""Colours of the street's classes, close to those of the RViz plug-in for `vision_msgs`."""


def class_colour(name: str, label: int) -> Colour:
    """A colour that stays the same for a class: a fixed one, or one of a wheel of hues."""
    if name in CLASS_COLOURS:
        return CLASS_COLOURS[name]
    red, green, blue = colorsys.hsv_to_rgb(label * 0.618034 % 1.0, 0.75, 1.0)
    return int(255 * blue), int(255 * green), int(255 * red)


def draw_detections(image: Image, detections: Detections2D, class_names: Sequence[str]) -> Image:
    """A copy of an image with a box and a 'class score' label for each detection, best on top."""
    canvas = image.copy()
    # One pixel of line for every 500 pixels of image keeps boxes legible at any size.
    thickness = max(1, round(max(image.shape[:2]) / 500))
    # OpenCV fails beyond 32 bits; a million pixels away is out of sight all the same.
    boxes = detections.boxes.nan_to_num(nan=-1e6).clamp(-1e6, 1e6).round().int().tolist()
    labels = detections.labels.tolist()
    colours = [class_colour(class_names[label], label) for label in labels]
    worst_first = range(len(detections) - 1, -1, -1)
    for i in worst_first:
        text = f"{class_names[labels[i]]} {float(detections.scores[i]):.2f}"
        _draw_label(canvas, text, (boxes[i][0], boxes[i][1]), colours[i], thickness)
    # After all the plates, which would hide the boxes of small neighbours.
    for i in worst_first:
        x1, y1, x2, y2 = boxes[i]
        cv2.rectangle(canvas, (x1, y1), (x2, y2), colours[i], thickness, cv2.LINE_AA)
    return canvas


def _draw_label(
    canvas: Image, text: str, corner: tuple[int, int], colour: Colour, thickness: int
) -> None:
    """Text on a filled plate above a box's corner, moved inside where the image ends."""
    scale = 0.35 * thickness
    (width, height), baseline = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, thickness)
    left = int(np.clip(corner[0], 0, max(0, canvas.shape[1] - width)))
    bottom = max(corner[1], height + baseline)
    plate = (left, bottom - height - baseline), (left + width, bottom)
    cv2.rectangle(canvas, *plate, colour, cv2.FILLED)
    luminance = 0.114 * colour[0] + 0.587 * colour[1] + 0.299 * colour[2]
    ink = (0, 0, 0) if luminance > 127 else (255, 255, 255)
    origin = (left, bottom - baseline)
    cv2.putText(canvas, text, origin, cv2.FONT_HERSHEY_SIMPLEX, scale, ink, thickness, cv2.LINE_AA)
