"""The command's work: open everything, run the loop, write the files, say what happened."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from centernet_ros.bag import SourceError
from centernet_ros.detect.cameras import read_camera
from centernet_ros.detect.coco import (
    CocoIds,
    category_ids,
    image_id,
    read_annotations,
    write_coco,
)
from centernet_ros.detect.frames import Source
from centernet_ros.detect.loop import Outcome, detect_all
from centernet_ros.detect.pictures import painter
from centernet_ros.detect.records import (
    THRESHOLDS,
    above,
    check_kitti_names,
    write_json,
    write_kitti,
)
from centernet_ros.detect.sources import open_source
from centernet_ros.detector import Detector
from centernet_ros.film import Film
from centernet_ros.tasks.detection3d import Detection3D
from centernet_ros.tasks.pose import Pose

DONE, PARTLY, NOTHING, INTERRUPTED = 0, 1, 2, 130
"""Exit statuses."""


def run(options: argparse.Namespace) -> int:
    """Run the command with its options; returns the exit status."""
    thresholds = {
        kind: THRESHOLDS[kind] if options.threshold is None else options.threshold
        for kind in options.format
    }
    drawing_threshold = THRESHOLDS["json"] if options.threshold is None else options.threshold
    try:
        look = options.calib and read_camera(options.calib, undistort=options.undistort)
        ids = options.annotations and read_annotations(options.annotations)
        detector = Detector.from_checkpoint(
            options.weights,
            options.device,
            preset=options.preset,
            flip=options.flip,
            scales=options.scales,
            nms=options.nms,
            score_threshold=min(drawing_threshold, *thresholds.values()),
        )
        source = open_source(
            options.source,
            needs_camera=isinstance(detector.task, Detection3D),
            look=look,
            topic=options.topic,
            undistort=options.undistort,
        )
        _check_formats(options.format, detector, source, ids)
        options.output.mkdir(parents=True, exist_ok=True)
    except (ValueError, OSError) as error:
        return _fail(str(error))
    preset = detector.preset
    print(f"{preset.task} with {preset.backbone} on {detector.device} in {source.description}")
    pictures = options.output / "pictures" if options.pictures else None
    with contextlib.ExitStack() as stack:
        film = None
        if source.rate is not None and options.film:
            film = stack.enter_context(Film(options.output / "film", source.rate))
        show = painter(preset.class_names, drawing_threshold, pictures, film)
        outcome = detect_all(detector, source, show)
    if not outcome.records:
        return _fail(outcome.problem or "no image could be used", outcome)
    try:
        facts = _facts(options, detector, source)
        written = _write(
            options.output,
            outcome,
            thresholds,
            class_names=preset.class_names,
            facts=facts,
            ids=ids,
        )
    except OSError as error:
        return _fail(str(error))
    if pictures is not None:
        written.append("pictures/")
    if film is not None:
        written.append(film.path.name if film.path else "no film: OpenCV lacks a codec")
    return _report(outcome, options.output, written, drawing_threshold)


def _check_formats(
    formats: Sequence[str], detector: Detector, source: Source, ids: CocoIds | None
) -> None:
    """Refuse before the work what could not be written after it.

    Raises:
        SourceError: A format does not fit the task, or the names of the images.
    """
    if "kitti" in formats:
        if isinstance(detector.task, Pose):
            raise SourceError("--format kitti has no place for joints: use json or coco")
        check_kitti_names(source.names or ())
    if "coco" in formats:
        category_ids(detector.preset.class_names, ids)
        if ids is not None and source.names is None:
            raise SourceError("--annotations numbers image files, which a video has not")
        for name in source.names or ():
            image_id(name, ids)
    elif ids is not None:
        raise SourceError("--annotations is of use with --format coco only")


def _facts(options: argparse.Namespace, detector: Detector, source: Source) -> dict[str, Any]:
    """How the results came about."""
    return {
        "source": source.description,
        "weights": str(options.weights),
        "task": detector.preset.task,
        "backbone": detector.preset.backbone,
        "flip": options.flip,
        "scales": list(options.scales),
        "nms": options.nms,
    }


def _write(
    output: Path,
    outcome: Outcome,
    thresholds: Mapping[str, float],
    *,
    class_names: Sequence[str],
    facts: Mapping[str, Any],
    ids: CocoIds | None,
) -> list[str]:
    """Write the results in all formats, each with its threshold; returns the names of the files."""
    written = []
    for kind, threshold in thresholds.items():
        records = [
            dataclasses.replace(record, results=above(record.results, threshold))
            for record in outcome.records
        ]
        if kind == "json":
            path = output / "results.json"
            head = {**facts, "threshold": threshold}
            write_json(path, records, outcome.unusable, class_names, head)
        elif kind == "coco":
            path = output / "coco.json"
            write_coco(path, records, class_names, ids)
        else:
            path = output / "kitti"
            write_kitti(path, records, class_names)
            strangers = len(list(path.glob("*.txt"))) - len(records)
            if strangers:
                print(f"detect: {strangers} older files are in {path}", file=sys.stderr)
        written.append(path.name + ("/" if path.is_dir() else ""))
    return written


def _report(outcome: Outcome, output: Path, written: Sequence[str], threshold: float) -> int:
    """Say what was done; returns the exit status."""
    images = len(outcome.records)
    objects = sum(int((record.results.scores >= threshold).sum()) for record in outcome.records)
    print(
        f"{images} images, {objects} objects with a score of at least {threshold:g}, "
        f"{images / outcome.seconds:.1f} images/s; in {output}: {', '.join(written)}"
    )
    if outcome.unusable:
        print(f"detect: {len(outcome.unusable)} unusable, named above", file=sys.stderr)
    if outcome.problem:
        print(f"detect: ended early: {outcome.problem}", file=sys.stderr)
    if outcome.interrupted:
        print("detect: interrupted, the results so far are written", file=sys.stderr)
        return INTERRUPTED
    return PARTLY if outcome.unusable or outcome.problem else DONE


def _fail(reason: str, outcome: Outcome | None = None) -> int:
    """Say why there is nothing; returns the exit status."""
    if outcome is not None and outcome.interrupted:
        print("detect: interrupted before the first image", file=sys.stderr)
        return INTERRUPTED
    print(f"detect: {reason}", file=sys.stderr)
    return NOTHING
