"""Data sets of every form -> records; what cannot be read becomes a finding and ends nothing."""

from __future__ import annotations

import json
import os
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from centernet_ros.class_names import KITTI_CLASSES
from centernet_ros.kitti import DONT_CARE, KittiObject
from training.check.records import Finding, Numbers, RawImage, RawObject, Scan
from training.data.coco import (
    NEEDED,
    box_and_area,
    entry_problem,
    image_size,
    is_crowd,
    joints_of,
    own_categories,
)
from training.data.images import images_in
from training.data.kitti import image_paths as kitti_images
from training.data.kitti import numbered_objects
from training.data.lists import read_names
from training.data.sample import DataError
from training.data.voc import annotation_path, is_difficult, read_annotation, sample_names
from training.data.voc import image_paths as voc_images
from training.data.voc import image_size as voc_image_size


def scan_coco(
    annotations: Path, folder: Path, class_names: Sequence[str] = (), task: str = ""
) -> Scan:
    """A file in COCO's form and the folder of its images."""
    try:
        content = json.loads(annotations.read_bytes())
        lists = {key: content[key] for key in NEEDED}
    except (OSError, ValueError, KeyError, TypeError) as error:
        return _unreadable("coco", annotations, f"not a file in COCO's form: {error!r}")
    for key, rows in lists.items():
        if not isinstance(rows, list):
            message = f"not a file in COCO's form: {key} is {rows!r:.80}, expected a list"
            return _unreadable("coco", annotations, message)
    findings = []
    for key in NEEDED:
        lists[key], problems = _readable(annotations, key, lists[key])
        findings += problems
    images, categories, rows = lists.values()
    findings += _double_ids(annotations, images, categories, rows)
    categories = own_categories(categories, rows, class_names)
    names = {category["id"]: category["name"] for category in categories}
    by_id = {image["id"]: image for image in images}
    for name in class_names:
        if name not in names.values():
            message = f"no category {name!r}; there are {', '.join(names.values())}"
            findings.append(Finding("unknown class", str(annotations), message))
    known = tuple(name for name in class_names or names.values() if name in names.values())
    asked = {number: name for number, name in names.items() if name in known}
    objects: dict[int, list[RawObject]] = {number: [] for number in by_id}
    jointed = [bool(row.get("keypoints")) for row in rows if row["category_id"] in asked]
    with_joints = task == "pose" or (task != "detection2d" and any(jointed))
    # Where some objects have joints and others none, only boxes may be wanted.
    wants_joints = task == "pose" or all(jointed)
    for number, row in enumerate(rows, start=1):
        where = f"{annotations}: annotation {row.get('id', f'number {number}')}"
        if row["category_id"] not in names:
            message = f"category_id {row['category_id']} is not in the file"
            findings.append(Finding("unknown class", where, message))
        elif row["image_id"] not in by_id:
            message = f"image_id {row['image_id']} is not in the file"
            findings.append(Finding("unknown image", where, message))
        elif row["category_id"] in asked:
            name = asked[row["category_id"]]
            found = _coco_object(row, name, where, joints=with_joints, is_error=wants_joints)
            objects[row["image_id"]] += [item for item in found if isinstance(item, RawObject)]
            findings += [item for item in found if isinstance(item, Finding)]
    records = tuple(
        RawImage(
            where=f"{annotations}: image {number}",
            path=folder / image["file_name"],
            size=image_size(image),
            objects=tuple(objects[number]),
        )
        for number, image in by_id.items()
    )
    return Scan("coco", known, records, tuple(findings), task)


def _readable(path: Path, key: str, rows: Sequence[Any]) -> tuple[list[Any], list[Finding]]:
    """The entries of a list of a file in COCO's form, without those that cannot be read."""
    problems = [entry_problem(key, row) for row in rows]
    findings = [
        Finding("unreadable label", f"{path}: entry {number} of {key}", f"it {problem}")
        for number, problem in enumerate(problems, start=1)
        if problem
    ]
    return [row for row, problem in zip(rows, problems, strict=True) if not problem], findings


def _double_ids(
    path: Path,
    images: Sequence[Mapping[str, Any]],
    categories: Sequence[Mapping[str, Any]],
    annotations: Sequence[Mapping[str, Any]],
) -> list[Finding]:
    """What should stand for one entry and stands for more; nothing is found by annotations' ids."""
    numbers = [str(row["id"]) for row in annotations if row.get("id") is not None]
    names = [category["name"] for category in own_categories(categories, annotations)]
    return [
        *_repeated("duplicate id", path, "image id", (i["id"] for i in images)),
        *_repeated("duplicate id", path, "category id", (c["id"] for c in categories)),
        *_repeated("duplicate id", path, "category name", names),
        *_repeated("duplicate id", path, "file_name", (i["file_name"] for i in images)),
        *_repeated("duplicate id", path, "annotation id", numbers, is_error=False),
    ]


def _coco_object(
    row: Mapping[str, Any], name: str, where: str, *, joints: bool, is_error: bool
) -> list[RawObject | Finding]:
    """An object as training reads it, and what is wrong with it.

    Without right joints it still is an object.

    Args:
        row: its annotation.
        name: its class.
        where: file and place.
        joints: whether it should have joints.
        is_error: whether wrong ones must be mended.
    """
    try:
        box, _ = box_and_area(row)
        crowd = is_crowd(row)
    except ValueError as error:
        return [Finding("unreadable label", where, str(error))]
    numbers: tuple[float, ...] = ()
    problems = []
    try:
        numbers = joints_of(row) if joints else ()
    except ValueError as error:
        problems.append(Finding("wrong joints", where, str(error), is_error))
    x, y, width, height = (float(value) for value in row["bbox"])
    item = RawObject(where, name, (x, y, width, height), box, numbers, ignored=crowd)
    return [_finite(item), *problems, *_rotation(row, where)]


def _rotation(row: Mapping[str, Any], where: str) -> Iterator[Finding]:
    """A box that was drawn turned and is written as if it were not, as CVAT does."""
    attributes = row.get("attributes")
    angle = attributes.get("rotation") if isinstance(attributes, dict) else None
    if isinstance(angle, int | float) and angle % 360:
        message = (
            f"attributes.rotation is {angle:g}, but the box is written unturned and is not "
            "that of the object: draw it upright, or draw the outline"
        )
        yield Finding("rotated box", where, message, is_error=False)


def scan_voc(
    folder: Path, list_file: str = "", class_names: Sequence[str] = (), task: str = ""
) -> Scan:
    """A folder in Pascal VOC's form."""
    try:
        names = sample_names(folder, list_file)
    except DataError as error:
        return _unreadable("voc", folder, str(error))
    images, findings = [], []
    for name, image in _with_bar(zip(names, voc_images(folder, names), strict=True), len(names)):
        path = annotation_path(folder, name)
        try:
            root, entries = read_annotation(path)
            size = voc_image_size(root, path)
        except DataError as error:
            message = str(error).removeprefix(f"{path}: ")
            findings.append(Finding("unreadable label", str(path), message))
            continue
        found = [_voc_object(entry, f"{path}, line {line}") for line, entry in entries]
        findings += [item for item in found if isinstance(item, Finding)]
        objects = tuple(item for item in found if isinstance(item, RawObject))
        images.append(RawImage(str(path), image, size, objects))
    if not list_file:
        findings += _unread(folder / "Annotations")
        findings += _unlabelled(folder / "JPEGImages", names)
    return Scan("voc", tuple(class_names), tuple(images), tuple(findings), task)


def _unread(folder: Path) -> list[Finding]:
    """Annotations that nobody reads, as their ending is written in another way."""
    paths = (path for path in folder.rglob("*") if path.suffix.lower() == ".xml")
    others = [path for path in paths if path.suffix != ".xml"]
    if not others:
        return []
    message = (
        f"{len(others)} annotations are not read, the first is {min(others).relative_to(folder)}: "
        "expected the ending .xml"
    )
    return [Finding("label that is not read", str(folder), message, is_error=False)]


def _unlabelled(folder: Path, names: Sequence[str]) -> list[Finding]:
    """Images without a label, of which nothing is learnt."""
    inner = [Path(parent).relative_to(folder) for parent, _, _ in os.walk(folder)]
    images = {
        (place / stem).as_posix(): place / path.name
        for place in inner
        for stem, path in images_in(folder / place).items()
    }
    others = sorted(images.keys() - set(names))
    if not others:
        return []
    message = f"{len(others)} images have no annotation, the first is {images[others[0]]}"
    return [Finding("image without label", str(folder), message, is_error=False)]


def _voc_object(entry: ET.Element, where: str) -> RawObject | Finding:
    texts = [entry.findtext(f"bndbox/{tag}") for tag in ("xmin", "ymin", "xmax", "ymax")]
    try:
        x1, y1, x2, y2 = (float(text or "") for text in texts)
    except ValueError:
        message = f"the edges of the box are {texts}, expected numbers"
        return Finding("unreadable label", where, message)
    name = (entry.findtext("name") or "").strip()
    written, box = (x1, y1, x2, y2), (x1 - 1, y1 - 1, x2, y2)
    return _finite(RawObject(where, name, written, box, ignored=is_difficult(entry)))


def scan_kitti(
    folder: Path, list_file: Path | None, class_names: Sequence[str] = (), task: str = ""
) -> Scan:
    """KITTI's folder with image_2, label_2 and, but for `detection2d`, calib."""
    try:
        names = (
            read_names(list_file)
            if list_file
            else sorted(path.stem for path in (folder / "label_2").glob("*.txt"))
        )
    except DataError as error:
        return _unreadable("kitti", folder, str(error))
    images, findings = [], []
    for name, image in _with_bar(zip(names, kitti_images(folder, names), strict=True), len(names)):
        path = folder / "label_2" / f"{name}.txt"
        try:
            items = numbered_objects(path.read_text(encoding="utf-8-sig"))
        except (OSError, ValueError) as error:
            findings.append(Finding("unreadable label", str(path), str(error)))
            continue
        found = [_kitti_object(item, f"{path}, line {line}") for line, item in items]
        images.append(
            RawImage(
                where=str(path),
                path=image,
                size=None,
                objects=tuple(item for item in found if item.name != DONT_CARE),
                calibration=None if task == "detection2d" else folder / "calib" / f"{name}.txt",
                regions=tuple(item for item in found if item.name == DONT_CARE),
            )
        )
    if not list_file:
        findings += _unlabelled(folder / "image_2", names)
    known = tuple(name.lower() for name in class_names) or KITTI_CLASSES
    return Scan("kitti", known, tuple(images), tuple(findings), task)


def _kitti_object(item: KittiObject, where: str) -> RawObject:
    x1, y1, x2, y2 = item.box
    box: Numbers = (x1, y1, x2, y2)
    return RawObject(where, item.kind.lower(), box, box, solid=item)


def _finite(item: RawObject) -> RawObject | Finding:
    """The object, or what is wrong where its box holds something else than numbers."""
    if np.isfinite(item.written).all():
        return item
    return Finding("no number", item.where, f"the box {item.written} is not finite")


def _with_bar(rows: Iterable[tuple[str, Path]], count: int) -> Iterable[tuple[str, Path]]:
    """The same rows, with a bar on a terminal."""
    return tqdm(rows, desc="labels", total=count, unit="image", leave=False, disable=None)


def _unreadable(form: str, path: Path, message: str) -> Scan:
    return Scan(form, (), (), (Finding("unreadable label", str(path), message),))


def _repeated(
    kind: str, path: Path, what: str, values: Iterable[Hashable], *, is_error: bool = True
) -> list[Finding]:
    counts = Counter(values)
    return [
        Finding(kind, str(path), f"{what} {value} is used {count} times", is_error)
        for value, count in counts.items()
        if count > 1
    ]
