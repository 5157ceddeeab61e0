"""Filling networks with weights."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import Tensor, nn

from centernet_ros.checkpoint.authors import (
    is_authors,
    our_names,
    recognise,
    to_authors,
    to_ours,
)
from centernet_ros.checkpoint.errors import CheckpointError
from centernet_ros.checkpoint.files import (
    is_torch_file,
    read_checkpoint,
    read_tensors,
    read_torch_file,
    state_dict_of,
)
from centernet_ros.models import build_model
from centernet_ros.models.centernet import CenterNet
from centernet_ros.presets import PRESETS, ModelPreset, authors_preset, step_of

LISTED = 5
"""Tensors of each kind of problem that a message lists."""


def load_weights(model: nn.Module, source: Path | str | Mapping[str, Tensor]) -> None:
    """Fill a network from a weights file or a state dict, in the network's own precision.

    The file is ours or the authors' (the state dict as well); the authors' may hold it as the
    entry "state_dict", with names that begin with "module.", with the unused `base.fc` of DLA and
    without the counts of batches.

    Raises:
        CheckpointError: A tensor is missing, left over or has another shape; the message names it.
    """
    if isinstance(source, Mapping):
        fill(model, state_dict_of(source, "state dict"), "state dict")
    else:
        fill(model, read_tensors(source), f"weights file {source}")


def load_model(
    path: Path | str, preset: ModelPreset | str | None = None
) -> tuple[CenterNet, ModelPreset]:
    """The network of a weights file, in float32 on the CPU, with its preset.

    Args:
        path: file of ours, or of the authors.
        preset: a preset or the name of one of the authors', instead of the one that the file
            holds. A file of the authors holds none: by default its name tells, else its tensors.

    Raises:
        CheckpointError: The file cannot be read, or its network or its preset is unknown.
    """
    origin = f"weights file {path}"
    if isinstance(preset, str):
        preset = named_preset(preset)
    if is_torch_file(path):
        tensors = read_torch_file(path)
        preset = preset or preset_of(tensors, Path(path))
    else:
        tensors, stored, _ = read_checkpoint(path)
        preset = preset or stored
    try:
        model = build_model(preset.backbone, preset.task, len(preset.class_names))
    except ValueError as error:
        raise CheckpointError(f"{origin}: {error}") from None
    fill(model, tensors, origin)
    return model, preset


def preset_of(tensors: Mapping[str, Tensor], path: Path) -> ModelPreset:
    """How the authors used the weights of a file: by its name, else by its tensors.

    Raises:
        CheckpointError: Neither tells.
    """
    if path.stem in PRESETS:
        return PRESETS[path.stem]
    try:
        backbone, task, classes = recognise(tensors)
    except CheckpointError as error:
        raise CheckpointError(f"weights file {path}: {error}") from None
    preset = authors_preset(backbone, task, classes)
    if preset is None:
        raise CheckpointError(
            f"weights file {path} holds {backbone} for {task} with {classes} classes, and the "
            "authors published none like it: say what the classes are, with `python -m "
            "centernet_ros.checkpoint convert FILE OUT --classes ...`"
        )
    return preset


def preset_with_classes(
    path: Path, class_names: Sequence[str], preset: str | None = None
) -> ModelPreset:
    """How to use weights that were trained with the authors' code on classes of one's own.

    Args:
        path: the file.
        class_names: name of each label, in order.
        preset: name of the published preset that the weights were trained like; by default the
            first of the same backbone and task.

    Raises:
        CheckpointError: The file cannot be read, has another number of classes, or the authors have
            no such preset.
    """
    origin, tensors = f"weights file {path}", read_tensors(path)
    try:
        backbone, task, classes = recognise(tensors)
        if classes != len(class_names):
            raise CheckpointError(f"it has {classes} classes, but {len(class_names)} are named")
        alike = [
            name for name, p in PRESETS.items() if (p.backbone, p.task) == (backbone, task)
        ] or [name for name, p in PRESETS.items() if p.task == task]
        base = named_preset(alike[0] if preset is None else preset)
        if base.task != task:
            raise CheckpointError(f"it is for {task}, but preset {preset!r} for {base.task}")
    except CheckpointError as error:
        raise CheckpointError(f"{origin}: {error}") from None
    return dataclasses.replace(
        base, backbone=backbone, pad_to=step_of(backbone), class_names=tuple(class_names)
    )


def named_preset(name: str) -> ModelPreset:
    """One of the authors' presets.

    Raises:
        CheckpointError: There is none of this name.
    """
    if name not in PRESETS:
        raise CheckpointError(f"unknown preset {name!r}; known: {', '.join(PRESETS)}")
    return PRESETS[name]


def fill(model: nn.Module, source: Mapping[str, Tensor], origin: str) -> None:
    """Copy a state dict, in our names or the authors', into a network that it fits exactly.

    Raises:
        CheckpointError: It does not fit; the message says which tensors, and the network is as
            it was.
    """
    expected = model.state_dict()
    theirs: dict[str, str] = {}
    if is_authors(source):
        theirs = {**to_authors(expected), **{v: k for k, v in our_names(source).items()}}
        source = to_ours(source)
    problems = problems_of(source, expected, theirs)
    if problems:
        raise CheckpointError(
            f"{origin} does not fit the network{_difference(source, expected)}: "
            + "; ".join(problems)
        )
    model.load_state_dict(source, strict=False)


def problems_of(
    source: Mapping[str, Tensor], expected: Mapping[str, Tensor], theirs: Mapping[str, str]
) -> list[str]:
    """What keeps a state dict from fitting, a phrase per tensor; the beginnings of long lists.

    Args:
        source: tensors in our names.
        expected: the network's.
        theirs: the authors' names of ours, where the tensors come from them.
    """

    def label(name: str) -> str:
        return f"{name} (the authors' {theirs[name]})" if name in theirs else name

    # Nothing reads the counts of batches, and old files lack them.
    required = [name for name in expected if not name.endswith("num_batches_tracked")]
    missing = [f"missing {label(name)}" for name in required if name not in source]
    unexpected = [f"unexpected {theirs.get(name, name)}" for name in source if name not in expected]
    misshapen = [
        f"{label(name)} is {tuple(value.shape)}, expected {tuple(expected[name].shape)}"
        for name, value in source.items()
        if name in expected and value.shape != expected[name].shape
    ]
    return [
        *_beginning(missing, "missing"),
        *_beginning(unexpected, "unexpected"),
        *_beginning(misshapen, "misshapen"),
    ]


def _beginning(problems: Sequence[str], kind: str) -> list[str]:
    rest = len(problems) - LISTED
    return [*problems[:LISTED], *([f"and {rest} more {kind}"] if rest > 0 else [])]


def _difference(source: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> str:
    """What the weights belong to and what the network is, where both are known and differ."""
    try:
        found, wanted = recognise(source), recognise(expected)
    except CheckpointError:
        return ""
    if found == wanted:
        return ""
    words = "{} for {} with {} classes"
    return f" ({words.format(*found)} into {words.format(*wanted)})"
