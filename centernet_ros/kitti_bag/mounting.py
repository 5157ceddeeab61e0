"""Where KITTI's car carries its sensors: a calib file as the static transforms of ROS."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from centernet_ros.kitti import read_matrix, read_projection

BASE = "base_link"
"""KITTI's vehicle frame, that of its inertial unit: x ahead, y to the left, z up."""

VELODYNE = "velodyne"
"""The laser scanner: x ahead, y to the left, z up."""

CAMERA = "camera_optical_frame"
"""The rectified reference camera, to which P2 and all labels refer: x right, y down, z ahead."""

LEFT_CAMERA = "camera_left_optical_frame"
"""The lens that takes the images: beside the reference camera, as P2 says, and parallel to it."""

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Mount:
    """A frame's place in another one, as TF tells it.

    Attributes:
        parent: frame in which the place is told.
        child: frame that has the place.
        translation: x, y, z in metres.
        rotation: x, y, z, w of a unit quaternion.
    """

    parent: str
    child: str
    translation: tuple[float, ...]
    rotation: tuple[float, ...]


def mounts_of(text: str) -> tuple[Mount, ...]:
    """From the vehicle to the scanner, to the reference camera, to the left colour camera.

    Args:
        text: of a calib file of the object data set.

    Raises:
        ValueError: A matrix is missing or turns nothing; the message names it.
    """
    imu_to_velodyne = _rigid(text, "Tr_imu_to_velo")
    rectification = np.eye(4)
    rectification[:3, :3] = _rotation(read_matrix(text, "R0_rect", 3).numpy(), "R0_rect")
    velodyne_to_camera = rectification @ _rigid(text, "Tr_velo_to_cam")
    projection = read_projection(text).numpy()
    camera_to_left = np.eye(4)
    camera_to_left[:3, 3] = np.linalg.solve(projection[:, :3], projection[:, 3])
    return (
        _mount(BASE, VELODYNE, imu_to_velodyne),
        _mount(VELODYNE, CAMERA, velodyne_to_camera),
        _mount(CAMERA, LEFT_CAMERA, camera_to_left),
    )


def _rigid(text: str, name: str) -> Matrix:
    """A transform (4, 4) of points."""
    rows = read_matrix(text, name, 4).numpy()
    _rotation(rows[:, :3], name)
    return np.vstack([rows, [0, 0, 0, 1]])


def _rotation(matrix: Matrix, name: str) -> Matrix:
    """The same matrix (3, 3).

    Raises:
        ValueError: It is no rotation.
    """
    if not np.allclose(matrix @ matrix.T, np.eye(3), atol=1e-3) or np.linalg.det(matrix) < 0:
        raise ValueError(f"{name} holds no rotation")
    return matrix


def _mount(parent: str, child: str, points_to_child: Matrix) -> Mount:
    """The place that follows from what turns the parent's points into the child's."""
    place = np.linalg.inv(points_to_child)
    axis: Any = cv2.Rodrigues(place[:3, :3])[0].ravel()
    angle = float(np.linalg.norm(axis))
    direction = axis / angle if angle > 0 else axis
    rotation = (*(np.sin(angle / 2) * direction), np.cos(angle / 2))
    return Mount(parent, child, tuple(place[:3, 3].tolist()), tuple(map(float, rotation)))
