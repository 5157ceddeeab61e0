"""COCO's metrics on the values of `structures`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from pycocotools.coco import COCO
from torch import Tensor

from centernet_ros.class_names import POSE_CLASSES
from centernet_ros.structures import NUM_JOINTS, Detections2D, Poses
from training.data.coco import OUTLINE_SHARE
from training.evaluation.coco.metrics import (
    BoxMetrics,
    PoseMetrics,
    box_metrics,
    pose_metrics,
    quiet_dataset,
)


def evaluate_boxes(
    truths: Sequence[Detections2D],
    ignored: Sequence[Detections2D],
    results: Sequence[Detections2D],
    class_names: Sequence[str],
    areas: Sequence[Tensor] | None = None,
) -> BoxMetrics:
    """COCO's metrics of results against ground truth, one entry of each sequence per image.

    Args:
        truths: objects to find; 3D boxes and poses count with their 2D boxes.
        ignored: regions where a detection is neither right nor wrong (COCO's crowds): for the class
            of their label, or for every class where the label is negative.
        results: what was found, scores in any order; equal scores rank in their order here.
        class_names: name of each label.
        areas: (N,) square pixels of each object, which decide whether it is small or large; by
            default those of the boxes. COCO's official numbers need the annotations' areas.

    Raises:
        ValueError: The sequences differ in length, or a label has no name.
    """
    return box_metrics(*_datasets(truths, ignored, results, class_names, areas))


def evaluate_poses(
    truths: Sequence[Poses],
    ignored: Sequence[Detections2D],
    results: Sequence[Poses],
    areas: Sequence[Tensor] | None = None,
    class_names: Sequence[str] = POSE_CLASSES,
    *,
    ignored_areas: Sequence[Tensor] | None = None,
) -> PoseMetrics:
    """COCO's key point metrics, one entry of each sequence per image.

    Args:
        truths: people; a joint counts where its score is above 0, and a person without any joint
            that counts is ignored.
        ignored: regions where people count neither way, as in `evaluate_boxes`.
        results: what was found; the joints' scores play no part. The size of a false alarm is that
            of its box.
        areas: (N,) square pixels of each person's outline. The larger it is, the farther a joint
            may be off. By default half of the box.
        class_names: name of each label.
        ignored_areas: (N,) square pixels of each ignored region, which decide how far around it
            people are ignored; by default those of the boxes.

    Raises:
        ValueError: The sequences differ in length, or a label has no name.
    """
    if areas is None:
        areas = [OUTLINE_SHARE * box_areas(truth.boxes) for truth in truths]
    return pose_metrics(
        *_datasets(truths, ignored, results, class_names, areas, ignored_areas=ignored_areas)
    )


def _datasets(
    truths: Sequence[Detections2D],
    ignored: Sequence[Detections2D],
    results: Sequence[Detections2D],
    class_names: Sequence[str],
    areas: Sequence[Tensor] | None,
    *,
    ignored_areas: Sequence[Tensor] | None = None,
) -> tuple[COCO, COCO]:
    """Annotations and results of all images."""
    if not len(truths) == len(ignored) == len(results):
        raise ValueError(
            f"{len(truths)} truths, {len(ignored)} ignored and {len(results)} results: "
            "each image needs one of each"
        )
    areas = _checked_areas(areas, truths)
    crowd_areas = _checked_areas(ignored_areas, ignored)
    annotations: list[dict[str, Any]] = []
    found: list[dict[str, Any]] = []
    for image, truth in enumerate(truths):
        annotations += _entries(image, truth, len(class_names), areas=areas[image])
        annotations += _entries(
            image, ignored[image], len(class_names), areas=crowd_areas[image], crowd=True
        )
        found += _entries(image, results[image], len(class_names))
    return _dataset(annotations, len(truths), class_names), _dataset(
        found, len(truths), class_names
    )


def _checked_areas(
    areas: Sequence[Tensor] | None, objects: Sequence[Detections2D]
) -> Sequence[Tensor]:
    """Areas of all objects, by default those of their boxes."""
    if areas is None:
        return [box_areas(item.boxes) for item in objects]
    if [len(values) for values in areas] != [len(item) for item in objects]:
        raise ValueError("areas: each object of each image needs one")
    return areas


def box_areas(boxes: Tensor) -> Tensor:
    """Square pixels (N,), float64, of boxes (N, 4)."""
    return (boxes.double()[:, 2:] - boxes.double()[:, :2]).prod(dim=1)


def _entries(
    image: int,
    objects: Detections2D,
    num_classes: int,
    *,
    areas: Tensor | None = None,
    crowd: bool = False,
) -> list[dict[str, Any]]:
    """The objects of one image as COCO annotations; the area is by default that of the box."""
    entries = []
    rows = zip(
        objects.boxes.double().tolist(),
        (box_areas(objects.boxes) if areas is None else areas).tolist(),
        objects.scores.tolist(),
        objects.labels.tolist(),
        _joints(objects),
        strict=True,
    )
    for (x1, y1, x2, y2), area, score, label, joints in rows:
        if label >= num_classes or (label < 0 and not crowd):
            raise ValueError(f"label {label} in image {image}: there are {num_classes} classes")
        for category in range(num_classes) if label < 0 else [label]:
            entries.append(
                {
                    "image_id": image,
                    "category_id": category,
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "area": area,
                    "iscrowd": int(crowd),
                    "score": score,
                    "keypoints": joints,
                    "num_keypoints": sum(flag > 0 for flag in joints[2::3]),
                }
            )
    return entries


def _joints(objects: Detections2D) -> list[list[float]]:
    """For each object 17 times x, y, visibility; none is visible where there are no joints."""
    if not isinstance(objects, Poses):
        return [[0.0] * 3 * NUM_JOINTS] * len(objects)
    visible = 2.0 * (objects.keypoint_scores > 0).double().unsqueeze(-1)
    joints = torch.cat([objects.keypoints.double(), visible], dim=-1).flatten(1)
    rows: list[list[float]] = joints.tolist()
    return rows


def _dataset(
    annotations: list[dict[str, Any]], num_images: int, class_names: Sequence[str]
) -> COCO:
    content = {
        "images": [{"id": image} for image in range(num_images)],
        "categories": [{"id": k, "name": name} for k, name in enumerate(class_names)],
        # Ids start at 1 since pycocotools takes a match with id 0 for none.
        "annotations": [{"id": i, **entry} for i, entry in enumerate(annotations, start=1)],
    }
    return quiet_dataset(content)
