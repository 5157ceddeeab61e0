"""COCO's JSON files, and own data in the same form: boxes (instances) and people (key points)."""

from __future__ import annotations

import gc
import itertools
import json
import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from centernet_ros.structures import NUM_JOINTS
from training.data.labelled import LabelledImage, LabelledImages, LabelledObject, collect
from training.data.lists import read_names
from training.data.sample import DataError

OUTLINE_SHARE = 0.5
"""Share of a person's box that the outline covers, by custom, where no area is known."""

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
    annotations: Path,
    folder: Path,
    task: str,
    class_names: Sequence[str] = (),
    *,
    list_file: Path | None = None,
    complete: bool = True,
) -> LabelledImages:
    """Read an annotation file.

    Crowds (`iscrowd`) are regions to ignore.

    Args:
        annotations: the JSON file.
        folder: where its images lie.
        task: `detection2d`, or `pose` for people with 17 joints.
        class_names: names of the categories to look for, in the order of the labels; others are
            background. None: all categories by rising id but those that only group others, see
            `own_categories`.
        list_file: file names of the images to use, one on each line, which order them; None: all
            images by rising id.
        complete: whether the file must have a category of each name; else one is enough, as what
            is only measured on may lack some.

    Raises:
        DataError: The file is not of this form, misses a category, or speaks of a missing image;
            or the list speaks of an image that the file does not know.
    """
    content = _read(annotations)
    labels, names = _classes(content, annotations, class_names, complete=complete)
    images = sorted(content["images"], key=lambda image: int(image["id"]))
    positions: dict[int, int | None] = {image["id"]: None for image in images}
    if len(positions) < len(images):
        raise DataError(f"{annotations}: an image id is used twice")
    images = _listed(images, annotations, list_file) if list_file else images
    positions |= {image["id"]: position for position, image in enumerate(images)}
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


def own_categories(
    categories: Sequence[Mapping[str, Any]],
    annotations: Iterable[Mapping[str, Any]],
    wanted: Collection[str] = (),
) -> list[Mapping[str, Any]]:
    """The categories without those that only group others, as the first in Roboflow's files does.

    No annotation uses such a category, and another names it as its `supercategory`.

    Args:
        categories: of a file, each with id and name.
        annotations: of this file, each with its category_id.
        wanted: names of categories that stay, unless another has this name.
    """
    used = {row["category_id"] for row in annotations}
    parents = [category.get("supercategory") for category in categories]

    def groups(category: Mapping[str, Any]) -> bool:
        itself = category.get("supercategory") == category["name"]
        return category["id"] not in used and parents.count(category["name"]) > itself

    missing = set(wanted) - {item["name"] for item in categories if not groups(item)}
    return [item for item in categories if not groups(item) or item["name"] in missing]


def _listed(
    images: Sequence[dict[str, Any]], annotations: Path, list_file: Path
) -> list[dict[str, Any]]:
    """The images that a list names, in its order."""
    order = {name: position for position, name in enumerate(read_names(list_file))}
    unknown = sorted(order.keys() - {image["file_name"] for image in images}, key=order.__getitem__)
    if unknown:
        raise DataError(
            f"{list_file}: no image of {annotations} has the file_name {unknown[0]!r} "
            f"({len(unknown)} of {len(order)} are missing)"
        )
    listed = (image for image in images if image["file_name"] in order)
    return sorted(listed, key=lambda image: order[image["file_name"]])


def _classes(
    content: Mapping[str, Any], path: Path, class_names: Sequence[str], *, complete: bool
) -> tuple[dict[int, int | None], tuple[str, ...]]:
    """Label of each category id, None where it is not looked for, and the name of each label."""
    everything = sorted(content["categories"], key=lambda category: int(category["id"]))
    for first, second in itertools.pairwise(everything):
        if first["id"] == second["id"]:
            raise DataError(f"{path}: the category id {first['id']} is used twice")
    categories = own_categories(everything, content["annotations"], class_names)
    ids = {category["name"]: category["id"] for category in categories}
    if len(ids) < len(categories):
        raise DataError(f"{path}: two categories have one name; there are {', '.join(ids)}")
    names = tuple(class_names) or tuple(ids)
    if not names:
        raise DataError(f"{path}: there are no categories")
    missing = [name for name in names if name not in ids]
    if missing and (complete or len(missing) == len(names)):
        wanted = " or ".join(map(repr, missing[:1] if complete else missing))
        raise DataError(f"{path}: no category {wanted}; there are {', '.join(ids)}")
    labels = {ids[name]: label for label, name in enumerate(names) if name in ids}
    return {number: labels.get(number) for number in ids.values()}, names


def _objects(
    content: Mapping[str, Any],
    path: Path,
    task: str,
    positions: Mapping[int, int | None],
    labels: Mapping[int, int | None],
) -> Iterator[LabelledObject]:
    """The objects that are looked for, in images that have a position."""
    for number, row in enumerate(content["annotations"], start=1):
        where = f"{path}: annotation {row.get('id', f'number {number}')}"
        if row["category_id"] not in labels:
            raise DataError(f"{where}: category_id {row['category_id']} is not in the file")
        if row["image_id"] not in positions:
            raise DataError(f"{where}: image_id {row['image_id']} is not in the file")
        label, position = labels[row["category_id"]], positions[row["image_id"]]
        if label is None or position is None:
            continue
        try:
            box, area = box_and_area(row, joints=task == "pose")
            crowd, joints = is_crowd(row), joints_of(row) if task == "pose" else ()
        except ValueError as error:
            raise DataError(f"{where}: {error}") from None
        yield LabelledObject(position, box, label, crowd, area, joints, where)


def box_and_area(
    row: Mapping[str, Any], *, joints: bool = False
) -> tuple[tuple[float, float, float, float], float]:
    """An annotation's x1, y1, x2, y2 in pixels and the square pixels that it covers.

    Args:
        row: the annotation.
        joints: whether its joints are looked at. Where it tells no area, this is that of the box;
            for joints, of which it decides how far they may be off, a person's share of it.

    Raises:
        ValueError: The box is not four numbers, or the area is none.
    """
    try:
        x, y, width, height = (float(value) for value in row["bbox"])
    except (TypeError, ValueError):
        raise ValueError(f"bbox is {row['bbox']!r}, expected x, y, width, height") from None
    area = row.get("area")
    if area is None:
        area = (OUTLINE_SHARE if joints else 1) * width * height
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
