"""VOC's metrics of result files against a folder of annotations, for official numbers."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from centernet_ros.structures import Detections2D
from training.data.lists import read_names
from training.data.voc import annotation_path, is_difficult, read_annotation
from training.evaluation.voc import VocClass, VocMetrics, evaluate_classes

PREFIX = "comp4_det_"
"""What result files begin with: competition 4 is detection with any training data."""


@dataclass(frozen=True)
class VocObject:
    """One object of an annotation.

    Attributes:
        image: index of the image in the list.
        name: class.
        box: xmin, ymin, xmax, ymax: pixels counted from 1, the last ones included.
        difficult: whether it need not be found.
    """

    image: int
    name: str
    box: tuple[float, ...]
    difficult: bool


def evaluate_files(
    folder: Path, results: Path, split: str = "test", class_names: Sequence[str] = ()
) -> VocMetrics:
    """VOC's metrics of a folder of result files, one of each class.

    Args:
        folder: holds `Annotations/*.xml` and `ImageSets/Main/<split>.txt`.
        results: holds `comp4_det_<split>_<class>.txt` with lines of image, score, xmin, ymin, xmax,
            ymax; a class without results has an empty file.
        split: the list of images.
        class_names: the classes, whose files alone are looked at; by default all that the
            annotations know, and a file of another class is an error.

    Raises:
        ValueError: A file is missing, surplus or has another form; the message names it.
    """
    names = read_names(folder / "ImageSets" / "Main" / f"{split}.txt")
    objects = [
        item
        for image, name in enumerate(names)
        for item in read_objects(annotation_path(folder, name), image)
    ]
    classes = sorted(class_names or {item.name for item in objects})
    if not classes:
        raise ValueError(
            f"{folder}: no annotation of the list {split} has an object; name the classes with "
            "--classes"
        )
    files = {name: results / f"{PREFIX}{split}_{name}.txt" for name in classes}
    _check(files)
    if not class_names:
        _check_surplus(results, files, split)
    images = {name: image for image, name in enumerate(names)}
    return evaluate_classes(
        {
            name: _class([item for item in objects if item.name == name], path, images)
            for name, path in files.items()
        }
    )


def read_objects(path: Path, image: int) -> list[VocObject]:
    """Objects of an annotation of the image with this index.

    Raises:
        ValueError: The file is missing or has another form.
    """
    objects = []
    for line, entry in read_annotation(path)[1]:
        try:
            name = _text(entry, "name")
            box = [_number(entry, f"bndbox/{edge}") for edge in ("xmin", "ymin", "xmax", "ymax")]
        except ValueError as error:
            raise ValueError(f"{path}, line {line}: {error}") from None
        objects.append(VocObject(image, name, tuple(box), is_difficult(entry)))
    return objects


def result_lines(names: Sequence[str], results: Sequence[Detections2D], label: int) -> str:
    """The result file of one class.

    Args:
        names: of the images.
        results: what was found in each image; boxes as `evaluate_voc` has them.
        label: of the class.
    """
    lines = []
    for name, result in zip(names, results, strict=True):
        own = result[result.labels == label]
        for (x1, y1, x2, y2), score in zip(own.boxes.tolist(), own.scores.tolist(), strict=True):
            lines.append(f"{name} {score:.6f} {x1 + 1:.2f} {y1 + 1:.2f} {x2:.2f} {y2:.2f}\n")
    return "".join(lines)


def _text(entry: ET.Element, tag: str) -> str:
    text = (entry.findtext(tag) or "").strip()
    if not text:
        raise ValueError(f"the object has no {tag}")
    return text


def _number(entry: ET.Element, tag: str) -> float:
    text = _text(entry, tag)
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"the object has the {tag} {text!r}, expected a number")
    return value


def _check(files: Mapping[str, Path]) -> None:
    missing = [path for path in files.values() if not path.is_file()]
    if missing:
        raise ValueError(
            f"{missing[0]}: no such result file ({len(missing)} of {len(files)} classes have "
            "none); a class without results has an empty file"
        )


def _check_surplus(results: Path, files: Mapping[str, Path], split: str) -> None:
    surplus = sorted(set(results.glob(f"{PREFIX}{split}_*.txt")) - set(files.values()))
    if surplus:
        raise ValueError(
            f"{surplus[0]} is of a class that no annotation knows; known: {', '.join(files)}; "
            "--classes names the classes to measure"
        )


def _class(objects: Sequence[VocObject], path: Path, images: Mapping[str, int]) -> VocClass:
    try:
        text = path.read_text()
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path}: not a text file") from None
    found, rows = [], []
    for number, line in enumerate(text.splitlines(), start=1):
        name, *fields = line.split() or [""]
        if not name:
            continue
        if name not in images:
            raise ValueError(f"{path}, line {number}: image {name} is not in the list")
        try:
            row = [float(field) for field in fields]
        except ValueError:
            row = []
        if len(row) != 5 or not np.isfinite(row).all():
            raise ValueError(
                f"{path}, line {number}: expected image, score, xmin, ymin, xmax, ymax"
            )
        found.append(images[name])
        rows.append(row)
    values = np.array(rows, dtype=np.float64).reshape(-1, 5)
    return VocClass(
        truth_images=np.array([item.image for item in objects], dtype=np.int64),
        truth_boxes=np.array([item.box for item in objects], dtype=np.float64).reshape(-1, 4),
        difficult=np.array([item.difficult for item in objects], dtype=np.bool_),
        images=np.array(found, dtype=np.int64),
        boxes=values[:, 1:],
        scores=values[:, 0],
    )
