"""A video and a contact sheet of what was detected, for people."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from centernet_ros.birdseye import beside, draw_birdseye
from centernet_ros.drawing import draw_results
from centernet_ros.film import CODECS, Film
from centernet_ros.image import Image
from centernet_ros.structures import CameraIntrinsics, Detections2D, Detections3D, Poses

WIDTH = 720
"""Pixels of an image. Wider ones get labels that hide the neighbours of an object."""

MAP_DEPTH = 32.0
"""Metres ahead that the map shows: on the street farther objects are too small to be labelled."""

FILM = "demo"
SHEET = "contact_sheet.png"

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
        found: results of any task in pixels of the image.
        truth: ground truth, where there is one.
        camera: of the image, where it is known.
        in_space: whether a map from above stands beside the image.
    """

    image: Image
    caption: str
    found: Detections2D
    truth: Detections2D | None
    camera: CameraIntrinsics | None = None
    in_space: bool = False


def draw_shot(shot: Shot, class_names: Sequence[str]) -> Image:
    """A picture of an even height: a caption, the image `WIDTH` wide with its results, the map.

    Results are drawn with their class and score, ground truth as dashed white boxes, and as white
    boxes on the map.
    """
    scale = WIDTH / shot.image.shape[1]
    height = round(shot.image.shape[0] * scale / 2) * 2
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    image = np.asarray(cv2.resize(shot.image, (WIDTH, height), interpolation=method))
    if shot.truth is not None:
        image = image.copy()
        for box in _scaled(shot.truth, scale).boxes:
            _dashed_box(image, box)
    camera = None if shot.camera is None else _scaled_camera(shot.camera, scale, height)
    image = draw_results(image, _scaled(shot.found, scale), class_names, camera)
    if shot.in_space:
        image = beside(image, _draw_map(shot, class_names, height))
    return np.vstack([_text_strip(shot.caption, image.shape[1]), image])


def _scaled(detections: Detections2D, scale: float) -> Detections2D:
    # Pixel centres lie at whole numbers.
    moved = {"boxes": (detections.boxes + 0.5) * scale - 0.5}
    if isinstance(detections, Poses):
        moved["keypoints"] = (detections.keypoints + 0.5) * scale - 0.5
    return dataclasses.replace(detections, **moved)


def _scaled_camera(camera: CameraIntrinsics, scale: float, height: int) -> CameraIntrinsics:
    """The camera of the image when that is resized to `WIDTH` and a height."""
    shift = 0.5 * scale - 0.5
    resize = torch.tensor([[scale, 0, shift], [0, scale, shift], [0, 0, 1]], dtype=torch.float64)
    return CameraIntrinsics(resize @ camera.projection, (height, WIDTH))


def _draw_map(shot: Shot, class_names: Sequence[str], height: int) -> Image:
    """What lies in space, seen from above; an even number of pixels wide, as films want it."""
    empty = Detections3D.empty()
    found = shot.found if isinstance(shot.found, Detections3D) else empty
    truth = shot.truth if isinstance(shot.truth, Detections3D) else empty
    above = draw_birdseye(found, class_names, height=height, depth=MAP_DEPTH, camera=shot.camera)
    scale = height / MAP_DEPTH
    for ground in truth.corners()[:, :4, [0, 2]].numpy():
        corners = (above.shape[1] / 2, height) + ground * (scale, -scale)
        cv2.polylines(above, [corners.round().astype(np.int32)], True, WHITE, 1, cv2.LINE_AA)
    return above[:, : above.shape[1] // 2 * 2]


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
    height, tile_width = (max(tile.shape[i] for tile in tiles) for i in (0, 1))
    width = columns * (tile_width + GAP) + GAP
    rows = -(-len(tiles) // columns)
    sheet = np.full((STRIP + GAP + rows * (height + GAP), width, 3), BACKGROUND, np.uint8)
    sheet[:STRIP] = _text_strip(title, width)
    for i, tile in enumerate(tiles):
        top = STRIP + GAP + i // columns * (height + GAP)
        left = GAP + i % columns * (tile_width + GAP)
        sheet[top : top + tile.shape[0], left : left + tile.shape[1]] = tile
    return sheet


def spread(count: int, wanted: int = TILES) -> list[int]:
    """Up to so many of the indices below `count`, evenly spread and without the ends."""
    chosen = min(count, wanted)
    return [int((i + 0.5) * count / chosen) for i in range(chosen)]


def remove_pictures(out: Path) -> None:
    """Remove what `write_pictures` has left in a folder: it would pass for a newer demo's."""
    for name in (SHEET, *(FILM + suffix for _, suffix in CODECS)):
        (out / name).unlink(missing_ok=True)


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
    with Film(out / FILM, rate) as video:
        for i, shot in enumerate(shots):
            picture = draw_shot(shot, class_names)
            video.add(picture)
            if i in chosen:
                tiles.append(picture)
    files = [] if video.path is None else [video.path]
    if tiles:
        files.append(out / SHEET)
        cv2.imwrite(str(files[-1]), contact_sheet(tiles, title))
    return files
