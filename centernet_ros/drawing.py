"""Results on an image, for people: the debug topic, previews and reports."""

from __future__ import annotations

import colorsys
import dataclasses
import math
from collections.abc import Sequence
from typing import TypeVar

import cv2
import numpy as np
import torch

from centernet_ros.clipping import (
    FAR_OUT,
    Floats,
    homogeneous,
    visible_polygon,
    visible_segments,
)
from centernet_ros.image import Image
from centernet_ros.lettering import (
    Colour,
    Plate,
    draw_plates,
    draw_texts,
    line_width,
    place_labels,
)
from centernet_ros.structures import CameraIntrinsics, Detections2D, Detections3D, Poses
from centernet_ros.tasks.pose.joints import LIMBS, Side, side_of

Result = TypeVar("Result", bound=Detections2D)

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

FRONT = (0, 1, 5, 4)
"""Corners of a 3D box's front face, in order."""

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
        results: of any task; those that shall not be seen are left out before. A score that is no
            number is not told, as of ground truth (see `unscored`).
        class_names: name of each label.
        camera: of the image; without one, 3D boxes are drawn as 2D boxes with a distance.
    """
    if isinstance(results, Detections3D):
        return draw_boxes_3d(image, results, class_names, camera)
    if isinstance(results, Poses):
        return draw_poses(image, results, class_names)
    return draw_detections(image, results, class_names)


def unscored(results: Result) -> Result:
    """The same results with scores that are not told."""
    return dataclasses.replace(results, scores=torch.full_like(results.scores, math.nan))


def draw_detections(image: Image, detections: Detections2D, class_names: Sequence[str]) -> Image:
    """A copy of an image with a box and a 'class score' label for each detection, best on top."""
    texts = _class_and_score(detections, class_names)
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
    distances = detections.corners().mean(dim=1).norm(dim=1).tolist()
    texts = [
        f"{text} {distance:.0f} m"
        for text, distance in zip(_class_and_score(detections, class_names), distances, strict=True)
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


def _class_and_score(detections: Detections2D, class_names: Sequence[str]) -> list[str]:
    labels, scores = detections.labels.tolist(), detections.scores.tolist()
    return [
        class_names[label] + ("" if math.isnan(score) else f" {score:.2f}")
        for label, score in zip(labels, scores, strict=True)
    ]


def class_colour(name: str, label: int) -> Colour:
    """A colour that stays the same for a class: a fixed one, or one of a wheel of hues."""
    if name in CLASS_COLOURS:
        return CLASS_COLOURS[name]
    red, green, blue = colorsys.hsv_to_rgb(label * 0.618034 % 1.0, 0.75, 1.0)
    return int(255 * blue), int(255 * green), int(255 * red)


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
