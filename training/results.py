"""Results of a data set in the files that its benchmark's server takes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from centernet_ros.detect.coco import category_ids, coco_results, image_id, read_annotations
from centernet_ros.kitti import format_results
from centernet_ros.structures import Detections2D
from training.config import CocoSource, DataConfig, VocSource
from training.evaluation.voc_files import PREFIX, result_lines


def write_results(
    folder: Path,
    data: DataConfig,
    names: Sequence[str],
    results: Sequence[Detections2D],
    class_names: Sequence[str],
) -> Path:
    """Write result files into a folder, which is made.

    COCO gets `results.json`, VOC a file for each class, KITTI and the street world a file for each
    image.

    Args:
        folder: where to write.
        data: what was measured on, as `validation`.
        names: of the images.
        results: what was found in each of them.
        class_names: name of each label.

    Returns:
        The folder, or the one file in it.

    Raises:
        ValueError: The annotations know an image or a class by no number.
    """
    folder.mkdir(parents=True, exist_ok=True)
    source = data.validation
    if isinstance(source, CocoSource):
        ids = read_annotations(Path(data.root).expanduser() / source.annotations)
        categories = category_ids(class_names, ids)
        entries = [
            entry
            for name, result in zip(names, results, strict=True)
            for entry in coco_results(image_id(name, ids), result, categories)
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
        path = folder / f"{name.replace(' ', '_')}.txt"
        path.write_text(format_results(result, class_names))
    return folder
