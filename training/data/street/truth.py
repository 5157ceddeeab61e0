"""Ground truth of a picture: exact boxes, occlusion and joints, in the same types as results."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from centernet_ros.structures import NUM_JOINTS, CameraIntrinsics, Detections3D, Poses
from training.data.street.canvas import Lens
from training.data.street.geometry import NEAR, Array
from training.data.street.render import Rendering, Sighting
from training.data.street.skeleton import (
    FACE,
    HEAD,
    LEFT_HIP,
    LEFT_SHOULDER,
    NOSE,
    PELVIS,
    RIGHT_HIP,
    RIGHT_SHOULDER,
)

CLASS_NAMES = ("pedestrian", "car", "cyclist")
"""Classes in the order of labels."""

MIN_HEIGHT = 1 / 8
"""Share of the picture's height below which an object is too small: 24 of 192 pixels.

KITTI, too, counts objects from 25 pixels on (its level "moderate").
"""

MIN_VISIBILITY = 0.25
"""Visible share below which an object is too hidden to be labelled."""

MAX_TRUNCATION = 0.8
"""Share of the box outside the picture above which an object is too cut off to be labelled."""

MIN_DEPTH = 1.0
"""Metres; a nearer middle (of a car beside the camera) is too near the image plane for a label."""


@dataclass(frozen=True, eq=False)
class StreetFrame:
    """A picture of the street and everything known about it.

    Attributes:
        image: (H, W, 3) uint8 BGR.
        camera: the camera that took it.
        objects: the labelled objects, scores 1. A box is the tight box of what is drawn of the
            object before others hide it, clipped to the pixel centres [0, W - 1] x [0, H - 1].
            Alphas follow KITTI's yaw - atan2(X, Z) in [-pi, pi].
        poses: pedestrians and riders of cyclists that are labelled objects, in the order of the
            objects: scores 1, labels 0, the box of the person without the bicycle; keypoint_scores
            1 where a joint is in the picture.
        keypoint_visibility: (P, 17) int64, COCO: 0 outside the picture, 1 hidden, 2 visible.
        truncations: (N,) share of the whole box outside the picture.
        occlusions: (N,) int64, KITTI: 0 visible, 1 partly, 2 largely hidden.
        visibilities: (N,) share of the object's own pixels in the picture that no other object
            hides.
        ignored: objects too far, too hidden or too cut off to be labelled; neither object nor
            background.
        ids: (N,) int64, the same for an object throughout a sequence.
        instances: (H, W) uint8, row plus 1 of the object that covers a pixel or part of it; else 0.
    """

    image: npt.NDArray[np.uint8]
    camera: CameraIntrinsics
    objects: Detections3D
    poses: Poses
    keypoint_visibility: Tensor
    truncations: Tensor
    occlusions: Tensor
    visibilities: Tensor
    ignored: Detections3D
    ids: Tensor
    instances: npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class _Judged:
    """A sighting with the values that decide on its label."""

    sighting: Sighting
    truncation: float
    visibility: float


def annotate(rendering: Rendering, camera: CameraIntrinsics) -> StreetFrame:
    """The truth of a rendering; objects are ordered from near to far."""
    lens = Lens(camera)
    judged = [_judge(sighting, lens) for sighting in rendering.sightings if sighting.visible]
    judged.sort(key=lambda row: float(row.sighting.solid.location[2]))
    labelled = [row for row in judged if _worth_a_label(row, lens)]
    rest = [row for row in judged if not _worth_a_label(row, lens)]
    people = [row for row in labelled if row.sighting.solid.body is not None]
    poses, visibility = _poses(people, rendering, lens)
    visibilities = np.array([row.visibility for row in labelled])
    numbers = np.zeros(256, dtype=np.uint8)
    numbers[[row.sighting.instance for row in labelled]] = np.arange(1, len(labelled) + 1)
    return StreetFrame(
        image=rendering.image,
        camera=camera,
        objects=_objects(labelled),
        poses=poses,
        keypoint_visibility=visibility,
        truncations=_floats([row.truncation for row in labelled]),
        occlusions=torch.from_numpy(np.digitize(-visibilities, [-0.9, -0.5]).astype(np.int64)),
        visibilities=_floats(visibilities),
        ignored=_objects(rest),
        ids=torch.tensor(
            [row.sighting.solid.actor.identity for row in labelled], dtype=torch.int64
        ),
        instances=numbers[rendering.instances],
    )


def _judge(sighting: Sighting, lens: Lens) -> _Judged:
    extent = sighting.footage.extent
    whole, inside = (float(np.prod(box[2:] - box[:2])) for box in (extent, lens.clip(extent)))
    return _Judged(
        sighting,
        truncation=float(np.clip(1 - inside / max(whole, 1e-9), 0, 1)),
        visibility=sighting.visible / sighting.footage.pixels,
    )


def _worth_a_label(row: _Judged, lens: Lens) -> bool:
    extent = row.sighting.footage.extent
    return bool(
        extent[3] - extent[1] >= MIN_HEIGHT * lens.size[0]
        and row.visibility >= MIN_VISIBILITY
        and row.truncation <= MAX_TRUNCATION
        and row.sighting.solid.location[2] >= MIN_DEPTH
    )


def _floats(rows: object, *shape: int) -> Tensor:
    """Values of every object as float32, with the right shape for no object at all."""
    return torch.from_numpy(np.asarray(rows, dtype=np.float32).reshape(-1, *shape))


def _labels(rows: list[_Judged]) -> Tensor:
    return torch.tensor([row.sighting.solid.actor.kind for row in rows], dtype=torch.int64)


def _objects(rows: list[_Judged]) -> Detections3D:
    """Objects with their 3D boxes."""
    solids = [row.sighting.solid for row in rows]
    rays = [math.atan2(solid.location[0], solid.location[2]) for solid in solids]
    alphas = [
        math.remainder(solid.yaw - ray, 2 * math.pi)
        for solid, ray in zip(solids, rays, strict=True)
    ]
    return Detections3D(
        boxes=_floats([row.sighting.footage.box for row in rows], 4),
        scores=torch.ones(len(rows)),
        labels=_labels(rows),
        dimensions=_floats([solid.dimensions for solid in solids], 3),
        locations=_floats([solid.location for solid in solids], 3),
        yaws=_floats([solid.yaw for solid in solids]),
        alphas=_floats(alphas),
    )


def _poses(rows: list[_Judged], rendering: Rendering, lens: Lens) -> tuple[Poses, Tensor]:
    """People with their joints, and the joints' visibility (P, 17)."""
    boxes, joints, seen = [], [], []
    for row in rows:
        solid = row.sighting.solid
        assert solid.body is not None
        assert solid.points is not None
        corners = lens.project(solid.body.vertices)
        whole = row.sighting.footage.box
        box = np.concatenate([corners.min(axis=0), corners.max(axis=0)])
        keypoints = lens.project(solid.points[:NUM_JOINTS])
        boxes.append(
            np.concatenate([np.maximum(box[:2], whole[:2]), np.minimum(box[2:], whole[2:])])
        )
        joints.append(keypoints)
        seen.append(_joint_visibility(solid.points, keypoints, row.sighting, rendering))
    visibility = torch.from_numpy(np.array(seen, dtype=np.int64).reshape(-1, NUM_JOINTS))
    poses = Poses(
        boxes=_floats(boxes, 4),
        scores=torch.ones(len(rows)),
        labels=torch.zeros(len(rows), dtype=torch.int64),
        keypoints=_floats(joints, NUM_JOINTS, 2),
        keypoint_scores=(visibility > 0).float(),
    )
    return poses, visibility


def _joint_visibility(
    points: Array, keypoints: Array, sighting: Sighting, rendering: Rendering
) -> npt.NDArray[np.int64]:
    """COCO's flag of each joint (17,)."""
    height, width = rendering.instances.shape
    inside = (keypoints >= 0).all(axis=1) & (keypoints <= (width - 1, height - 1)).all(axis=1)
    inside &= points[:NUM_JOINTS, 2] > NEAR
    # A joint behind the camera can land anywhere, even outside the range of integers.
    columns, rows = np.rint(np.where(inside[:, None], keypoints, 0)).astype(np.int64).T
    shown = rendering.instances[rows, columns] == sighting.instance
    hidden = ~shown | _behind_own_body(points, keypoints)
    return np.where(inside, np.where(hidden, 1, 2), 0)


def _behind_own_body(points: Array, keypoints: Array) -> npt.NDArray[np.bool_]:
    """Which joints (17,) the person's own torso or head covers."""
    covered = np.zeros(NUM_JOINTS, dtype=np.bool_)
    trunk = keypoints[[LEFT_SHOULDER, RIGHT_SHOULDER, RIGHT_HIP, LEFT_HIP]].astype(np.float32)
    outline = cv2.convexHull(trunk)
    depth = points[PELVIS, 2]
    for joint in range(LEFT_SHOULDER, NUM_JOINTS):
        if points[joint, 2] > depth + 0.1:
            x, y = (float(value) for value in keypoints[joint])
            covered[joint] = cv2.pointPolygonTest(outline, (x, y), False) >= 0
    face = list(FACE)
    covered[face] = points[face, 2] > points[HEAD, 2] + 0.02
    if points[NOSE, 2] > points[HEAD, 2] + 0.02:
        covered[list(FACE[:3])] = True
    return covered
