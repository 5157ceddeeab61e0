"""COCO's result format: numbers of images and classes, boxes with two decimals."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from centernet_ros.bag import SourceError
from centernet_ros.class_names import COCO_CATEGORY_IDS, COCO_CLASSES
from centernet_ros.detect.records import Record
from centernet_ros.presets import SCORE_DECIMALS
from centernet_ros.structures import Detections2D, Poses


@dataclass(frozen=True)
class CocoIds:
    """The numbers that an annotation file gives to images and classes.

    Attributes:
        images: by file name.
        categories: by class name.
        sizes: height, width that it says of images, by file name.
    """

    images: dict[str, int]
    categories: dict[str, int]
    sizes: dict[str, tuple[int, int]]


def read_annotations(path: Path) -> CocoIds:
    """The numbers in an annotation file of COCO's form.

    Raises:
        SourceError: The file cannot be read, or has another form.
    """
    try:
        content = json.loads(path.read_bytes())
        return CocoIds(
            {str(image["file_name"]): int(image["id"]) for image in content["images"]},
            {str(item["name"]): int(item["id"]) for item in content["categories"]},
            {
                str(image["file_name"]): (int(image["height"]), int(image["width"]))
                for image in content["images"]
                if image.get("height") and image.get("width")
            },
        )
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise SourceError(f"annotations {path} cannot be read: {error}") from None
    except (KeyError, TypeError, ValueError) as error:
        raise SourceError(
            f"annotations {path} are not of COCO's form (images with id and file_name, categories "
            f"with id and name): {type(error).__name__} {error}"
        ) from None


def image_id(name: str, ids: CocoIds | None) -> int:
    """The number of an image: that of the annotations, else the number that is its name.

    Raises:
        SourceError: It has none.
    """
    path = PurePosixPath(name)
    if ids is None:
        if path.stem.isdecimal():
            return int(path.stem)
        raise SourceError(
            f"--format coco needs a number for image {name}: name it as one "
            "(000000000139.jpg), or give --annotations FILE"
        )
    for key in (name, path.name):
        if key in ids.images:
            return ids.images[key]
    raise SourceError(f"the annotations know no image {name}")


def check_coco_names(names: Sequence[str], ids: CocoIds | None) -> None:
    """Refuse images without a number, or whose numbers are the same.

    Raises:
        SourceError: There is such an image.
    """
    seen: dict[int, str] = {}
    for name in names:
        number = image_id(name, ids)
        other = seen.setdefault(number, name)
        if other != name:
            raise SourceError(f"--format coco would give {other} and {name} one number, {number}")


def category_ids(class_names: Sequence[str], ids: CocoIds | None) -> tuple[int, ...]:
    """The number of each label: that of the annotations, else COCO's, else counted from 1.

    Raises:
        SourceError: The annotations lack a class.
    """
    if ids is not None:
        for name in class_names:
            if name not in ids.categories:
                raise SourceError(
                    f"the annotations have no category {name!r}; they have "
                    f"{', '.join(ids.categories)}"
                )
        return tuple(ids.categories[name] for name in class_names)
    if tuple(class_names) == COCO_CLASSES:
        return COCO_CATEGORY_IDS
    return tuple(range(1, len(class_names) + 1))


def coco_results(
    image: int,
    results: Detections2D,
    categories: Sequence[int],
    score_decimals: int = SCORE_DECIMALS,
) -> list[dict[str, Any]]:
    """Entries of a result file, class by class: two decimals but for the score.

    Every joint of a person counts as visible.

    Args:
        image: number of the image.
        results: boxes, or people.
        categories: number of each label.
        score_decimals: of scores; the authors write two.
    """
    corners = results.boxes.double()
    boxes = [*corners[:, :2].T, *(corners[:, 2:] - corners[:, :2]).T]
    rows = [[round(value, 2) for value in row.tolist()] for row in boxes]
    entries = []
    for i in results.labels.argsort(stable=True).tolist():
        entry: dict[str, Any] = {
            "image_id": image,
            "category_id": categories[int(results.labels[i])],
            "bbox": [row[i] for row in rows],
            "score": round(float(results.scores[i]), score_decimals),
        }
        if isinstance(results, Poses):
            entry["keypoints"] = [
                number
                for x, y in results.keypoints[i].tolist()
                for number in (round(x, 2), round(y, 2), 1.0)
            ]
        entries.append(entry)
    return entries


def write_coco(
    path: Path,
    records: Sequence[Record],
    class_names: Sequence[str],
    ids: CocoIds | None,
    score_decimals: int = SCORE_DECIMALS,
) -> None:
    """Write the results of all images as one list; see `coco_results`."""
    categories = category_ids(class_names, ids)
    entries = [
        entry
        for record in records
        for entry in coco_results(
            image_id(record.name, ids), record.results, categories, score_decimals
        )
    ]
    path.write_text(json.dumps(entries) + "\n")
