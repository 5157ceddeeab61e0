"""Command: `python -m centernet_ros.detect SOURCE --weights FILE`."""

from __future__ import annotations

import argparse
import math
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

EPILOG = """\
A source is one or several image files, a folder of images, a video, a rosbag2 folder (sqlite3 or
mcap), or a folder of KITTI's object data set (with image_2, or with training that has it).

exit status: 0 all images done; 1 some could not be used, all others are done; 2 nothing done
(options, weights, source); 130 interrupted or told to end, the results so far
are written"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    options = _parser().parse_args(arguments)
    # Who is told to end, as by `docker stop`, writes what was found as after Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        from centernet_ros.detect.command import run  # loads PyTorch, which takes seconds

        return run(options)
    except KeyboardInterrupt:
        print("detect: interrupted", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m centernet_ros.detect",
        description="Detect in images, videos and bags; write pictures and results.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("source", nargs="+", type=Path, help="what to look at, see below")
    parser.add_argument("--weights", required=True, type=Path, help="weights file")
    parser.add_argument(
        "--preset", help="how the weights are used, where neither they nor their name tell it"
    )
    parser.add_argument(
        "--output", type=Path, default=Path("detections"), help="folder (default: detections)"
    )
    parser.add_argument(
        "--format",
        nargs="+",
        choices=("json", "coco", "kitti"),
        default=["json"],
        help="files of results (default: json)",
    )
    parser.add_argument(
        "--threshold",
        type=_score,
        help="minimum score of a result (default: 0.3 in pictures and JSON, 0 in COCO's and 0.2 in "
        "KITTI's format, as their metrics want it)",
    )
    parser.add_argument("--flip", action="store_true", help="look at the mirrored image too")
    parser.add_argument(
        "--scales", nargs="+", type=float, default=[1.0], help="e.g. 0.5 0.75 1 1.25 1.5"
    )
    parser.add_argument("--nms", action="store_true", help="soft-NMS, also at a single scale")
    _add_camera(parser)
    parser.add_argument(
        "--list",
        metavar="FILE",
        help="names of the images of a folder to take, one a line: a file, also below the folder "
        "or beside it, or a name in ImageSets (default: all)",
    )
    parser.add_argument("--topic", help="image topic of a bag (default: its first)")
    parser.add_argument(
        "--annotations", type=Path, help="COCO file that numbers images and classes"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    parser.add_argument(
        "--no-pictures", dest="pictures", action="store_false", help="no annotated pictures"
    )
    parser.add_argument(
        "--no-film", dest="film", action="store_false", help="no annotated film of a video or bag"
    )
    return parser


def _add_camera(parser: argparse.ArgumentParser) -> None:
    """The options that tell how the images were taken."""
    parser.add_argument(
        "--calib", type=Path, help="camera of all images: KITTI calib file or camera_info YAML"
    )
    parser.add_argument(
        "--undistort", action="store_true", help="rectify the images by their calibration first"
    )
    parser.add_argument(
        "--rescale",
        action="store_true",
        help="take images of another size than the calibrated one for resized ones",
    )
    parser.add_argument(
        "--training-focal-length",
        type=_focal_length,
        default=0.0,
        metavar="PIXELS",
        help="focal length of the input that weights for 3D boxes were trained with: depths are "
        "scaled by the camera's to it (default: left as the network says)",
    )


def _focal_length(text: str) -> float:
    value = _number(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is no focal length; expected pixels")
    return value


def _score(text: str) -> float:
    value = _number(text)
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"{text} is no score; expected a number such as 0.3")
    return value


def _number(text: str) -> float:
    """The number in a text; none (NaN) where there is none."""
    try:
        return float(text)
    except ValueError:
        return math.nan


if __name__ == "__main__":
    sys.exit(main())
