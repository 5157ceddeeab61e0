"""COCO's metrics of a result file against an annotation file, for official numbers."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from pycocotools.coco import COCO

from centernet_ros.structures import NUM_JOINTS
from training.data.coco import box_and_area, entry_problem, is_crowd, own_categories
from training.evaluation.coco.metrics import (
    BoxMetrics,
    PoseMetrics,
    box_metrics,
    pose_metrics,
    quiet_dataset,
)

NUMBERS = {"bbox": 4, "keypoints": 3 * NUM_JOINTS}
"""How many numbers describe an object."""


def evaluate_files(
    annotations: Path, results: Path, *, keypoints: bool = False, by_class: bool = True
) -> BoxMetrics | PoseMetrics:
    """COCO's metrics of a result file, over all images of the annotation file.

    Args:
        annotations: COCO's instances or person_keypoints JSON, or own data in this form.
        results: JSON list of records with image_id, category_id, score, and bbox or keypoints.
        keypoints: measure key points and not boxes.
        by_class: whether a box finds objects of its own class only.

    Raises:
        ValueError: A file cannot be read or lacks something, or a result belongs to no image or
            category; the message names the file and the record.
    """
    shape = "keypoints" if keypoints else "bbox"
    truth = quiet_dataset(_checked(_json(annotations), annotations, shape))
    found = _found(truth, _records(_json(results), results, shape, truth))
    if keypoints:
        return pose_metrics(truth, found)
    return box_metrics(truth, found, by_class=by_class)


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from None
    except ValueError as error:
        raise ValueError(f"{path} is no JSON file: {error}") from None


def _checked(content: Any, path: Path, shape: str) -> dict[str, Any]:
    """The annotations, with what own data may leave out filled in."""
    for key in ("images", "annotations", "categories"):
        if not isinstance(content, dict) or not isinstance(content.get(key), list):
            raise ValueError(f"{path} has no list of {key}: is it an annotation file?")
    ids: dict[str, set[int]] = {}
    for key, one in (
        ("images", "image"),
        ("categories", "category"),
        ("annotations", "annotation"),
    ):
        ids[key] = set()
        for number, entry in enumerate(content[key], start=1):
            problem = _entry_problem(key, entry, shape, ids)
            if problem:
                raise ValueError(f"{path}, {one} {number}: {problem}")
            if key != "annotations":
                ids[key].add(entry["id"])
    categories, names = content["categories"], [item["name"] for item in content["categories"]]
    categories = own_categories(categories, content["annotations"], wanted=names)
    if len(set(names)) < len(categories):
        raise ValueError(f"{path}: two categories have one name; there are {', '.join(names)}")
    for number, entry in enumerate(content["annotations"], start=1):
        # Nobody else looks at this id, and pycocotools takes a match with id 0 for none.
        entry["id"] = number
        entry["iscrowd"] = int(is_crowd(entry))
        entry["area"] = box_and_area(entry, joints=shape == "keypoints")[1]
        if shape == "keypoints":
            entry.setdefault("num_keypoints", sum(flag > 0 for flag in entry["keypoints"][2::3]))
    return {**content, "categories": categories}


def _entry_problem(key: str, entry: Any, shape: str, ids: Mapping[str, Collection[int]]) -> str:
    """What makes an entry of an annotation file useless; empty if nothing.

    Args:
        key: the list that it is in.
        entry: what stands there.
        shape: `bbox` or `keypoints`, what is measured.
        ids: of the images and the categories before it.
    """
    # Nobody opens an image here: it needs no name.
    named = {"file_name": "-", **entry} if key == "images" and isinstance(entry, dict) else entry
    problem = entry_problem(key, named)
    if problem:
        return problem
    if key == "annotations":
        return _annotation_problem(entry, shape, ids)
    return f"id {entry['id']} is used twice" if entry["id"] in ids[key] else ""


def _annotation_problem(
    entry: Mapping[str, Any], shape: str, ids: Mapping[str, Collection[int]]
) -> str:
    for key, lists in (("image_id", "images"), ("category_id", "categories")):
        if entry[key] not in ids[lists]:
            return f"{key} {entry[key]} is not among the {lists}"
    problem = _numbers_problem(entry, "bbox") or _numbers_problem(entry, shape)
    if problem:
        return problem
    try:
        is_crowd(entry)
        box_and_area(entry)
    except ValueError as error:
        return str(error)
    return ""


def _records(records: Any, path: Path, shape: str, truth: COCO) -> list[dict[str, Any]]:
    """The results with what pycocotools needs: it guesses their kind by what else is there."""
    if not isinstance(records, list):
        raise ValueError(f"{path}: not a list of results")
    for number, record in enumerate(records, start=1):
        problem = _record_problem(record, shape, truth)
        if not problem and ("bbox" in record) != ("bbox" in records[0]):
            problem = "either all results have a bbox or none has; result 1 differs from this one"
        if problem:
            raise ValueError(f"{path}, result {number}: {problem}")
    keys = ["image_id", "category_id", "score"]
    keys += [key for key in (shape, "bbox") if records and key in records[0]]
    return [{key: record[key] for key in keys} for record in records]


def _record_problem(record: Any, shape: str, truth: COCO) -> str:
    """What makes a result useless; empty if nothing."""
    if not isinstance(record, dict):
        return f"is {record!r}, expected keys and values"
    for key in ("image_id", "category_id"):
        if type(record.get(key)) is not int:
            return f"has the {key} {record.get(key)!r}, expected an integer"
    if record["image_id"] not in truth.imgs:
        return f"image_id {record['image_id']} is not among the annotations"
    if record["category_id"] not in truth.cats:
        # pycocotools would leave it out without a word.
        known = ", ".join(str(number) for number in sorted(truth.cats))
        return f"category_id {record['category_id']} is none of {known}"
    if not _is_number(record.get("score")):
        return f"has the score {record.get('score')!r}, expected a finite number"
    problem = _numbers_problem(record, shape)
    return problem or (_numbers_problem(record, "bbox") if "bbox" in record else "")


def _numbers_problem(entry: Mapping[str, Any], key: str) -> str:
    """What is wrong with a box or joints; empty if nothing."""
    if key not in entry:
        return f"has no {key}"
    values, count = entry[key], NUMBERS[key]
    if not isinstance(values, list):
        return f"has the {key} {values!r}, expected {count} numbers"
    if len(values) != count:
        return f"has {len(values)} numbers in {key}, expected {count}"
    wrong = [value for value in values if not _is_number(value)]
    return f"has {wrong[0]!r} in {key}, expected finite numbers" if wrong else ""


def _is_number(value: Any) -> bool:
    """Whether it is a number that floating point has; for Python true and false are numbers."""
    return type(value) in (int, float) and abs(value) <= sys.float_info.max


def _found(truth: COCO, records: Sequence[dict[str, Any]]) -> COCO:
    if records:
        with contextlib.redirect_stdout(io.StringIO()):
            return truth.loadRes(records)
    # pycocotools cannot load an empty list.
    return quiet_dataset({**truth.dataset, "annotations": []})
