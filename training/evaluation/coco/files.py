"""COCO's metrics of a result file against an annotation file, for official numbers."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pycocotools.coco import COCO

from training.evaluation.coco.metrics import (
    BoxMetrics,
    PoseMetrics,
    box_metrics,
    pose_metrics,
    quiet_dataset,
)


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
    records = _json(results)
    if not isinstance(records, list):
        raise ValueError(f"{results}: not a list of results")
    images, categories = set(truth.imgs), set(truth.cats)
    for number, record in enumerate(records, start=1):
        _check_record(record, f"{results}, result {number}", shape, images, categories)
    found = _found(truth, records)
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
    for number, entry in enumerate(content["annotations"], start=1):
        for key in ("id", "image_id", "category_id", "bbox", shape):
            if key not in entry:
                raise ValueError(f"{path}, annotation {number}: no {key}")
        if entry["id"] == 0:
            # pycocotools takes a match with id 0 for none.
            raise ValueError(f"{path}, annotation {number}: id 0; ids start at 1")
        entry.setdefault("iscrowd", 0)
        entry.setdefault("area", entry["bbox"][2] * entry["bbox"][3])
        if shape == "keypoints":
            entry.setdefault("num_keypoints", sum(flag > 0 for flag in entry["keypoints"][2::3]))
    return dict(content)


def _check_record(
    record: Mapping[str, Any], where: str, shape: str, images: set[int], categories: set[int]
) -> None:
    for key in ("image_id", "category_id", "score", shape):
        if key not in record:
            raise ValueError(f"{where}: no {key}")
    if record["image_id"] not in images:
        raise ValueError(f"{where}: image_id {record['image_id']} is not among the annotations")
    if record["category_id"] not in categories:
        # pycocotools would leave it out without a word.
        known = ", ".join(str(number) for number in sorted(categories))
        raise ValueError(f"{where}: category_id {record['category_id']} is none of {known}")


def _found(truth: COCO, records: Sequence[dict[str, Any]]) -> COCO:
    if records:
        with contextlib.redirect_stdout(io.StringIO()):
            return truth.loadRes(records)
    # pycocotools cannot load an empty list.
    return quiet_dataset({**truth.dataset, "annotations": []})
