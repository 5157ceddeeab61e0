"""Command: `python -m centernet_ros.checkpoint convert FILE OUT` and `... show FILE`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from centernet_ros.checkpoint.errors import CheckpointError
from centernet_ros.checkpoint.files import (
    is_torch_file,
    read_checkpoint,
    read_torch_file,
    save_checkpoint,
)
from centernet_ros.checkpoint.loading import load_model, preset_of, preset_with_classes
from centernet_ros.presets import PRESETS, ModelPreset


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    options = _parser().parse_args(arguments)
    try:
        if options.command == "convert":
            preset = options.preset
            if options.classes:
                preset = preset_with_classes(options.file, options.classes, preset)
            convert(options.file, options.out, preset, half=options.half)
        else:
            print(describe(options.file))
    except (CheckpointError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def convert(file: Path, out: Path, preset: ModelPreset | str | None, *, half: bool = False) -> None:
    """Write the weights of a file, with their preset, as a file of ours; see `load_model`.

    Raises:
        CheckpointError: The file cannot be used.
    """
    model, used = load_model(file, preset)
    notes = {"source": file.name}
    save_checkpoint(out, model, used, dtype=torch.float16 if half else None, notes=notes)
    print(f"{out}: {used.backbone} for {used.task}, {len(used.class_names)} classes")


def describe(file: Path) -> str:
    """What is in a weights file of either kind, as JSON.

    Raises:
        CheckpointError: The file cannot be read, or holds no network that is known here.
    """
    notes: dict[str, Any] = {}
    if is_torch_file(file):
        tensors = read_torch_file(file)
        preset = preset_of(tensors, file)
    else:
        tensors, preset, notes = read_checkpoint(file)
    facts = {
        "tensors": len(tensors),
        "numbers": sum(value.numel() for value in tensors.values()),
        "types": sorted({str(value.dtype).removeprefix("torch.") for value in tensors.values()}),
        "preset": preset.to_dict(),
        "notes": notes,
    }
    return json.dumps(facts, indent=2)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m centernet_ros.checkpoint", description="Weights files, ours and theirs."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    convert = commands.add_parser(
        "convert", help="make a file of ours of one that CenterNet's authors published"
    )
    convert.add_argument("file", type=Path, help="e.g. ctdet_coco_dla_2x.pth")
    convert.add_argument("out", type=Path, help="e.g. ctdet_coco_dla_2x.safetensors")
    convert.add_argument(
        "--preset",
        metavar="NAME",
        help="how the weights are used; by default told by the name of the file, else by its "
        f"tensors; one of {', '.join(PRESETS)}",
    )
    convert.add_argument(
        "--classes",
        type=_names,
        metavar="NAME,...",
        help="the classes in order, of weights that were trained with the authors' code on data of "
        "your own; --preset then names the published weights that they were trained like",
    )
    convert.add_argument("--half", action="store_true", help="store half precision")
    show = commands.add_parser("show", help="say what is in a file of either kind")
    show.add_argument("file", type=Path)
    return parser


def _names(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(","))
    if "" in names or len(set(names)) < len(names):
        raise argparse.ArgumentTypeError(f"{text!r} is no list of different names such as cup,fork")
    return names


if __name__ == "__main__":
    sys.exit(main())
