"""What the stand-in's objects are, and where: by KITTI's formulas, without the package."""

import math

import numpy as np
import pytest

DEPTH, DIMENSIONS, ALPHA = 1500.0, (1.5, 1.7, 4.25), 0.6
"""The stand-in's rules; see there."""


def expected_pose(box, p, depth_factor=1.0):
    """Centre (3) and rotation (3, 3) of the stand-in's box; P (12) of the image that it is in."""
    x1, y1, x2, y2 = box
    u, v, z = (x1 + x2) / 2, (y1 + y2) / 2, depth_factor * DEPTH / (y2 - y1)
    w = z + p[11]
    centre = (u * w - p[2] * z - p[3]) / p[0], (v * w - p[6] * z - p[7]) / p[5], z
    yaw = ALPHA + math.atan2(u - p[2], p[0])
    cos, sin = math.cos(yaw), math.sin(yaw)
    # Columns: length, width and height in the optical frame.
    return np.array(centre), np.array([[cos, sin, 0], [0, 0, -1], [-sin, cos, 0]])


def rotation(q):
    """Angle-preserving check needs the matrix: columns are the box's axes."""
    x, y, z, w = q.x, q.y, q.z, q.w
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def assert_places(array, boxes, p, **expectation):
    """Every box lies where it should within 1 mm, and is turned as it should within 1e-3 rad."""
    assert len(array.detections) == len(boxes)
    rest = list(array.detections)
    for box in boxes:
        centre, axes = expected_pose(box, p, **expectation)
        poses = [detection.bbox.center for detection in rest]
        places = np.array([(p.position.x, p.position.y, p.position.z) for p in poses])
        distances = np.linalg.norm(places - centre, axis=1)
        nearest = int(distances.argmin())
        assert distances[nearest] < 1e-3
        detection = rest.pop(nearest)
        turn = axes.T @ rotation(detection.bbox.center.orientation)
        assert math.acos(min(1.0, (np.trace(turn) - 1) / 2)) < 1e-3
        size = detection.bbox.size
        height, width, length = DIMENSIONS
        assert (size.x, size.y, size.z) == pytest.approx((length, width, height), abs=1e-4)


def corners_of(detection):
    """x1, y1, x2, y2 of a Detection2D."""
    centre, half = detection.bbox.center, (detection.bbox.size_x / 2, detection.bbox.size_y / 2)
    x, y = centre.position.x, centre.position.y
    return x - half[0], y - half[1], x + half[0], y + half[1]
