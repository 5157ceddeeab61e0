"""A video and a contact sheet of what was detected, for people."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from centernet_ros.drawing import draw_detections
from centernet_ros.film import Film
from centernet_ros.image import Image
from centernet_ros.structures import Detections2D

WIDTH = 720
"""Pixels of a picture. Wider ones get labels that hide the neighbours of an object."""

TILE_COLUMNS = 3
TILES = 12

STRIP = 22
"""Height in pixels of the line of text above an image."""
GAP = 6
"""Pixels between two tiles."""

WHITE = (255, 255, 255)
BACKGROUND = (32, 32, 32)


@dataclass(frozen=True, eq=False)
class Shot:
    """An image and what is known about it.

    Attributes:
        image: (H, W, 3) uint8, blue first.
        caption: one line of text.
        found: detections in pixels of the image.
        truth: ground truth, where there is one.
    """

    image: Image
    caption: str
    found: Detections2D
    truth: Detections2D | None


def draw_shot(shot: Shot, class_names: Sequence[str]) -> Image:
    """A picture `WIDTH` wide and of an even height: a caption, and the image with its boxes.

    Detections are drawn with their class and score, ground truth as dashed white boxes.
    """
    scale = WIDTH / shot.image.shape[1]
    height = round(shot.image.shape[0] * scale / 2) * 2
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    image = np.asarray(cv2.resize(shot.image, (WIDTH, height), interpolation=method))
    if shot.truth is not None:
        image = image.copy()
        for box in _scaled(shot.truth, scale).boxes:
            _dashed_box(image, box)
    image = draw_detections(image, _scaled(shot.found, scale), class_names)
    return np.vstack([_text_strip(shot.caption, WIDTH), image])


def _scaled(detections: Detections2D, scale: float) -> Detections2D:
    # Pixel centres lie at whole numbers.
    boxes = (detections.boxes + 0.5) * scale - 0.5
    return dataclasses.replace(detections, boxes=boxes)


def _dashed_box(image: Image, box: torch.Tensor, dash: int = 4) -> None:
    """Draw the outline of a box, on and off by turns every few pixels."""
    x1, y1, x2, y2 = (round(value) for value in box.tolist())
    for start in range(x1, x2, 2 * dash):
        for y in (y1, y2):
            cv2.line(image, (start, y), (min(start + dash, x2), y), WHITE)
    for start in range(y1, y2, 2 * dash):
        for x in (x1, x2):
            cv2.line(image, (x, start), (x, min(start + dash, y2)), WHITE)


def _text_strip(text: str, width: int) -> Image:
    """A dark strip with a line of text, made smaller where it would not fit."""
    strip = np.full((STRIP, width, 3), BACKGROUND, np.uint8)
    margin = 6
    scale = 0.5
    (needed, _), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, 1)
    scale *= min(1.0, (width - 2 * margin) / max(1, needed))
    origin = (margin, STRIP - 7)
    cv2.putText(strip, text, origin, cv2.FONT_HERSHEY_SIMPLEX, scale, WHITE, 1, cv2.LINE_AA)
    return strip


def contact_sheet(tiles: Sequence[Image], title: str) -> Image:
    """Pictures of `draw_shot` side by side in rows, under a title; at least one."""
    columns = min(TILE_COLUMNS, len(tiles))
    height = max(tile.shape[0] for tile in tiles)
    width = columns * (WIDTH + GAP) + GAP
    rows = -(-len(tiles) // columns)
    sheet = np.full((STRIP + GAP + rows * (height + GAP), width, 3), BACKGROUND, np.uint8)
    sheet[:STRIP] = _text_strip(title, width)
    for i, tile in enumerate(tiles):
        top = STRIP + GAP + i // columns * (height + GAP)
        left = GAP + i % columns * (WIDTH + GAP)
        sheet[top : top + tile.shape[0], left : left + WIDTH] = tile
    return sheet


def spread(count: int, wanted: int = TILES) -> list[int]:
    """Up to so many of the indices below `count`, evenly spread and without the ends."""
    chosen = min(count, wanted)
    return [int((i + 0.5) * count / chosen) for i in range(chosen)]


def write_pictures(
    shots: Iterable[Shot],
    num_shots: int,
    out: Path,
    *,
    rate: float,
    title: str,
    class_names: Sequence[str],
) -> list[Path]:
    """Write `demo.*` (video) and `contact_sheet.png` into a folder.

    Args:
        shots: images in order, read once.
        num_shots: how many they are.
        out: folder.
        rate: images a second.
        title: of the contact sheet.
        class_names: name of each label.

    Returns:
        The files written; the video is missing where OpenCV has no codec for it.
    """
    chosen = set(spread(num_shots))
    tiles = []
    with Film(out / "demo", rate) as video:
        for i, shot in enumerate(shots):
            picture = draw_shot(shot, class_names)
            video.add(picture)
            if i in chosen:
                tiles.append(picture)
    files = [] if video.path is None else [video.path]
    if tiles:
        files.append(out / "contact_sheet.png")
        cv2.imwrite(str(files[-1]), contact_sheet(tiles, title))
    return files
