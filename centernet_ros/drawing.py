"""Results on an image, for people: the debug topic, previews and reports."""

from __future__ import annotations

import colorsys
import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from centernet_ros.clipping import (
    FAR_OUT,
    Floats,
    homogeneous,
    visible_polygon,
    visible_segments,
)
from centernet_ros.image import Image
from centernet_ros.structures import CameraIntrinsics, Detections2D, Detections3D, Poses
from centernet_ros.tasks.pose.joints import LIMBS, Side, side_of

Colour = tuple[int, int, int]
"""Blue, green, red, each 0-255."""

CLASS_COLOURS: dict[str, Colour] = {
    "car": (0, 158, 255),
    "person": (255, 128, 32),
    "pedestrian": (255, 128, 32),
    "cyclist": (0, 224, 224),
}
"""Colours of the street's classes, close to those of the RViz plug-in for `vision_msgs`."""

SIDE_COLOURS: dict[Side, Colour] = {
    Side.LEFT: (90, 220, 60),
    Side.RIGHT: (60, 80, 255),
    Side.MIDDLE: (0, 220, 255),
}
"""Colours of a person's limbs and joints; left is the person's own left."""

JOINT_THRESHOLD = 0.3
"""Least score of a joint that is drawn, as for objects in the authors' demo."""

PERSON_PER_LIMB = 40
"""Height of a person in widths of a drawn limb, at least."""

EDGES = (
    *((0, 1), (1, 2), (2, 3), (3, 0)),
    *((4, 5), (5, 6), (6, 7), (7, 4)),
    *((0, 4), (1, 5), (2, 6), (3, 7)),
)
"""Edges of a 3D box between the corners of `Detections3D.corners`."""

Plate = tuple[int, int, int, int]
"""x1, y1, x2, y2 in pixels: of a label's plate, or of the box that it stands at."""

FRONT = (0, 1, 5, 4)
"""Corners of a 3D box's front face, in order."""

FONT = cv2.FONT_HERSHEY_SIMPLEX

SUB_PIXEL_BITS = 4
"""OpenCV takes coordinates as whole numbers of 1/16 pixel."""


def draw_results(
    image: Image,
    results: Detections2D,
    class_names: Sequence[str],
    camera: CameraIntrinsics | None = None,
) -> Image:
    """A copy of an image with its results drawn as their type wants it.

    Args:
        image: (H, W, 3) uint8, blue first; a grey one (H, W) becomes a coloured one.
        results: of any task; those that shall not be seen are left out before.
        class_names: name of each label.
        camera: of the image; without one, 3D boxes are drawn as 2D boxes with a distance.
    """
    if isinstance(results, Detections3D):
        return draw_boxes_3d(image, results, class_names, camera)
    if isinstance(results, Poses):
        return draw_poses(image, results, class_names)
    return draw_detections(image, results, class_names)


def draw_detections(image: Image, detections: Detections2D, class_names: Sequence[str]) -> Image:
    """A copy of an image with a box and a 'class score' label for each detection, best on top."""
    texts = [
        f"{class_names[label]} {score:.2f}"
        for label, score in zip(detections.labels.tolist(), detections.scores.tolist(), strict=True)
    ]
    return _draw_boxes(_coloured_copy(image), detections, class_names, texts)


def draw_boxes_3d(
    image: Image,
    detections: Detections3D,
    class_names: Sequence[str],
    camera: CameraIntrinsics | None,
) -> Image:
    """A copy of an image with projected 3D boxes, nearest on top.

    The front face is filled; the label tells class, score and the distance of the box's middle.
    What lies behind the camera or outside the image is cut off.
    """
    canvas = _coloured_copy(image)
    detections = with_finite_corners(detections)
    texts = [
        f"{class_names[label]} {score:.2f} {distance:.0f} m"
        for label, score, distance in zip(
            detections.labels.tolist(),
            detections.scores.tolist(),
            detections.corners().mean(dim=1).norm(dim=1).tolist(),
            strict=True,
        )
    ]
    if camera is None:
        return _draw_boxes(canvas, detections, class_names, texts)
    projection = camera.projection.numpy()
    corners = detections.corners().numpy() @ projection[:, :3].T + projection[:, 3]
    size = image.shape[0], image.shape[1]
    first, second = np.array(EDGES).T
    segments = [visible_segments(box[first], box[second], size) for box in corners]
    faces = [visible_polygon(box[list(FRONT)], size) for box in corners]
    labels = detections.labels.tolist()
    colours = [class_colour(class_names[label], label) for label in labels]
    thickness = line_width(image)
    farthest_first = detections.locations[:, 2].argsort(descending=True).tolist()
    for i in farthest_first:
        fill_polygon(canvas, faces[i], colours[i])
    seen = [i for i in range(len(detections)) if len(segments[i])]
    plates = place_labels(
        canvas,
        [texts[i] for i in seen],
        [_extent(segments[i]) for i in seen],
        [colours[i] for i in seen],
    )
    # Between the fills, which would tint the plates, and the lines, which the plates would hide.
    draw_plates(canvas, plates)
    for i in farthest_first:
        draw_lines(canvas, segments[i], colours[i], thickness)
    draw_texts(canvas, [plate for plate in plates if plate.free])
    return canvas


def draw_poses(
    image: Image,
    poses: Poses,
    class_names: Sequence[str],
    joint_threshold: float = JOINT_THRESHOLD,
) -> Image:
    """A copy of an image with boxes, labels and skeletons, best on top.

    A limb is drawn when both of its joints score at least the threshold: a person's left, right and
    middle have colours of their own.
    """
    canvas = draw_detections(image, poses, class_names)
    size = image.shape[0], image.shape[1]
    widest = line_width(image)
    heights = (poses.boxes[:, 3] - poses.boxes[:, 1]).nan_to_num().tolist()
    points = homogeneous(poses.keypoints.double().numpy())
    known = poses.keypoint_scores.numpy() >= joint_threshold
    for person in range(len(poses) - 1, -1, -1):
        # Dots and limbs of somebody far away must not hide the person.
        thickness = max(1, min(2 * widest, round(heights[person] / PERSON_PER_LIMB)))
        for first, second in LIMBS:
            if known[person, first] and known[person, second]:
                ends = points[person, [first]], points[person, [second]]
                colour = SIDE_COLOURS[side_of(first, second)]
                draw_lines(canvas, visible_segments(*ends, size), colour, thickness)
        for joint in known[person].nonzero()[0].tolist():
            _draw_joint(canvas, points[person, joint, :2], SIDE_COLOURS[side_of(joint)], thickness)
    return canvas


def class_colour(name: str, label: int) -> Colour:
    """A colour that stays the same for a class: a fixed one, or one of a wheel of hues."""
    if name in CLASS_COLOURS:
        return CLASS_COLOURS[name]
    red, green, blue = colorsys.hsv_to_rgb(label * 0.618034 % 1.0, 0.75, 1.0)
    return int(255 * blue), int(255 * green), int(255 * red)


def line_width(image: Image) -> int:
    """Pixels of a line: one for every 600 pixels of image keeps results legible at any size."""
    return max(1, round(_mean_side(image) / 600))


def _mean_side(image: Image) -> float:
    """Side in pixels of a square as large as an image."""
    return math.sqrt(image.shape[0] * image.shape[1])


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


def draw_lines(canvas: Image, segments: Floats, colour: Colour, thickness: int) -> None:
    """Smooth lines (N, 2, 2) between sub-pixel points."""
    for start, end in _fixed_point(segments).tolist():
        cv2.line(canvas, start, end, colour, thickness, cv2.LINE_AA, SUB_PIXEL_BITS)


def fill_polygon(canvas: Image, corners: Floats, colour: Colour, opacity: float = 0.3) -> None:
    """Tint the inside of a polygon (N, 2) of sub-pixel corners; fewer than three have none."""
    height, width = canvas.shape[:2]
    if len(corners) < 3:
        return
    left, top = np.floor(corners.min(axis=0)).clip(0, (width, height)).astype(int)
    right, bottom = np.ceil(corners.max(axis=0) + 1).clip(0, (width, height)).astype(int)
    part = canvas[top:bottom, left:right]
    if part.size == 0:
        return
    tinted = part.copy()
    outline = _fixed_point(corners - (left, top))
    cv2.fillPoly(tinted, [outline], colour, cv2.LINE_AA, SUB_PIXEL_BITS)
    part[:] = cv2.addWeighted(tinted, opacity, part, 1 - opacity, 0)


def with_finite_corners(detections: Detections3D) -> Detections3D:
    """The boxes that are somewhere: a number that is not finite leaves nothing to draw."""
    return detections[detections.corners().isfinite().all(dim=2).all(dim=1)]


def _coloured_copy(image: Image) -> Image:
    """A copy to draw on, with three channels also of a grey image."""
    if image.ndim == 2:
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_GRAY2BGR), dtype=np.uint8)
    return image.copy()


def _draw_boxes(
    canvas: Image, detections: Detections2D, class_names: Sequence[str], texts: Sequence[str]
) -> Image:
    """The canvas with 2D boxes and their labels drawn on it, best on top."""
    thickness = line_width(canvas)
    # A million pixels away is out of sight all the same.
    boxes = detections.boxes.nan_to_num(nan=-FAR_OUT).clamp(-FAR_OUT, FAR_OUT)
    corners: list[Plate] = boxes.round().int().tolist()
    labels = detections.labels.tolist()
    colours = [class_colour(class_names[label], label) for label in labels]
    plates = place_labels(canvas, texts, corners, colours)
    draw_plates(canvas, plates)
    # After all the plates, which would hide the boxes of small neighbours.
    for i in range(len(detections) - 1, -1, -1):
        cv2.rectangle(canvas, corners[i][:2], corners[i][2:], colours[i], thickness, cv2.LINE_AA)
    draw_texts(canvas, [plate for plate in plates if plate.free])
    return canvas


def _extent(segments: Floats) -> Plate:
    """The upright box around lines (N, 2, 2)."""
    left, top = segments.min(axis=(0, 1)).round().astype(int).tolist()
    right, bottom = segments.max(axis=(0, 1)).round().astype(int).tolist()
    return left, top, right, bottom


def _draw_joint(canvas: Image, point: Floats, colour: Colour, thickness: int) -> None:
    """A dot with a dark rim."""
    if not np.isfinite(point).all():
        return
    x, y = _fixed_point(point.clip(-FAR_OUT, FAR_OUT)).tolist()
    for radius, ink in ((thickness + 1, (0, 0, 0)), (thickness, colour)):
        size = radius << SUB_PIXEL_BITS
        cv2.circle(canvas, (x, y), size, ink, cv2.FILLED, cv2.LINE_AA, SUB_PIXEL_BITS)


def _fixed_point(points: Floats) -> np.ndarray[tuple[int, ...], np.dtype[np.int32]]:
    """Pixels as whole numbers of 1/16 pixel."""
    return (points * (1 << SUB_PIXEL_BITS)).round().astype(np.int32)
