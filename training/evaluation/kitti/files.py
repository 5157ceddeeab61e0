"""Folders of KITTI's label and result files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from centernet_ros.kitti import KittiObject, read_objects
from training.evaluation.kitti.objects import KittiFrame


def read_frames(
    labels: Path, results: Path, names: Sequence[str] | None = None
) -> list[KittiFrame]:
    """Frames of a folder of labels and one of results, a text file of the same name in each.

    Args:
        labels: folder of label files, 15 columns.
        results: folder of result files, 16 columns. A frame without results has an empty file: a
            missing one would make the metric better unnoticed.
        names: the frames, without `.txt`; by default all of `labels`.

    Raises:
        ValueError: A file is missing or surplus or cannot be read; the message names it.
    """
    for folder in (labels, results):
        if not folder.is_dir():
            raise ValueError(f"{folder} is not a folder")
    if names is None:
        names = sorted(path.stem for path in labels.glob("*.txt"))
    if not names:
        raise ValueError(f"{labels} holds no label file (*.txt)")
    _check(labels, results, names)
    return [
        KittiFrame(
            name,
            _read(labels / f"{name}.txt", scored=False),
            _read(results / f"{name}.txt", scored=True),
        )
        for name in names
    ]


def _check(labels: Path, results: Path, names: Sequence[str]) -> None:
    for folder, kind in ((labels, "label"), (results, "result")):
        missing = [name for name in names if not (folder / f"{name}.txt").is_file()]
        if missing:
            raise ValueError(
                f"{kind} file {folder / missing[0]}.txt is missing ({len(missing)} of "
                f"{len(names)} are); a frame without objects has an empty file, and a list of "
                "frames restricts the evaluation"
            )
    surplus = sorted({path.stem for path in results.glob("*.txt")} - set(names))
    if surplus:
        raise ValueError(
            f"result file {results / surplus[0]}.txt belongs to no frame of the evaluation "
            f"({len(surplus)} do not): is it left from another run or another list?"
        )


def _read(path: Path, *, scored: bool) -> list[KittiObject]:
    try:
        objects = read_objects(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from None
    if scored and any(item.score is None for item in objects):
        row = [item.score is None for item in objects].index(True) + 1
        raise ValueError(f"{path}: object {row} has no score; a result has 16 columns")
    return objects
