"""Command: `python -m centernet_ros.kitti_bag KITTI_FOLDER OUT`."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

EPILOG = """\
The bag has /camera/image (or /camera/image/compressed), /camera/camera_info and /tf_static.
frames.txt in its folder tells the name and the stamp of every frame; docs/kitti.md tells how to
measure a node with it.

exit status: 0 done; 2 a file is missing or broken, nothing is written; 130 interrupted"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    options = _parser().parse_args(arguments)
    out: Path = options.out
    if out.exists():
        return _fail(f"{out} exists already")
    from centernet_ros.bag import SourceError  # loads PyTorch, which takes seconds
    from centernet_ros.kitti_bag.folder import find_frames, read_split
    from centernet_ros.kitti_bag.writing import write_bag

    try:
        names = options.frames
        if options.split is not None:
            names = read_split(options.folder, options.split)
        frames = find_frames(options.folder, names)
        out.parent.mkdir(parents=True, exist_ok=True)
        write_bag(
            out,
            frames,
            rate=options.rate,
            storage=options.storage,
            compressed=options.compressed,
            transforms=options.tf,
        )
    except (SourceError, OSError) as error:
        shutil.rmtree(out, ignore_errors=True)
        return _fail(str(error))
    except KeyboardInterrupt:
        shutil.rmtree(out, ignore_errors=True)
        print("kitti_bag: interrupted, nothing is written", file=sys.stderr)
        return 130
    print(f"{len(frames)} frames at {options.rate:g} a second in {out}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m centernet_ros.kitti_bag",
        description="Write frames of KITTI's object data set as a rosbag2 folder.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path, help="holds image_2 and calib, or training with them")
    parser.add_argument("out", type=Path, help="folder of the bag; must not exist")
    chosen = parser.add_mutually_exclusive_group()
    chosen.add_argument(
        "--split",
        help="list of frames: a file, also below the folder or beside it, or a name in ImageSets "
        "(default: all frames)",
    )
    chosen.add_argument("--frames", nargs="+", metavar="NAME", help="names of frames: 000003")
    parser.add_argument("--rate", type=_rate, default=10.0, help="frames a second (default: 10)")
    parser.add_argument(
        "--storage", choices=("mcap", "sqlite3"), default="mcap", help="of the bag (default: mcap)"
    )
    parser.add_argument(
        "--compressed", action="store_true", help="CompressedImage of the files' own bytes"
    )
    parser.add_argument("--no-tf", dest="tf", action="store_false", help="no /tf_static")
    return parser


def _rate(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.001 <= value <= 1000:
        raise argparse.ArgumentTypeError(f"{text} is not between 0.001 and 1000")
    return value


def _fail(reason: str) -> int:
    print(f"kitti_bag: {reason}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
