"""Folders in Pascal VOC's form, own data among them: JPEGImages, Annotations in XML, lists."""

from __future__ import annotations

import dataclasses
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from training.data.labelled import LabelledImage, LabelledImages, LabelledObject, collect
from training.data.lists import read_names
from training.data.sample import DataError


def open_voc(
    folders: Sequence[Path], list_file: str = "", class_names: Sequence[str] = ()
) -> LabelledImages:
    """Read the annotations of one or more folders (VOC2007 and VOC2012, say).

    Objects marked difficult are regions to ignore. VOC counts pixels from 1 and both edges as part
    of the box; xmin 1 becomes 0.0, the left edge of the first pixel, and xmax stays.

    Args:
        folders: folders that hold JPEGImages and Annotations.
        list_file: list of the images to use, below each folder (`ImageSets/Main/train.txt`); none:
            all that have an annotation.
        class_names: names of the classes in the order of the labels; none: those found, sorted.

    Raises:
        DataError: A file is missing or not of this form, or an object has an unknown class.
    """
    files = [path for folder in folders for path in annotation_files(folder, list_file)]
    images: list[LabelledImage] = []
    rows: list[tuple[str, LabelledObject]] = []
    for index, path in enumerate(files):
        root, text = _parse(path)
        images.append(_checked_image(root, path))
        rows += _objects(root, text, path, index)
    names = tuple(class_names) or tuple(sorted({name for name, _ in rows}))
    if not names:
        raise DataError(f"{folders[0]}: no object in any annotation")
    return collect("detection2d", names, images, _labelled(rows, names), benchmark="voc")


def annotation_files(folder: Path, list_file: str = "") -> list[Path]:
    """The annotations of a folder, or those that a list below it names.

    Raises:
        DataError: The list cannot be read.
    """
    labels = folder / "Annotations"
    if not list_file:
        return sorted(labels.glob("*.xml"))
    return [labels / f"{name}.xml" for name in read_names(folder / list_file)]


def _parse(path: Path) -> tuple[ET.Element, str]:
    try:
        text = path.read_text()
        return ET.fromstring(text), text
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from None
    except (ET.ParseError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: not an XML file: {error}") from None


def _checked_image(root: ET.Element, path: Path) -> LabelledImage:
    try:
        return image_of(root, path)
    except ValueError as error:
        raise DataError(f"{path}: size: {error}") from None


def image_of(root: ET.Element, path: Path) -> LabelledImage:
    """The image of an annotation; the file's own name counts, as tools write others into it.

    Raises:
        ValueError: The annotation's width or height is no number.
    """
    folder = path.parent.parent / "JPEGImages"
    found = [folder / f"{path.stem}{suffix}" for suffix in (".jpg", ".jpeg", ".png", ".JPG")]
    image = next((file for file in found if file.is_file()), found[0])
    size = (int(root.findtext("size/height", "0")), int(root.findtext("size/width", "0")))
    return LabelledImage(path.stem, image, size if all(size) else None)


def _objects(
    root: ET.Element, text: str, path: Path, image: int
) -> Iterator[tuple[str, LabelledObject]]:
    """Class name and object of each entry; its label is not known yet."""
    lines = [text.count("\n", 0, match.start()) + 1 for match in re.finditer(r"<object\b", text)]
    for line, entry in zip(lines, root.findall("object"), strict=False):
        where = f"{path}, line {line}"
        name = (entry.findtext("name") or "").strip()
        if not name:
            raise DataError(f"{where}: the object has no name")
        edges = []
        for tag in ("xmin", "ymin", "xmax", "ymax"):
            value = entry.findtext(f"bndbox/{tag}")
            try:
                edges.append(float(value or ""))
            except ValueError:
                raise DataError(f"{where}: {tag} is {value!r}, expected a number") from None
        x1, y1, x2, y2 = edges[0] - 1, edges[1] - 1, edges[2], edges[3]
        yield (
            name,
            LabelledObject(
                image=image,
                box=(x1, y1, x2, y2),
                label=-1,
                ignored=(entry.findtext("difficult") or "0").strip() == "1",
                area=(x2 - x1) * (y2 - y1),
                joints=(),
                where=where,
            ),
        )


def _labelled(
    rows: Iterable[tuple[str, LabelledObject]], names: Sequence[str]
) -> Iterator[LabelledObject]:
    labels = {name: label for label, name in enumerate(names)}
    for name, item in rows:
        if name not in labels:
            raise DataError(f"{item.where}: unknown class {name!r}; known: {', '.join(names)}")
        yield dataclasses.replace(item, label=labels[name])
