"""What was found in each image, and the files in which it is written."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from torch import Tensor

from centernet_ros.bag import SourceError
from centernet_ros.detect.frames import Unusable
from centernet_ros.kitti import format_results
from centernet_ros.presets import SCORE_DECIMALS
from centernet_ros.structures import CameraIntrinsics, Detections2D, Detections3D, Poses
from centernet_ros.tasks.pose.joints import JOINT_NAMES

THRESHOLDS = {"json": 0.3, "coco": 0.0, "kitti": 0.2}
"""Least score in each format: metrics on COCO and KITTI were published with these two."""

KEYS_3D = {"dimensions": "dimensions", "location": "locations", "yaw": "yaws", "alpha": "alphas"}
"""Keys in `results.json` of one 3D box, and the fields of `Detections3D` that they come from."""


@dataclass(frozen=True, eq=False)
class Record:
    """The results of one image.

    Attributes:
        name: of the image, see `Frame`.
        image_size: height, width in pixels.
        results: best first, on the CPU.
        camera: that took the image, where it was asked for.
        stamp: nanoseconds, see `Frame`.
    """

    name: str
    image_size: tuple[int, int]
    results: Detections2D
    camera: CameraIntrinsics | None = None
    stamp: int | None = None


def above(results: Detections2D, threshold: float) -> Detections2D:
    """Results with at least this score."""
    return results[results.scores >= threshold]


def write_json(
    path: Path,
    records: Sequence[Record],
    unusable: Sequence[Unusable],
    class_names: Sequence[str],
    facts: Mapping[str, Any],
) -> None:
    """Write everything about every image; docs/detect.md describes the file.

    Args:
        path: file to write.
        records: images in order.
        unusable: images that could not be used.
        class_names: name of each label.
        facts: further entries of the file's head.
    """
    head = {**facts, "class_names": list(class_names)}
    if any(isinstance(record.results, Poses) for record in records):
        head["joint_names"] = list(JOINT_NAMES)
    entries = {key: json.dumps(value, allow_nan=False) for key, value in head.items()}
    entries["images"] = _lines([_image_entry(record, class_names) for record in records])
    entries["unusable"] = _lines([dataclasses.asdict(item) for item in unusable])
    pairs = ",\n".join(f"{json.dumps(key)}: {value}" for key, value in entries.items())
    path.write_text(f"{{\n{pairs}\n}}\n")


def _lines(entries: Sequence[Mapping[str, Any]]) -> str:
    """A list in JSON, one entry a line, so that people and line tools can read it."""
    return "[\n" + ",\n".join(json.dumps(entry, allow_nan=False) for entry in entries) + "\n]"


def _image_entry(record: Record, class_names: Sequence[str]) -> dict[str, Any]:
    height, width = record.image_size
    entry: dict[str, Any] = {"name": record.name, "width": width, "height": height}
    if record.stamp is not None:
        entry["stamp"] = record.stamp
    if record.camera is not None:
        entry["projection"] = record.camera.projection.tolist()
    found = range(len(record.results))
    entry["detections"] = [_detection_entry(record.results, i, class_names) for i in found]
    return entry


def _detection_entry(results: Detections2D, i: int, class_names: Sequence[str]) -> dict[str, Any]:
    label = int(results.labels[i])
    entry: dict[str, Any] = {
        "class": class_names[label],
        "label": label,
        "score": _plain(results.scores[i]),
        "box": _plain(results.boxes[i]),
    }
    if isinstance(results, Detections3D):
        for key, field in KEYS_3D.items():
            entry[key] = _plain(getattr(results, field)[i])
    if isinstance(results, Poses):
        entry["keypoints"] = _plain(results.keypoints[i])
        entry["keypoint_scores"] = _plain(results.keypoint_scores[i])
    return entry


def _plain(value: Any) -> Any:
    """Numbers as JSON holds them: with the seven digits of a float32, None if not finite."""
    if isinstance(value, Tensor):
        value = value.tolist()
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return float(f"{value:.7g}") if math.isfinite(value) else None


def write_kitti(
    folder: Path,
    records: Sequence[Record],
    class_names: Sequence[str],
    score_decimals: int = SCORE_DECIMALS,
) -> None:
    """Write a result file for each image, named as the image; empty where nothing was found."""
    folder.mkdir(parents=True, exist_ok=True)
    for record in records:
        text = format_results(record.results, class_names, score_decimals)
        (folder / kitti_name(record.name)).write_text(text)


def check_kitti_names(names: Sequence[str]) -> None:
    """Refuse images whose result files would have the same name.

    Raises:
        SourceError: Two images share one.
    """
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(kitti_name(name), name)
        if other != name:
            raise SourceError(
                f"--format kitti names result files as images, but {other} and {name} would share "
                f"{kitti_name(name)}"
            )


def kitti_name(name: str) -> str:
    """Name of the result file of an image."""
    return f"{PurePosixPath(name).stem}.txt"
