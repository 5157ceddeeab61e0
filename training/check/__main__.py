"""Read a data set whole and tell what is wrong with it: `python -m training.check DATA`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from centernet_ros.tasks import TASK_ALIASES, TASKS
from training.check.judging import judge
from training.check.records import Scan
from training.check.report import EXAMPLES, check_sheet, findings_text, summary, write_sheet
from training.check.scanning import scan_coco, scan_kitti, scan_voc
from training.data.sample import DataError
from training.sources import TASKS_OF, CocoSource, KittiSource, VocSource


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line; gives 1 where something has to be mended, else 0."""
    options = _parse(arguments)
    try:
        check_sheet(options.sheet, options.samples)
        scan = _scan(options)
        findings = judge(scan)
        print(summary(scan))
        print(findings_text(findings, None if options.all else EXAMPLES))
        write_sheet(options.sheet, scan, options.samples)
    except DataError as error:
        print(f"training.check: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("training.check: interrupted", file=sys.stderr)
        return 130
    print(f"samples: {options.sheet}")
    return int(any(finding.is_error for finding in findings))


def _scan(options: argparse.Namespace) -> Scan:
    """The data set that the path names, whose form shows in what lies there."""
    path, task = options.data, options.task
    classes = tuple(name.strip() for name in options.classes.split(",") if name.strip())
    if path.suffix == ".json":
        _check_options(options, CocoSource.KIND)
        return scan_coco(path, options.images or path.parent, classes, task)
    if (path / "Annotations").is_dir():
        _check_options(options, VocSource.KIND)
        return scan_voc(path, options.list, classes, task)
    for folder in (path, path / "training"):
        if (folder / "label_2").is_dir():
            _check_options(options, KittiSource.KIND)
            list_file = path / options.list if options.list else None
            return scan_kitti(folder, list_file, classes, task)
    raise DataError(
        f"{path}: expected a JSON file in COCO's form, a folder with Annotations and JPEGImages as "
        "Pascal VOC's, or one with label_2, image_2 and calib as KITTI's"
    )


def _check_options(options: argparse.Namespace, form: str) -> None:
    """Refuse options that the form of the data has no use for.

    Raises:
        DataError: There is one.
    """
    if options.images and form != CocoSource.KIND:
        raise DataError("--images tells where the images of a JSON file lie: give it as the data")
    if options.list and form == CocoSource.KIND:
        raise DataError(
            "--list chooses images of a folder in VOC's or KITTI's form: give it as the data"
        )
    if options.task and options.task not in TASKS_OF[form]:
        raise DataError(
            f"--task {options.task}: {form} data has truth for {', '.join(TASKS_OF[form])} alone"
        )


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m training.check", description=__doc__)
    parser.add_argument("data", type=Path, help="COCO's JSON file, or VOC's or KITTI's folder")
    parser.add_argument("--images", type=Path, help="folder of the images of a JSON file")
    parser.add_argument("--list", default="", help="list of the images to check, below the folder")
    parser.add_argument("--classes", default="", help="classes to expect, separated by commas")
    parser.add_argument(
        "--task",
        type=lambda name: TASK_ALIASES.get(name, name),
        choices=list(TASKS),
        default="",
        help="what the data is for; by default every task that its form has truth for",
    )
    parser.add_argument(
        "--all", action="store_true", help="name all places, not a few of each kind"
    )
    parser.add_argument("--samples", type=int, default=20, help="samples on the contact sheet")
    parser.add_argument(
        "--sheet", type=Path, default=Path("build/check/samples.png"), help="contact sheet"
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
