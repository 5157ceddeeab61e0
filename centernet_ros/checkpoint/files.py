"""Reading and writing weights files: ours (safetensors with a preset) and PyTorch's."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from centernet_ros.checkpoint.errors import CheckpointError
from centernet_ros.presets import ModelPreset
from centernet_ros.resources import find_file

HEADER_KEY = "centernet_ros"
"""Entry of the safetensors header that holds the preset and the notes as JSON."""


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

    Raises:
        CheckpointError: The file cannot be written, as where the disk is full, or a tensor has
            numbers that are too large for the type.
    """
    tensors = {}
    for name, given in model.state_dict().items():
        value = given.detach().cpu()
        stored = value.to(dtype if value.is_floating_point() else None).contiguous()
        if dtype is not None and (value.isfinite() & ~stored.isfinite()).any():
            raise CheckpointError(
                f"cannot write weights file {path}: {name} has numbers that are too large for "
                f"{str(stored.dtype).removeprefix('torch.')}: store float32"
            )
        tensors[name] = stored
    _write(Path(path), tensors, preset, notes or {})


def replace_preset(path: Path | str, preset: ModelPreset) -> None:
    """Write another preset into a weights file of ours; its tensors stay bit by bit.

    Raises:
        CheckpointError: The file is missing, damaged or not one of `save_checkpoint`.
    """
    path = _existing(path)
    tensors, _, notes = read_checkpoint(path)
    _write(path, tensors, preset, notes)


def _write(
    path: Path, tensors: dict[str, Tensor], preset: ModelPreset, notes: Mapping[str, Any]
) -> None:
    header = {HEADER_KEY: json.dumps({"preset": preset.to_dict(), "notes": dict(notes)})}
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # As every file of this user: `save_file` would keep it from all others.
        partial.write_bytes(save(tensors, header))
        partial.replace(path)
    except OSError as error:
        raise CheckpointError(f"cannot write weights file {path}: {error.strerror}") from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink()


def read_checkpoint(path: Path | str) -> tuple[dict[str, Tensor], ModelPreset, dict[str, Any]]:
    """Tensors (as stored), preset and notes of a weights file of ours.

    Raises:
        CheckpointError: The file is missing, damaged or not one of `save_checkpoint`.
    """
    path = _existing(path)
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


def read_torch_file(path: Path | str) -> dict[str, Tensor]:
    """State dict of a file of `torch.save`, of today or of 2019, without running code from it.

    Raises:
        CheckpointError: The file is missing, damaged, or holds something else.
    """
    path = _existing(path)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle can end in any of a dozen types
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(
            f"weights file {path} cannot be read: it is damaged, cut short, or no file of tensors "
            f"({reason})"
        ) from None
    return state_dict_of(content, f"weights file {path}")


def read_tensors(path: Path | str) -> dict[str, Tensor]:
    """State dict of a weights file of either kind, with the names that stand in it.

    Raises:
        CheckpointError: The file is missing, damaged, or holds something else.
    """
    return read_torch_file(path) if is_torch_file(path) else read_checkpoint(path)[0]


def is_torch_file(path: Path | str) -> bool:
    """Whether a file begins as those of `torch.save` do: as a zip archive, or as a bare pickle.

    Raises:
        CheckpointError: There is no such file.
    """
    with _existing(path).open("rb") as file:
        start = file.read(9)
    # The ninth byte of a safetensors file opens its JSON header.
    return start.startswith((b"PK\x03\x04", b"\x80")) and start[8:] != b"{"


def state_dict_of(content: object, origin: str) -> dict[str, Tensor]:
    """The state dict in what a training of the authors saves, without the prefix of parallel runs.

    Args:
        content: a state dict, or a dict that holds one as "state_dict".
        origin: where it comes from, for messages.

    Raises:
        CheckpointError: It is something else.
    """
    if isinstance(content, Mapping):
        content = content.get("state_dict", content)
    if not isinstance(content, Mapping):
        raise CheckpointError(f"{origin} holds {type(content).__name__}, expected a state dict")
    for name, value in content.items():
        if not isinstance(value, Tensor):
            raise CheckpointError(
                f"{origin} holds no state dict: {name!r} is {type(value).__name__}, no tensor"
            )
    return {str(name).removeprefix("module."): value for name, value in content.items()}


def _existing(path: Path | str) -> Path:
    """The file, or the one of this name that comes with the package.

    Raises:
        CheckpointError: There is none.
    """
    try:
        return find_file(str(path))
    except FileNotFoundError as error:
        raise CheckpointError(f"weights {error}") from None
