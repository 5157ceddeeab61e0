"""The command line of `python -m centernet_ros.benchmark`."""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from centernet_ros.backends import PRECISIONS
from centernet_ros.benchmark.rates import RATES
from centernet_ros.benchmark.timing import LEAST_ROUNDS
from centernet_ros.models import BACKBONES

DESCRIPTION = "How fast a network runs on this machine, see docs/benchmarks."


DEFAULTS: Mapping[str, object] = {
    "backbones": list(BACKBONES),
    "task": "detection2d",
    "height": 512,
    "width": 512,
    "batch": 1,
    "batches": [1, 2, 4, 8],
    "rates": RATES,
    "seconds": 10.0,
    "cpu_time": False,
}

USED_BY = {
    "weights": ("table", "executors", "stages", "node"),
    "backbones": ("table", "executors", "stages", "node"),
    "task": ("table", "executors", "stages", "node"),
    "batch": ("executors", "kernels"),
    "batches": ("table",),
    "image": ("node",),
    "rates": ("node",),
    "seconds": ("node",),
    "precisions": ("executors",),
    "cpu_time": ("executors",),
}
"""Commands that look at an option; all look at the others."""

OF_RANDOM_NETWORKS = ("backbones", "task", "height", "width")


def parse(commands: Sequence[str], arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options of the command line, with the names of the commands.

    It refuses numbers that nothing can be measured with, a file that cannot be written afterwards,
    and what the command would not look at.
    """
    parser = _make_parser(commands)
    options = parser.parse_args(arguments)
    given = [name for name in (*DEFAULTS, *USED_BY) if getattr(options, name) is not None]
    for name in given:
        option = f"--{name.replace('_', '-')}"
        if options.command not in USED_BY.get(name, commands):
            parser.error(f"{option} is of {', '.join(USED_BY[name])}, not of {options.command}")
        if options.weights and name in OF_RANDOM_NETWORKS:
            parser.error(f"{option} is of networks with random weights: leave out it or --weights")
    for name, value in DEFAULTS.items():
        if name not in given:
            setattr(options, name, value)
    return options


def _make_parser(commands: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m centernet_ros.benchmark", description=DESCRIPTION, allow_abbrev=False
    )
    parser.add_argument(
        "command",
        choices=list(commands),
        help="table: as the paper's table 1; executors: against eager PyTorch; stages: of an "
        "image; node: a process at several rates of images; kernels: deformable convolution",
    )
    parser.add_argument("--weights", help="a weights file, instead of random weights")
    parser.add_argument("--backbones", nargs="+", choices=BACKBONES)
    parser.add_argument("--task", choices=["detection2d", "detection3d", "pose"])
    parser.add_argument("--height", type=_positive, help="of the input, in pixels; 512")
    parser.add_argument("--width", type=_positive, help="of the input, in pixels; 512")
    parser.add_argument("--batch", type=_positive, help="of `executors`, `kernels`; 1")
    parser.add_argument("--batches", type=_positive, nargs="+", help="of `table`; 1 2 4 8")
    parser.add_argument(
        "--image", type=_size, help="WIDTHxHEIGHT of the camera of `node`; by default the input's"
    )
    parser.add_argument("--rates", type=_above_zero, nargs="+", help="images a second, `node`")
    parser.add_argument("--seconds", type=_above_zero, help="of each rate of `node`; 10")
    parser.add_argument("--precision", choices=PRECISIONS, default="auto")
    parser.add_argument(
        "--precisions",
        nargs="+",
        choices=PRECISIONS[1:],
        help="of `executors`; by default float32, and bfloat16 where the processor has it",
    )
    parser.add_argument("--repetitions", type=_several, default=20)
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    parser.add_argument(
        "--threads", type=_not_negative, default=0, help="on a CPU; 0: PyTorch's choice"
    )
    parser.add_argument(
        "--cpu-time",
        action="store_true",
        default=None,
        help="count the processor's work and not the waiting, for `executors` with one thread",
    )
    parser.add_argument("--json", type=_new_file, help="file for the figures")
    return parser


def _size(text: str) -> tuple[int, int]:
    """Height and width of a text such as 1242x375, which names the width first."""
    try:
        width, height = (int(part) for part in text.split("x"))
    except ValueError:
        width = height = 0
    if min(width, height) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}, expected a size such as 1242x375")
    return height, width


def _whole(text: str, least: int) -> int:
    try:
        number = int(text)
    except ValueError:
        number = least - 1
    if number < least:
        raise argparse.ArgumentTypeError(f"{text!r}, expected a whole number from {least} on")
    return number


def _not_negative(text: str) -> int:
    return _whole(text, 0)


def _positive(text: str) -> int:
    return _whole(text, 1)


def _several(text: str) -> int:
    """Repetitions of which a ratio can be told."""
    return _whole(text, LEAST_ROUNDS)


def _above_zero(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r}, expected a number above 0")
    return number


def _new_file(text: str) -> Path:
    """A file in a folder that is there: nothing is measured for minutes and then lost."""
    path = Path(text)
    if path.is_dir():
        raise argparse.ArgumentTypeError(f"{path} is a folder, expected a file")
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"folder {path.parent} does not exist: make it first")
    return path
