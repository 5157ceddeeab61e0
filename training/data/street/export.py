"""The street as folders in KITTI's and COCO's formats, for programs that read those."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from torch import Tensor

from centernet_ros.structures import NUM_JOINTS, CameraIntrinsics
from training.data.street.truth import CLASS_NAMES, StreetFrame

KITTI_NAMES = tuple(name.capitalize() for name in CLASS_NAMES)

_JOINTS = [
    "nose",
    "left_eye",
    "right_eye",
    "left_ear",
    "right_ear",
    "left_shoulder",
    "right_shoulder",
    "left_elbow",
    "right_elbow",
    "left_wrist",
    "right_wrist",
    "left_hip",
    "right_hip",
    "left_knee",
    "right_knee",
    "left_ankle",
    "right_ankle",
]
# Pairs of joints, counted from 1, in the order of COCO's own files.
_SKELETON = (
    (16, 14), (14, 12), (17, 15), (15, 13), (12, 13), (6, 12), (7, 13), (6, 7), (6, 8), (7, 9),
    (8, 10), (9, 11), (2, 3), (1, 2), (1, 3), (2, 4), (3, 5), (4, 6), (5, 7),
)  # fmt: skip


def write_kitti(frames: Iterable[StreetFrame], folder: Path, val_share: float = 0.2) -> int:
    """Write training/{image_2,label_2,calib} and ImageSets/{train,val,trainval}.txt.

    Args:
        frames: the pictures; they are numbered in order.
        folder: the data set's root.
        val_share: share of the pictures, the last ones, that val.txt lists.

    Returns:
        How many pictures were written.
    """
    parts = {name: folder / "training" / name for name in ("image_2", "label_2", "calib")}
    for part in (*parts.values(), folder / "ImageSets"):
        part.mkdir(parents=True, exist_ok=True)
    names = []
    for index, frame in enumerate(frames):
        names.append(f"{index:06d}")
        _write_image(parts["image_2"] / f"{names[-1]}.png", frame)
        (parts["label_2"] / f"{names[-1]}.txt").write_text(kitti_label(frame))
        (parts["calib"] / f"{names[-1]}.txt").write_text(kitti_calibration(frame.camera))
    num_train = len(names) - round(val_share * len(names))
    lists = {"train": names[:num_train], "val": names[num_train:], "trainval": names}
    for title, rows in lists.items():
        (folder / "ImageSets" / f"{title}.txt").write_text("".join(f"{row}\n" for row in rows))
    return len(names)


def kitti_label(frame: StreetFrame) -> str:
    """One line of 15 columns per object, then DontCare for every ignored region."""
    objects, lines = frame.objects, []
    for row in range(len(objects)):
        values = [
            objects.alphas[row],
            *objects.boxes[row],
            *objects.dimensions[row],
            *objects.locations[row],
            objects.yaws[row],
        ]
        name = KITTI_NAMES[int(objects.labels[row])]
        head = f"{name} {float(frame.truncations[row]):.2f} {int(frame.occlusions[row])}"
        lines.append(f"{head} {_decimals(values)}\n")
    for box in frame.ignored.boxes:
        lines.append(f"DontCare -1 -1 -10 {_decimals(box)} -1 -1 -1 -1000 -1000 -1000 -10\n")
    return "".join(lines)


def _decimals(values: Sequence[Tensor] | Tensor) -> str:
    return " ".join(f"{float(value):.2f}" for value in values)


def kitti_calibration(camera: CameraIntrinsics) -> str:
    """P0 to P3, all the one camera, and a laser scanner that looks where the camera does."""
    projection = camera.projection.reshape(-1).tolist()
    # KITTI's scanner frame is x forward, y left, z up.
    to_camera = [0.0, -1, 0, 0, 0, 0, -1, 0, 1, 0, 0, 0]
    unit = np.eye(3, 4).reshape(-1).tolist()
    rows = {f"P{index}": projection for index in range(4)}
    rows |= {"R0_rect": np.eye(3).reshape(-1).tolist()}
    rows |= {"Tr_velo_to_cam": to_camera, "Tr_imu_to_velo": unit}
    lines = [
        f"{name}: {' '.join(f'{value:.12e}' for value in row)}\n" for name, row in rows.items()
    ]
    return "".join(lines)


def write_coco(frames: Iterable[StreetFrame], folder: Path) -> int:
    """Write images/ and annotations/{instances,person_keypoints}.json.

    Instances has the three classes with ids from 1; person_keypoints has the category person:
    pedestrians and riders. Ignored regions have iscrowd 1: COCO's evaluation then counts neither
    what finds them nor what misses them.

    Returns:
        How many pictures were written.
    """
    for part in ("images", "annotations"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    images: list[dict[str, Any]] = []
    boxes: list[dict[str, Any]] = []
    people: list[dict[str, Any]] = []
    for index, frame in enumerate(frames):
        name = f"{index:012d}.png"
        _write_image(folder / "images" / name, frame)
        height, width = frame.image.shape[:2]
        images.append({"id": index, "file_name": name, "height": height, "width": width})
        boxes += instance_annotations(frame, index)
        people += keypoint_annotations(frame, index)
    classes = [{"id": number, "name": name} for number, name in enumerate(CLASS_NAMES, start=1)]
    person = {"id": 1, "name": "person", "keypoints": _JOINTS, "skeleton": _SKELETON}
    for title, rows, categories in (
        ("instances", boxes, classes),
        ("person_keypoints", people, [person]),
    ):
        for number, row in enumerate(rows, start=1):
            row["id"] = number
        content = {"info": {"description": "centernet_ros street"}, "images": images}
        text = json.dumps(content | {"annotations": rows, "categories": categories})
        (folder / "annotations" / f"{title}.json").write_text(text)
    return len(images)


def instance_annotations(frame: StreetFrame, image_id: int) -> list[dict[str, Any]]:
    """COCO's annotations (without ids) of objects and ignored regions; area is that of the box."""
    rows = []
    for part, crowd in ((frame.objects, 0), (frame.ignored, 1)):
        for box, label in zip(part.boxes, part.labels, strict=True):
            rows.append(_annotation(image_id, int(label) + 1, box, crowd))
    return rows


def keypoint_annotations(frame: StreetFrame, image_id: int) -> list[dict[str, Any]]:
    """COCO's annotations (without ids) of people with joints, and of ignored people and riders."""
    rows = []
    for row in range(len(frame.poses)):
        flags = frame.keypoint_visibility[row].tolist()
        joints = frame.poses.keypoints[row].tolist()
        flat: list[float] = []
        for (x, y), flag in zip(joints, flags, strict=True):
            flat += [round(x, 2), round(y, 2), flag] if flag else [0, 0, 0]
        annotation = _annotation(image_id, 1, frame.poses.boxes[row], 0)
        # Half of the box is COCO's usual ratio of a person's outline to the box.
        annotation["area"] = round(annotation["area"] * 0.5, 2)
        annotation |= {"keypoints": flat, "num_keypoints": sum(flag > 0 for flag in flags)}
        rows.append(annotation)
    car = CLASS_NAMES.index("car")
    for box, label in zip(frame.ignored.boxes, frame.ignored.labels, strict=True):
        if int(label) != car:
            blank = {"keypoints": [0] * 3 * NUM_JOINTS, "num_keypoints": 0}
            rows.append(_annotation(image_id, 1, box, 1) | blank)
    return rows


def _annotation(image_id: int, category: int, box: Tensor, crowd: int) -> dict[str, Any]:
    x1, y1, x2, y2 = (float(value) for value in box)
    return {
        "image_id": image_id,
        "category_id": category,
        "bbox": [round(x1, 3), round(y1, 3), round(x2 - x1, 3), round(y2 - y1, 3)],
        "area": round((x2 - x1) * (y2 - y1), 2),
        "iscrowd": crowd,
    }


def _write_image(path: Path, frame: StreetFrame) -> None:
    if not cv2.imwrite(str(path), frame.image):
        raise OSError(f"cannot write {path}")
