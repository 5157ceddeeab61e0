"""Measure result files with the benchmarks' own metrics: `python -m training.evaluate files`."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path

from training.data.lists import read_names
from training.evaluation import coco, voc_files
from training.evaluation.kitti import CLASSES, evaluate_kitti, read_frames
from training.evaluation.summary import read_run, summarise
from training.measuring import Metrics
from training.results import check_figures_file, write_figures

PROGRAM = "python -m training.evaluate files"
OVERLAPS = {"both": slice(None), "strict": slice(0, 1), "loose": slice(1, 2)}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line; gives the exit status."""
    options = _parser().parse_args(arguments)
    try:
        if options.json:
            check_figures_file(options.json)
        metrics: Metrics = options.measure(options)
        print(metrics.table())
        if options.json:
            write_figures(options.json, metrics)
    except (ValueError, OSError) as error:
        print(f"training.evaluate: {error}", file=sys.stderr)
        return 1
    return 0


def _kitti(options: argparse.Namespace) -> Metrics:
    classes = [
        dataclasses.replace(item, overlaps=item.overlaps[OVERLAPS[options.overlap]])
        for item in CLASSES
    ]
    names = read_names(options.list) if options.list else None
    return evaluate_kitti(read_frames(options.labels, options.results, names), classes)


def _voc(options: argparse.Namespace) -> Metrics:
    return voc_files.evaluate_files(
        options.folder, options.results, options.split, options.classes or ()
    )


def _coco(options: argparse.Namespace) -> Metrics:
    return coco.evaluate_files(options.annotations, options.results, keypoints=options.keypoints)


def _runs(options: argparse.Namespace) -> Metrics:
    return summarise([read_run(path) for path in options.figures])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=PROGRAM, description="Measure result files with the benchmarks' own metrics."
    )
    kinds = parser.add_subparsers(required=True, metavar="KIND")

    kitti = kinds.add_parser("kitti", help="2D AP, orientation, bird's-eye view AP, 3D AP")
    kitti.add_argument("labels", type=Path, help="folder of label files, label_2")
    kitti.add_argument("results", type=Path, help="folder of result files, one for each frame")
    kitti.add_argument("--list", type=Path, help="file with the names of the frames to evaluate")
    kitti.add_argument(
        "--overlap",
        choices=OVERLAPS,
        default="both",
        help="strict: cars 0.7, others 0.5, as the server; loose: 0.5 and 0.25",
    )
    kitti.set_defaults(measure=_kitti)

    voc = kinds.add_parser("voc", help="AP at 11 and at all points")
    voc.add_argument("folder", type=Path, help="folder with Annotations and ImageSets")
    voc.add_argument("results", type=Path, help="folder with comp4_det_SPLIT_CLASS.txt")
    voc.add_argument("--split", default="test", help="list in ImageSets/Main")
    voc.add_argument("--classes", nargs="+", help="by default those of the annotations")
    voc.set_defaults(measure=_voc)

    boxes = kinds.add_parser("coco", help="AP and AR of boxes or key points")
    boxes.add_argument("annotations", type=Path, help="annotation file (JSON)")
    boxes.add_argument("results", type=Path, help="result file (JSON)")
    boxes.add_argument("--keypoints", action="store_true", help="measure key points, not boxes")
    boxes.set_defaults(measure=_coco)

    runs = kinds.add_parser("runs", help="mean and standard deviation over several runs")
    runs.add_argument("figures", type=Path, nargs="+", help="files that --json wrote, one each run")
    runs.set_defaults(measure=_runs)
    for kind in (kitti, voc, boxes, runs):
        kind.add_argument("--json", type=Path, help="file for the figures")
    return parser


if __name__ == "__main__":
    sys.exit(main())
