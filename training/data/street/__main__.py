"""Write the street to a folder in KITTI's or COCO's format."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from tqdm import tqdm

from centernet_ros.structures import CameraIntrinsics
from training.data.street import StreetDataset, StreetFrame, kitti_camera, render_sequence
from training.data.street.export import write_coco, write_kitti

_WRITERS = {"kitti": write_kitti, "coco": write_coco}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; a bad argument ends it with one line on stderr and status 2."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        camera = _camera(options.size, options.focal, options.centre)
        _check(options)
    except ValueError as error:
        print(f"training.data.street: {error}", file=sys.stderr)
        return 2
    frames: Iterable[StreetFrame]
    if options.sequence:
        frames = render_sequence(options.seed, options.count, camera, options.rate)
    else:
        dataset = StreetDataset(options.seed, options.count, camera)
        frames = (dataset[index] for index in range(len(dataset)))
    bar = tqdm(frames, total=options.count, unit="image", disable=None)
    try:
        written = _WRITERS[options.format](bar, options.out)
    except OSError as error:
        print(f"training.data.street: {error}", file=sys.stderr)
        return 1
    print(f"{written} images in {options.out}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training.data.street", description=__doc__)
    add = parser.add_argument
    add("--out", type=Path, required=True, help="folder to write to; must be new or empty")
    add("--format", default="kitti", help="kitti or coco")
    add("--count", type=int, default=100, help="number of images")
    add("--seed", type=int, default=0, help="which images; the same seed gives the same files")
    add("--size", default="640x192", help="width x height in pixels")
    add("--focal", type=float, help="focal length in pixels (KITTI's at this size)")
    add("--centre", help="principal point as X,Y in pixels (KITTI's at this size)")
    add("--sequence", action="store_true", help="one drive instead of independent images")
    add("--rate", type=float, default=10.0, help="images a second of a drive")
    return parser


def _camera(size: str, focal: float | None, centre: str | None) -> CameraIntrinsics:
    """The camera that the options ask for."""
    match = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", size)
    if not match:
        raise ValueError(f"--size {size!r} is not WIDTHxHEIGHT, for example 640x192")
    width, height = int(match[1]), int(match[2])
    if min(width, height) < 16:
        raise ValueError(f"--size {size!r} is smaller than 16x16")
    camera = kitti_camera((height, width))
    projection = camera.projection.clone()
    if focal is not None:
        if not 0 < focal < float("inf"):
            raise ValueError(f"--focal {focal:g} is not a positive length")
        # The baseline column is in focal lengths, too.
        projection[0, 3] *= focal / projection[0, 0]
        projection[1, 3] *= focal / projection[1, 1]
        projection[0, 0] = projection[1, 1] = focal
    if centre is not None:
        numbers = re.fullmatch(r"(-?\d+(?:\.\d+)?),(-?\d+(?:\.\d+)?)", centre)
        if not numbers:
            raise ValueError(f"--centre {centre!r} is not X,Y, for example 320,96")
        projection[0, 2], projection[1, 2] = float(numbers[1]), float(numbers[2])
    return CameraIntrinsics(projection, camera.image_size)


def _check(options: argparse.Namespace) -> None:
    if options.format not in _WRITERS:
        raise ValueError(f"--format {options.format!r} is unknown; there are {', '.join(_WRITERS)}")
    if options.count < 1:
        raise ValueError(f"--count {options.count} is less than 1")
    if options.seed < 0:
        raise ValueError(f"--seed {options.seed} is negative")
    if not 0 < options.rate < float("inf"):
        raise ValueError(f"--rate {options.rate:g} is not a positive number of images a second")
    out: Path = options.out
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"--out {out} is not an empty folder")


if __name__ == "__main__":
    sys.exit(main())
