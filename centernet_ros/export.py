"""Networks for other programs: `python -m centernet_ros.export WEIGHTS OUT.onnx|OUT.xml`.

The file takes an image batch as input `image`, (B, 3, H, W) float32, normalised as the preset
says, and answers the raw maps by name. The preset is in its metadata as JSON, entry `preset`. It
is written only if it answers what PyTorch answers.

ONNX takes any B, H and W unless told otherwise. An IR takes one image of the preset's size;
OpenVINO's `reshape` changes that before it is compiled (with sizes left open it compiles some of
our networks, and refuses others).
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from centernet_ros.backends import BackendError, TorchBackend, missing_packages
from centernet_ros.backends.agreement import check_agreement, check_input
from centernet_ros.backends.packages import import_onnxruntime
from centernet_ros.checkpoint import load_model
from centernet_ros.models.centernet import CenterNet
from centernet_ros.presets import ModelPreset

METADATA_KEY = "preset"
EXECUTORS = {".onnx": "onnxruntime", ".xml": "openvino"}
"""What runs a file of each kind, and checks it here."""

Size = tuple[int, int]


def export(model: CenterNet, preset: ModelPreset, out: Path, size: Size | None = None) -> float:
    """Write a network as ONNX (.onnx) or OpenVINO IR (.xml with .bin).

    Args:
        model: the network.
        preset: what it was trained for.
        out: file to write; an older one is replaced only by one that passed the check.
        size: height, width of the only input it takes; by default any for ONNX, and the preset's
            for an IR.

    Returns:
        Greatest difference from PyTorch, as a share of a map's largest value.

    Raises:
        BackendError: The kind of file is unknown, a package is missing, or the exported network
            answers something else than PyTorch; the message has the figures.
        OSError: The file cannot be written.
    """
    if out.suffix not in EXECUTORS:
        raise BackendError(f"{out}: unknown kind of file; known: {', '.join(EXECUTORS)}")
    executor = EXECUTORS[out.suffix]
    if missing := missing_packages(executor):
        raise BackendError(
            f"{out.suffix} needs packages that are not installed: pip install {' '.join(missing)}"
        )
    step = model.input_multiple
    if size is not None and (min(size) < step or size[0] % step or size[1] % step):
        raise BackendError(
            f"size is {size[0]}x{size[1]}: height and width must be multiples of {step}"
        )
    metadata = {METADATA_KEY: json.dumps(preset.to_dict())}
    model = model.eval()
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as folder:
        partial = Path(folder) / out.name
        usual = size or _usual_size(preset, step)
        if out.suffix == ".onnx":
            _write_onnx(model, metadata, partial, size)
        else:
            _write_ir(model, metadata, partial, usual)
        noise = check_input((1, 3, *usual))
        expected = TorchBackend(model, noise.device)(noise)
        worst = check_agreement(out.name, "float32", run_file(partial, noise), expected)
        # An IR's weights go first: an interruption leaves no description without them.
        for path in sorted(Path(folder).iterdir(), key=lambda path: path.suffix == out.suffix):
            path.replace(out.parent / path.name)
    return worst


def run_file(path: Path, batch: Tensor) -> dict[str, Tensor]:
    """Maps that an exported file answers to a (B, 3, H, W) batch."""
    if path.suffix == ".onnx":
        onnxruntime = import_onnxruntime()
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        names = [output.name for output in session.get_outputs()]
        values = session.run(names, {"image": batch.numpy()})
    else:
        openvino = importlib.import_module("openvino")
        core = openvino.Core()
        network = core.read_model(path)
        network.reshape(list(batch.shape))
        compiled = core.compile_model(network, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        names = [output.get_any_name() for output in network.outputs]
        values = compiled({"image": batch.numpy()}).values()
    return {name: torch.from_numpy(value) for name, value in zip(names, values, strict=True)}


def read_preset(path: Path) -> ModelPreset:
    """The preset in an exported file.

    Raises:
        BackendError: It holds none.
    """
    if path.suffix == ".onnx":
        network = importlib.import_module("onnx").load(path, load_external_data=False)
        text = {entry.key: entry.value for entry in network.metadata_props}.get(METADATA_KEY)
    else:
        network = importlib.import_module("openvino").Core().read_model(path)
        found = network.has_rt_info(METADATA_KEY)
        text = network.get_rt_info(METADATA_KEY).astype(str) if found else None
    if text is None:
        raise BackendError(f"{path} has no entry {METADATA_KEY!r}: it was not exported here")
    return ModelPreset.from_dict(json.loads(text))


def _write_onnx(
    model: CenterNet, metadata: Mapping[str, str], path: Path, size: Size | None
) -> None:
    from centernet_ros.backends.onnxruntime_backend import convert

    program = convert(model, size)
    program.model.metadata_props.update(metadata)
    program.save(path)


def _write_ir(model: CenterNet, metadata: Mapping[str, str], path: Path, size: Size) -> None:
    from centernet_ros.backends.openvino_backend import convert, save

    network: Any = convert(model)
    network.reshape([1, 3, *size])
    for key, value in metadata.items():
        network.set_rt_info(value, key)
    save(network, path)


def _usual_size(preset: ModelPreset, step: int) -> Size:
    """The preset's size, or the next one that the network takes."""
    height, width = (-(-side // step) * step for side in preset.input_size)
    return height, width


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line; gives the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m centernet_ros.export",
        description="Write a network as ONNX or OpenVINO IR, checked against PyTorch.",
    )
    parser.add_argument("weights", help="weights file, ours or the authors'")
    parser.add_argument("out", type=Path, help="file to write: OUT.onnx or OUT.xml")
    parser.add_argument(
        "--size",
        metavar="HxW",
        help="the only input size; by default any for ONNX, the preset's for an IR",
    )
    parser.add_argument("--preset", help="name of a preset, instead of the file's own")
    options = parser.parse_args(arguments)
    try:
        model, preset = load_model(options.weights, options.preset)
        worst = export(model, preset, options.out, _parse_size(options.size))
    except (ValueError, OSError) as error:
        print(f"centernet_ros.export: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("centernet_ros.export: interrupted", file=sys.stderr)
        return 130
    print(f"{options.out}: agrees with PyTorch to {worst:.1e} of the largest value")
    return 0


def _parse_size(text: str | None) -> Size | None:
    if text is None:
        return None
    try:
        height, width = (int(part) for part in text.lower().split("x"))
    except ValueError:
        raise BackendError(f"size is {text!r}, expected HEIGHTxWIDTH such as 512x512") from None
    return height, width


if __name__ == "__main__":
    sys.exit(main())
