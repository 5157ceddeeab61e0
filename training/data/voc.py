"""Folders in Pascal VOC's form, own data among them: JPEGImages, Annotations in XML, lists."""

from __future__ import annotations

import dataclasses
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from xml.parsers import expat

from training.data.images import find_images
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
            all that have an annotation. Names may have folders in them (`camera/one`).
        class_names: names of the classes in the order of the labels; none: those found, sorted.

    Raises:
        DataError: A file is missing or not of this form, or an object has an unknown class.
    """
    images: list[LabelledImage] = []
    rows: list[tuple[str, LabelledObject]] = []
    for folder in folders:
        samples = sample_names(folder, list_file)
        for sample, image in zip(samples, image_paths(folder, samples), strict=True):
            path = annotation_path(folder, sample)
            root, objects = read_annotation(path)
            rows += _objects(objects, path, len(images))
            images.append(LabelledImage(sample, image, image_size(root, path)))
    names = tuple(class_names) or tuple(sorted({name for name, _ in rows}))
    if not names:
        raise DataError(f"{folders[0]}: no object in any annotation")
    return collect("detection2d", names, images, _labelled(rows, names), benchmark="voc")


def sample_names(folder: Path, list_file: str = "") -> list[str]:
    """The names of a list below a folder, or of all annotations in it.

    Tools that sort images into folders do so with annotations too: `camera/one` is the name of
    `Annotations/camera/one.xml` and `JPEGImages/camera/one.jpg`.

    Raises:
        DataError: The list cannot be read, or without one, there is no annotation.
    """
    if list_file:
        return read_names(folder / list_file)
    labels = folder / "Annotations"
    # What other programs hide there (.ipynb_checkpoints, ._one.xml) is no annotation.
    files = (path.relative_to(labels) for path in sorted(labels.rglob("*.xml")))
    names = [
        file.with_suffix("").as_posix()
        for file in files
        if not any(part.startswith(".") for part in file.parts)
    ]
    if not names:
        problem = "holds no .xml file" if labels.is_dir() else "no such folder"
        raise DataError(f"{labels}: {problem}")
    return names


def annotation_path(folder: Path, name: str) -> Path:
    """The annotation of a sample."""
    return folder / "Annotations" / f"{name}.xml"


def image_paths(folder: Path, names: Sequence[str]) -> list[Path]:
    """The image of each sample, `name.*` where there is none.

    The annotation's own name counts, as tools write others into it.
    """
    return find_images([folder / "JPEGImages" / name for name in names])


def read_annotation(path: Path) -> tuple[ET.Element, list[tuple[int, ET.Element]]]:
    """An annotation, and its objects with their lines.

    Raises:
        DataError: The file cannot be read, or is no XML file with an annotation.
    """
    builder, parser = ET.TreeBuilder(), expat.ParserCreate()
    lines: dict[ET.Element, int] = {}

    def start(tag: str, attributes: dict[str, str]) -> None:
        lines[builder.start(tag, attributes)] = parser.CurrentLineNumber

    parser.StartElementHandler, parser.EndElementHandler = start, builder.end
    parser.CharacterDataHandler = builder.data
    try:
        parser.Parse(_text(path.read_bytes()), True)
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from None
    except (expat.ExpatError, LookupError, ValueError) as error:
        raise DataError(f"{path}: not an XML file: {error}") from None
    root = builder.close()
    if root.tag != "annotation":
        raise DataError(f"{path}: the file holds {root.tag!r}, expected VOC's 'annotation'")
    return root, [(lines[entry], entry) for entry in root.findall("object")]


def _text(content: bytes) -> str | bytes:
    """UTF-8 as text, whatever it says that it is, as some tools write; else bytes as they say."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content


def is_difficult(entry: ET.Element) -> bool:
    """Whether an object of an annotation is marked difficult."""
    return (entry.findtext("difficult") or "0").strip() == "1"


def image_size(root: ET.Element, path: Path) -> tuple[int, int] | None:
    """Height, width of the image of an annotation; None where it does not tell them.

    Raises:
        DataError: They are no numbers.
    """
    try:
        size = (int(root.findtext("size/height", "0")), int(root.findtext("size/width", "0")))
    except ValueError as error:
        raise DataError(f"{path}: size: {error}") from None
    return size if all(size) else None


def _objects(
    entries: Iterable[tuple[int, ET.Element]], path: Path, image: int
) -> Iterator[tuple[str, LabelledObject]]:
    """Class name and object of each entry; its label is not known yet."""
    for line, entry in entries:
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
                ignored=is_difficult(entry),
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
