"""Results of a data set in the files that its benchmark's server takes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import torch

from centernet_ros.detect.coco import (
    CocoIds,
    coco_results,
    image_id,
    read_annotations,
)
from centernet_ros.kitti import format_results
from centernet_ros.structures import Detections2D
from training.evaluation.voc_files import PREFIX, result_lines
from training.measuring import Metrics
from training.sources import CocoSource, DataConfig, KittiSource, VocSource


def check_figures_file(path: Path) -> None:
    """Refuse before the work a file for figures that could not be written after it.

    Raises:
        ValueError: It is a folder, or its own folder does not exist.
    """
    if path.is_dir():
        raise ValueError(f"--json {path} is a folder; name a file")
    if not path.parent.is_dir():
        raise ValueError(f"--json {path}: the folder {path.parent} does not exist; make it first")


def write_figures(path: Path, metrics: Metrics) -> None:
    """Write figures as JSON."""
    path.write_text(json.dumps(metrics.to_dict(), indent=2) + "\n")


def check_results(
    folder: Path, data: DataConfig, task: str, names: Sequence[str]
) -> CocoIds | None:
    """Refuse before the work result files that could not be written after it; make their folder.

    Args:
        folder: where to write.
        data: what is measured on, as `validation`.
        task: name of the task.
        names: of the images.

    Returns:
        The numbers of images and classes that result files of COCO's form have to give; else None.

    Raises:
        ValueError: The data has no form for results of the task, the form no place for the name
            of an image, or the annotations have numbers that cannot be read.
        OSError: The folder cannot be made.
    """
    source = data.validation
    if task == "pose" and not isinstance(source, CocoSource):
        raise ValueError(
            "--results of poses are COCO's, which number images as an annotation file does, but "
            f"{source.KIND} data has none"
        )
    spaced = [name for name in names if len(name.split()) != 1]
    if spaced and isinstance(source, VocSource):
        raise ValueError(
            "--results: white space separates the columns of VOC's result files, but image "
            f"{spaced[0]!r} has some in its name; rename it"
        )
    doubles = [name for name, count in Counter(names).items() if count > 1]
    if doubles and isinstance(source, VocSource):
        raise ValueError(
            f"--results: VOC's result files name images, but {doubles[0]!r} is in several of "
            f"{', '.join(source.folders)}: measure them one by one"
        )
    ids = None
    if isinstance(source, CocoSource):
        ids = read_annotations(Path(data.root).expanduser() / source.annotations)
    folder.mkdir(parents=True, exist_ok=True)
    return ids


def write_results(
    folder: Path,
    data: DataConfig,
    names: Sequence[str],
    results: Sequence[Detections2D],
    class_names: Sequence[str],
    *,
    ids: CocoIds | None,
    score_decimals: int,
) -> Path:
    """Write result files into a folder; see `check_results`.

    COCO gets `results.json` with the results of all classes that the annotations have a number for,
    VOC a file for each class, KITTI and the street world a file for each image.

    Args:
        folder: where to write.
        data: what was measured on, as `validation`.
        names: of the images.
        results: what was found in each of them.
        class_names: name of each label.
        ids: what `check_results` gave.
        score_decimals: of scores in files of COCO's and KITTI's form.

    Returns:
        The folder, or the one file in it.

    Raises:
        ValueError: The annotations know an image by no number.
    """
    source = data.validation
    if ids is not None:
        # What is measured on may lack some of the classes; their results have no number.
        categories = [ids.categories.get(name, -1) for name in class_names]
        numbered = torch.tensor([name in ids.categories for name in class_names])
        entries = [
            entry
            for name, result in zip(names, results, strict=True)
            for entry in coco_results(
                image_id(name, ids), result[numbered[result.labels]], categories, score_decimals
            )
        ]
        (folder / "results.json").write_text(json.dumps(entries) + "\n")
        return folder / "results.json"
    if isinstance(source, VocSource):
        split = Path(source.list).stem or "test"
        for label, name in enumerate(class_names):
            path = folder / f"{PREFIX}{split}_{name}.txt"
            path.write_text(result_lines(names, results, label))
        return folder
    for name, result in zip(names, results, strict=True):
        # KITTI's result files have the names of the label files, whatever these are.
        stem = name if isinstance(source, KittiSource) else name.replace(" ", "_")
        (folder / f"{stem}.txt").write_text(format_results(result, class_names, score_decimals))
    return folder
