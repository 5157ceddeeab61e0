"""The command's work: open everything, run the loop, write the files, say what happened."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from centernet_ros.bag import SourceError
from centernet_ros.detect.cameras import read_camera
from centernet_ros.detect.coco import (
    CocoIds,
    category_ids,
    check_coco_names,
    read_annotations,
    write_coco,
)
from centernet_ros.detect.frames import Source
from centernet_ros.detect.loop import Outcome, detect_all
from centernet_ros.detect.outputs import (
    FILM,
    PICTURES,
    RESULTS,
    check_output,
    tell_older_files,
    written_files,
)
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

FILE_OPTIONS = ("weights", "annotations", "calib")
"""Options that name a file to read."""


@dataclass(frozen=True)
class _Job:
    """What the options ask for, opened and found to fit together.

    Attributes:
        detector: looks.
        source: at what.
        ids: numbers of images and classes, where a file gives them.
        thresholds: least score in each format.
        drawing_threshold: least score in pictures.
    """

    detector: Detector
    source: Source
    ids: CocoIds | None
    thresholds: Mapping[str, float]
    drawing_threshold: float


def run(options: argparse.Namespace) -> int:
    """Run the command with its options; returns the exit status."""
    output: Path = options.output
    try:
        job = _open(options)
        _check_formats(options.format, job)
        check_output(
            output,
            job.source,
            options.format,
            {f"--{name}": getattr(options, name) for name in FILE_OPTIONS},
            pictures=options.pictures,
            film=options.film,
        )
    except (ValueError, OSError) as error:
        return _fail(str(error))
    older = written_files(output)
    preset = job.detector.preset
    print(
        f"{preset.task} with {preset.backbone} on {job.detector.device} in {job.source.description}"
    )
    pictures = output / PICTURES if options.pictures else None
    with contextlib.ExitStack() as stack:
        film = None
        if job.source.rate is not None and options.film:
            film = stack.enter_context(Film(output / FILM, job.source.rate))
        show = painter(preset.class_names, job.drawing_threshold, pictures, film)
        outcome = detect_all(job.detector, job.source, show)
    if not outcome.records:
        return _fail(outcome.problem or "no image could be used", outcome)
    try:
        written = _write(output, outcome, job, _facts(options, job))
    except OSError as error:
        return _fail(str(error))
    if pictures is not None:
        written.append(f"{PICTURES}/")
    if film is not None:
        written.append(film.path.name if film.path else "no film: OpenCV lacks a codec")
    tell_older_files(output, older)
    return _report(outcome, output, written, job.drawing_threshold)


def _open(options: argparse.Namespace) -> _Job:
    """Open everything that the options name.

    Raises:
        ValueError: Something cannot be used.
    """
    thresholds = {
        kind: THRESHOLDS[kind] if options.threshold is None else options.threshold
        for kind in options.format
    }
    drawing_threshold = THRESHOLDS["json"] if options.threshold is None else options.threshold
    look = None
    if options.calib:
        look = read_camera(options.calib, undistort=options.undistort, rescale=options.rescale)
    ids = read_annotations(options.annotations) if options.annotations else None
    detector = Detector.from_checkpoint(
        options.weights,
        options.device,
        preset=options.preset,
        flip=options.flip,
        scales=options.scales,
        nms=options.nms,
        score_threshold=min(drawing_threshold, *thresholds.values()),
    )
    in_space = isinstance(detector.task, Detection3D)
    if isinstance(detector.task, Detection3D):
        detector.task.training_focal_length = options.training_focal_length
    elif options.training_focal_length:
        raise SourceError("--training-focal-length is of use for detection3d only")
    if options.rescale and not (in_space or options.undistort):
        raise SourceError("--rescale is of use for detection3d and with --undistort only")
    source = open_source(
        options.source,
        needs_camera=in_space,
        look=look,
        topic=options.topic,
        chosen=options.list,
        undistort=options.undistort,
        rescale=options.rescale,
        sizes=ids.sizes if ids else {},
    )
    return _Job(detector, source, ids, thresholds, drawing_threshold)


def _check_formats(formats: Sequence[str], job: _Job) -> None:
    """Refuse before the work what could not be written after it.

    Raises:
        SourceError: A format does not fit the task, or the names of the images.
    """
    names = job.source.names
    if "kitti" in formats:
        if isinstance(job.detector.task, Pose):
            raise SourceError("--format kitti has no place for joints: use json or coco")
        check_kitti_names(names or ())
    if "coco" in formats:
        category_ids(job.detector.preset.class_names, job.ids)
        if job.ids is not None and names is None:
            raise SourceError("--annotations numbers image files, which a video has not")
        check_coco_names(names or (), job.ids)
    elif job.ids is not None:
        raise SourceError("--annotations is of use with --format coco only")


def _facts(options: argparse.Namespace, job: _Job) -> dict[str, Any]:
    """How the results came about."""
    facts = {
        "source": job.source.description,
        "weights": str(options.weights),
        "task": job.detector.preset.task,
        "backbone": job.detector.preset.backbone,
        "flip": options.flip,
        "scales": list(options.scales),
        "nms": options.nms,
    }
    if options.training_focal_length:
        facts["training_focal_length"] = options.training_focal_length
    return facts


def _write(output: Path, outcome: Outcome, job: _Job, facts: Mapping[str, Any]) -> list[str]:
    """Write the results in all formats, each with its threshold; returns the names of the files."""
    preset = job.detector.preset
    written = []
    for kind, threshold in job.thresholds.items():
        records = [
            dataclasses.replace(record, results=above(record.results, threshold))
            for record in outcome.records
        ]
        path = output / RESULTS[kind]
        if kind == "json":
            head = {**facts, "threshold": threshold}
            write_json(path, records, outcome.unusable, preset.class_names, head)
        elif kind == "coco":
            write_coco(path, records, preset.class_names, job.ids, preset.score_decimals)
        else:
            write_kitti(path, records, preset.class_names, preset.score_decimals)
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
