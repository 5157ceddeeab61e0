"""Weights in and out: safetensors files whose header says which network they belong to."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from centernet_ros.models import build_model
from centernet_ros.models.centernet import CenterNet
from centernet_ros.presets import ModelPreset

HEADER_KEY = "centernet_ros"
"""Entry of the safetensors header that holds the preset and the notes as JSON."""


class CheckpointError(ValueError):
    """A weights file that is missing, damaged, foreign, or made for another network."""


def save_checkpoint(
    path: Path | str,
    model: nn.Module,
    preset: ModelPreset,
    *,
    dtype: torch.dtype | None = None,
    notes: Mapping[str, Any] | None = None,
) -> None:
    """Write the weights and the preset atomically: an interruption leaves the old file or the new.

    Args:
        path: file to write, by custom `*.safetensors`.
        model: network whose state is written.
        preset: what the network belongs to.
        dtype: type in which floating-point tensors are stored, e.g. `torch.float16`.
        notes: further facts for the header (training command, metric reached).
    """
    path = Path(path)
    tensors = {
        name: value.detach().cpu().to(dtype if value.is_floating_point() else None).contiguous()
        for name, value in model.state_dict().items()
    }
    header = {HEADER_KEY: json.dumps({"preset": preset.to_dict(), "notes": dict(notes or {})})}
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        save_file(tensors, partial, header)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def read_checkpoint(path: Path | str) -> tuple[dict[str, Tensor], ModelPreset, dict[str, Any]]:
    """Tensors (as stored), preset and notes of a weights file.

    Raises:
        CheckpointError: The file is missing, damaged or not one of `save_checkpoint`.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"weights file {path} does not exist (looked in {Path.cwd()})")
    try:
        with safe_open(path, framework="pt") as file:
            header = (file.metadata() or {}).get(HEADER_KEY)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"weights file {path} is not a safetensors file: {error}") from None
    if header is None:
        raise CheckpointError(
            f"weights file {path} has no {HEADER_KEY!r} header: it was not written by this package"
        )
    try:
        content = json.loads(header)
        return tensors, ModelPreset.from_dict(content["preset"]), content.get("notes", {})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"weights file {path} has a damaged header: {error}") from None


def load_weights(model: nn.Module, source: Path | str | Mapping[str, Tensor]) -> None:
    """Fill a network from a weights file or a state dict, in the network's own precision.

    Raises:
        CheckpointError: A tensor is missing, left over or has another shape; the message names it.
    """
    if isinstance(source, Mapping):
        _fill(model, source, "state dict")
    else:
        _fill(model, read_checkpoint(source)[0], f"weights file {source}")


def _fill(model: nn.Module, source: Mapping[str, Tensor], origin: str) -> None:
    expected = model.state_dict()
    # Nothing reads the counts of batches, and old files lack them.
    required = [name for name in expected if not name.endswith("num_batches_tracked")]
    problems = [f"missing {name}" for name in required if name not in source]
    problems += [f"unexpected {name}" for name in source if name not in expected]
    problems += [
        f"{name} is {tuple(value.shape)}, expected {tuple(expected[name].shape)}"
        for name, value in source.items()
        if name in expected and value.shape != expected[name].shape
    ]
    if problems:
        more = f" and {len(problems) - 5} more" if len(problems) > 5 else ""
        raise CheckpointError(f"{origin} does not fit the network: {'; '.join(problems[:5])}{more}")
    model.load_state_dict(source, strict=False)


def load_model(path: Path | str) -> tuple[CenterNet, ModelPreset]:
    """The network of a weights file, in float32 on the CPU, with its preset.

    Raises:
        CheckpointError: The file cannot be read, or its network is unknown.
    """
    tensors, preset, _ = read_checkpoint(path)
    try:
        model = build_model(preset.backbone, preset.task, len(preset.class_names))
    except ValueError as error:
        raise CheckpointError(f"weights file {path}: {error}") from None
    _fill(model, tensors, f"weights file {path}")
    return model, preset
