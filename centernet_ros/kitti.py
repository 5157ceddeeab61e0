"""KITTI's text files: labels and calibrations in, results out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from centernet_ros.presets import SCORE_DECIMALS
from centernet_ros.structures import Detections2D, Detections3D

IGNORED_AS = {"van": "car", "truck": "car", "person_sitting": "pedestrian"}
"""Kinds that look too much like a class to count as its background (the authors' choice)."""

DONT_CARE = "dontcare"
"""Kind of regions in which nothing was labelled."""


@dataclass(frozen=True)
class KittiObject:
    """One line of a label or result file; see the readme of KITTI's development kit.

    Attributes:
        kind: type of the object as KITTI writes it: Car, Pedestrian, DontCare, ...
        truncated: share of the object outside the image, 0 to 1.
        occluded: 0 fully visible, 1 partly, 2 largely occluded, 3 unknown.
        alpha: observation angle in radians.
        box: x1, y1, x2, y2 in pixels.
        dimensions: height, width, length in metres.
        location: centre of the bottom face in metres in the camera's optical frame.
        yaw: rotation_y in radians.
        score: of a result; None in a label.
    """

    kind: str
    truncated: float
    occluded: int
    alpha: float
    box: tuple[float, ...]
    dimensions: tuple[float, ...]
    location: tuple[float, ...]
    yaw: float
    score: float | None = None


def read_objects(text: str) -> list[KittiObject]:
    """Objects of a label or result file, in order.

    Raises:
        ValueError: A line has another form; the message says which.
    """
    objects = []
    for number, line in enumerate(text.splitlines(), start=1):
        kind, *fields = line.split() or [""]
        if not kind:
            continue
        if len(fields) not in (14, 15):
            raise ValueError(f"line {number}: {len(fields) + 1} fields, expected 15 or 16")
        try:
            values = [float(field) for field in fields]
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from None
        if not all(map(math.isfinite, values)):
            raise ValueError(f"line {number}: not every number is finite")
        objects.append(
            KittiObject(
                kind,
                truncated=values[0],
                occluded=int(values[1]),
                alpha=values[2],
                box=tuple(values[3:7]),
                dimensions=tuple(values[7:10]),
                location=tuple(values[10:13]),
                yaw=values[13],
                score=values[14] if len(values) == 15 else None,
            )
        )
    return objects


def read_projection(text: str, name: str = "P2") -> Tensor:
    """Projection (3, 4) float64 of a camera, by custom the left colour camera, from a calib file.

    Raises:
        ValueError: There is no such camera in the file.
    """
    return read_matrix(text, name, 4)


def read_matrix(text: str, name: str, columns: int) -> Tensor:
    """Matrix (3, columns) float64 of a calib file.

    Raises:
        ValueError: There is no such matrix in the file, or it has another size.
    """
    for line in text.splitlines():
        key, _, values = line.partition(":")
        if key.strip() == name:
            numbers = [float(value) for value in values.split()]
            if len(numbers) != 3 * columns:
                raise ValueError(f"{name} has {len(numbers)} numbers, expected {3 * columns}")
            return torch.tensor(numbers, dtype=torch.float64).view(3, columns)
    raise ValueError(f"no {name} in the calibration")


def to_truth(
    objects: Sequence[KittiObject], class_names: Sequence[str]
) -> tuple[Detections3D, Detections2D]:
    """Objects of the classes, and regions to ignore; see `Task.encode`.

    Vans and trucks are ignored as cars, sitting people as pedestrians, and regions without labels
    as every class (label -1). Other kinds are background. Names are compared without case.
    """
    labels = {name.lower(): label for label, name in enumerate(class_names)}
    truth, ignored = [], []
    for item in objects:
        kind = item.kind.lower()
        if kind in labels:
            truth.append((item, labels[kind]))
        elif kind == DONT_CARE:
            ignored.append((item, -1))
        elif IGNORED_AS.get(kind) in labels:
            ignored.append((item, labels[IGNORED_AS[kind]]))
    items = [item for item, _ in truth]
    scores = [1.0 if item.score is None else item.score for item in items]
    return (
        Detections3D(
            boxes=_floats([item.box for item in items], 4),
            scores=_floats(scores),
            labels=torch.tensor([label for _, label in truth], dtype=torch.int64),
            dimensions=_floats([item.dimensions for item in items], 3),
            locations=_floats([item.location for item in items], 3),
            yaws=_floats([item.yaw for item in items]),
            alphas=_floats([item.alpha for item in items]),
        ),
        Detections2D(
            boxes=_floats([item.box for item, _ in ignored], 4),
            scores=torch.ones(len(ignored)),
            labels=torch.tensor([label for _, label in ignored], dtype=torch.int64),
        ),
    )


def _floats(rows: Sequence[object], *shape: int) -> Tensor:
    return torch.tensor(rows, dtype=torch.float32).reshape(-1, *shape)


def format_results(
    detections: Detections2D, class_names: Sequence[str], score_decimals: int = SCORE_DECIMALS
) -> str:
    """A result file: classes in order, two decimals but for the score; empty without detections.

    Truncation and occlusion, which nobody predicts, are 0. For 2D boxes the development kit wants
    alpha and yaw -10, dimensions -1 and location -1000. Spaces, which separate the columns, become
    underscores in class names.
    """
    in_space = detections if isinstance(detections, Detections3D) else _without_3d(detections)
    columns = [
        in_space.alphas.unsqueeze(1),
        detections.boxes,
        in_space.dimensions,
        in_space.locations,
        in_space.yaws.unsqueeze(1),
    ]
    rows = torch.cat(columns, dim=1)
    lines = []
    for index in detections.labels.argsort(stable=True).tolist():
        name = class_names[int(detections.labels[index])].replace(" ", "_")
        numbers = " ".join(f"{value:.2f}" for value in rows[index].tolist())
        score = f"{float(detections.scores[index]):.{score_decimals}f}"
        lines.append(f"{name[0].upper()}{name[1:]} 0.0 0 {numbers} {score}\n")
    return "".join(lines)


def _without_3d(detections: Detections2D) -> Detections3D:
    """2D boxes with the development kit's values for an unknown 3D box."""
    count = len(detections)
    return Detections3D(
        boxes=detections.boxes,
        scores=detections.scores,
        labels=detections.labels,
        dimensions=torch.full((count, 3), -1.0),
        locations=torch.full((count, 3), -1000.0),
        yaws=torch.full((count,), -10.0),
        alphas=torch.full((count,), -10.0),
    )
