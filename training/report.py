"""`report.md`: what a run was and what it reached, to be read or handed on as it is."""

from __future__ import annotations

import dataclasses
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import cv2
import torch
import yaml

from training.checkpoints import MEASUREMENTS_FILE
from training.config import RunConfig
from training.curves import draw_curves, smooth
from training.logs import LOG_FILE, read_log
from training.measuring import Metrics

REPORT_FILE = "report.md"
CURVE_FILE = "loss.png"
PREVIEW_FILE = "preview.jpg"


def write_report(
    config: RunConfig, metrics: Metrics, *, command: str, device: str, num_images: int
) -> Path:
    """Write the report of a finished run into its folder; the preview lies there already.

    Args:
        config: the run.
        metrics: of its weights.
        command: how the run was started.
        device: what it was computed on.
        num_images: images that it was trained on.
    """
    folder = config.folder
    steps = read_log(folder / LOG_FILE)
    curves = {"loss": [(line["step"], line["loss"]) for line in steps]}
    for name in steps[0]["parts"] if steps else ():
        curves[name] = [(line["step"], line["parts"][name]) for line in steps]
    picture = draw_curves({name: smooth(curve) for name, curve in curves.items()}, "step")
    cv2.imwrite(str(folder / CURVE_FILE), picture)
    sections = [
        f"# {folder.name}: {config.task} with {config.backbone}",
        _facts(config, steps, command=command, device=device, num_images=num_images),
        f"## Metrics\nOn the validation images, of `weights.safetensors`.\n\n"
        f"```\n{metrics.table()}\n```",
        *_measurements(folder),
        f"## Loss\n![loss over steps]({CURVE_FILE})",
        f"## Samples\nLeft the truth, right what was found.\n\n![samples]({PREVIEW_FILE})",
        f"## Configuration\n```yaml\n{_yaml(config)}```",
    ]
    path = folder / REPORT_FILE
    path.write_text("\n\n".join(sections) + "\n")
    return path


def _facts(
    config: RunConfig,
    steps: Sequence[Mapping[str, Any]],
    *,
    command: str,
    device: str,
    num_images: int,
) -> str:
    speeds = sorted(line["images_per_second"] for line in steps)
    size = config.optimiser.batch_size
    seconds = sum(size / line["images_per_second"] for line in steps)
    waited = sum(line.get("waited", 0.0) for line in steps)
    rows = {
        "command": f"`{command}`",
        "images": num_images,
        "epochs, steps": f"{config.optimiser.epochs}, {len(steps)}",
        "seed": config.seed,
        "last loss": f"{steps[-1]['loss']:.4g}" if steps else "-",
        "images per second (median)": speeds[len(speeds) // 2] if speeds else "-",
        "time waiting for images": f"{waited / seconds:.0%}" if steps else "-",
        "device": device,
        "versions": f"Python {platform.python_version()}, torch {torch.__version__}, "
        f"{_torchvision()}, OpenCV {cv2.__version__}",
    }
    lines = [f"| {name} | {value} |" for name, value in rows.items()]
    return "\n".join(["| | |", "|---|---|", *lines])


def _torchvision() -> str:
    """Its version; on a CPU one can train without it."""
    try:
        return f"torchvision {version('torchvision')}"
    except PackageNotFoundError:
        return "no torchvision"


def _measurements(folder: Path) -> list[str]:
    """A table of what was measured on the way, where something was."""
    # A killed run repeats the measurement after its last state.
    rows = {line["step"]: line for line in read_log(folder / MEASUREMENTS_FILE)}
    if not rows:
        return []
    name = next(key for row in rows.values() for key in row if key != "step")
    lines = [f"| {step} | {row[name]:.4g} |" for step, row in sorted(rows.items())]
    table = "\n".join([f"| step | {name} |", "|---|---|", *lines])
    return [
        f"## On the way\nThe weights of the best measurement are `best.safetensors`.\n\n{table}"
    ]


def _yaml(config: RunConfig) -> str:
    return yaml.safe_dump(_plain(dataclasses.asdict(config)), sort_keys=False)


def _plain(value: Any) -> Any:
    """Tuples as lists, which YAML has."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
