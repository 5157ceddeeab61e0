"""COCO's JSON files, and own data in the same form: boxes (instances) and people (key points)."""

from __future__ import annotations

import gc
import itertools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from centernet_ros.structures import NUM_JOINTS
from training.data.labelled import LabelledImage, LabelledImages, LabelledObject, collect
from training.data.sample import DataError

NEEDED = {
    "images": ("id", "file_name"),
    "categories": ("id", "name"),
    "annotations": ("image_id", "category_id", "bbox"),
}
"""The lists of a file, and what each of their entries has to have."""


@contextmanager
def _without_collector() -> Iterator[None]:
    """Values by the million: Python would search them for cycles again and again as they come."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@_without_collector()
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
            size=image_size(image),
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
    for key in NEEDED:
        rows = content.get(key) if isinstance(content, dict) else None
        if not isinstance(rows, list):
            raise DataError(f"{path}: no list of {key}; expected COCO's form")
        for number, row in enumerate(rows, start=1):
            problem = entry_problem(key, row)
            if problem:
                raise DataError(f"{path}: entry {number} of {key} {problem}")
    return content


def entry_problem(key: str, row: Any) -> str:
    """What makes an entry of one of the lists in `NEEDED` unreadable; empty if nothing.

    Numbers of boxes and joints are not looked at.
    """
    if not isinstance(row, dict):
        return f"is {row!r}, expected keys and values"
    for name in NEEDED[key]:
        if name not in row:
            return f"has no {name}"
        value = row[name]
        if name.endswith("id") and type(value) is not int:
            return f"has the {name} {value!r}, expected an integer"
        if name.endswith("name") and not (isinstance(value, str) and value):
            return f"has the {name} {value!r}, expected text"
    sides = [row.get("height"), row.get("width")] if key == "images" else []
    told = any(side is not None for side in sides)
    if told and not all(type(side) is int and side > 0 for side in sides):
        return f"has the height, width {sides}, expected positive integers or neither"
    return ""


def image_size(image: Mapping[str, Any]) -> tuple[int, int] | None:
    """Height, width of an image, where its entry tells them."""
    return (image["height"], image["width"]) if image.get("height") else None


def _classes(
    content: Mapping[str, Any], path: Path, class_names: Sequence[str]
) -> tuple[dict[int, int | None], tuple[str, ...]]:
    """Label of each category id, None where it is not looked for, and the name of each label."""
    categories = sorted(content["categories"], key=lambda category: int(category["id"]))
    ids = {category["name"]: category["id"] for category in categories}
    for first, second in itertools.pairwise(categories):
        if first["id"] == second["id"]:
            raise DataError(f"{path}: the category id {first['id']} is used twice")
    if len(ids) < len(categories):
        raise DataError(f"{path}: two categories have one name; there are {', '.join(ids)}")
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
        if label is None:
            continue
        try:
            box, area = box_and_area(row)
            crowd, joints = is_crowd(row), joints_of(row) if task == "pose" else ()
        except ValueError as error:
            raise DataError(f"{where}: {error}") from None
        yield LabelledObject(positions[row["image_id"]], box, label, crowd, area, joints, where)


def box_and_area(row: Mapping[str, Any]) -> tuple[tuple[float, float, float, float], float]:
    """An annotation's x1, y1, x2, y2 in pixels and the square pixels that it covers.

    Raises:
        ValueError: The box is not four numbers, or the area is none.
    """
    try:
        x, y, width, height = (float(value) for value in row["bbox"])
    except (TypeError, ValueError):
        raise ValueError(f"bbox is {row['bbox']!r}, expected x, y, width, height") from None
    area = row.get("area")
    if area is None:
        area = width * height
    elif not isinstance(area, int | float) or not math.isfinite(area):
        raise ValueError(f"area is {area!r}, expected square pixels")
    return (x, y, x + width, y + height), float(area)


def is_crowd(row: Mapping[str, Any]) -> bool:
    """Whether an annotation is a crowd.

    Raises:
        ValueError: What it says is neither yes nor no; the text "0" would count as yes.
    """
    value = row.get("iscrowd")
    if value not in (0, 1, None):
        raise ValueError(f"iscrowd is {value!r}, expected 0 or 1")
    return bool(value)


def joints_of(row: Mapping[str, Any]) -> tuple[float, ...]:
    """Three numbers for each joint of an annotation of a person.

    Raises:
        ValueError: There are others than those of 17 joints.
    """
    joints = row.get("keypoints")
    joints = () if joints is None else joints
    if not isinstance(joints, list | tuple) or len(joints) != 3 * NUM_JOINTS:
        found = f"{len(joints)} numbers" if isinstance(joints, list | tuple) else f"{joints!r}"
        raise ValueError(
            f"keypoints has {found}, expected x, y, visibility of {NUM_JOINTS} joints; "
            "for boxes alone choose the task detection2d"
        )
    wrong = [v for v in joints if not isinstance(v, int | float) or not math.isfinite(v)]
    if wrong:
        raise ValueError(f"keypoints holds {wrong[0]!r}, expected numbers")
    return tuple(float(value) for value in joints)
