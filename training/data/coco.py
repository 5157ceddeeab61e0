"""COCO's JSON files, and own data in the same form: boxes (instances) and people (key points)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from centernet_ros.structures import NUM_JOINTS
from training.data.labelled import LabelledImage, LabelledImages, LabelledObject, collect
from training.data.sample import DataError


def open_coco(
    annotations: Path, folder: Path, task: str, class_names: Sequence[str] = ()
) -> LabelledImages:
    """Read an annotation file.

    Crowds (`iscrowd`) are regions to ignore.

    Args:
        annotations: the JSON file.
        folder: where its images lie.
        task: `detection2d`, or `pose` for people with 17 joints.
        class_names: names of the categories to look for, in the order of the labels; others are
            background. None: all categories by rising id.

    Raises:
        DataError: The file is not of this form, misses a category, or speaks of a missing image.
    """
    content = _read(annotations)
    labels, names = _classes(content, annotations, class_names)
    images = sorted(content["images"], key=lambda image: int(image["id"]))
    positions = {image["id"]: position for position, image in enumerate(images)}
    if len(positions) < len(images):
        raise DataError(f"{annotations}: an image id is used twice")
    objects = _objects(content, annotations, task, positions, labels)
    files = [
        LabelledImage(
            name=str(image["file_name"]),
            path=folder / image["file_name"],
            size=(image["height"], image["width"]) if "height" in image else None,
        )
        for image in images
    ]
    return collect(task, names, files, objects, benchmark="coco")


def _read(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(path.read_bytes())
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from None
    except ValueError as error:
        raise DataError(f"{path}: not a JSON file: {error}") from None
    for key, needed in (
        ("images", ("id", "file_name")),
        ("categories", ("id", "name")),
        ("annotations", ("image_id", "category_id", "bbox")),
    ):
        rows = content.get(key) if isinstance(content, dict) else None
        if not isinstance(rows, list):
            raise DataError(f"{path}: no list of {key}; expected COCO's form")
        for number, row in enumerate(rows, start=1):
            missing = [name for name in needed if name not in row]
            if missing:
                raise DataError(f"{path}: entry {number} of {key} has no {missing[0]}")
    return content


def _classes(
    content: Mapping[str, Any], path: Path, class_names: Sequence[str]
) -> tuple[dict[int, int | None], tuple[str, ...]]:
    """Label of each category id, None where it is not looked for, and the name of each label."""
    categories = sorted(content["categories"], key=lambda category: int(category["id"]))
    ids = {str(category["name"]): category["id"] for category in categories}
    names = tuple(class_names) or tuple(ids)
    for name in names:
        if name not in ids:
            raise DataError(f"{path}: no category {name!r}; there are {', '.join(ids)}")
    if not names:
        raise DataError(f"{path}: there are no categories")
    labels = {ids[name]: label for label, name in enumerate(names)}
    return {number: labels.get(number) for number in ids.values()}, names


def _objects(
    content: Mapping[str, Any],
    path: Path,
    task: str,
    positions: Mapping[int, int],
    labels: Mapping[int, int | None],
) -> Iterator[LabelledObject]:
    for number, row in enumerate(content["annotations"], start=1):
        where = f"{path}: annotation {row.get('id', f'number {number}')}"
        if row["category_id"] not in labels:
            raise DataError(f"{where}: category_id {row['category_id']} is not in the file")
        if row["image_id"] not in positions:
            raise DataError(f"{where}: image_id {row['image_id']} is not in the file")
        label = labels[row["category_id"]]
        if label is not None:
            box, area = _box(row, where)
            yield LabelledObject(
                image=positions[row["image_id"]],
                box=box,
                label=label,
                ignored=bool(row.get("iscrowd", 0)),
                area=area,
                joints=_joints(row, where) if task == "pose" else (),
                where=where,
            )


def _box(row: Mapping[str, Any], where: str) -> tuple[tuple[float, float, float, float], float]:
    try:
        x, y, width, height = (float(value) for value in row["bbox"])
        return (x, y, x + width, y + height), float(row.get("area", width * height))
    except (TypeError, ValueError):
        raise DataError(f"{where}: bbox is {row['bbox']!r}, expected x, y, width, height") from None


def _joints(row: Mapping[str, Any], where: str) -> tuple[float, ...]:
    joints = row.get("keypoints", ())
    if len(joints) != 3 * NUM_JOINTS:
        raise DataError(
            f"{where}: keypoints has {len(joints)} numbers, expected x, y, visibility of "
            f"{NUM_JOINTS} joints; for boxes alone choose the task detection2d"
        )
    return tuple(float(value) for value in joints)
