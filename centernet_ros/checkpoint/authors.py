"""Names of tensors in the authors' files and in ours, and which network tensors belong to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from torch import Tensor

from centernet_ros.checkpoint.errors import CheckpointError
from centernet_ros.tasks import TASKS, build_task

HEADS = {
    "hm": "heatmap",
    "wh": "size",
    "reg": "offset",
    "dep": "depth",
    "rot": "orientation",
    "dim": "dimensions",
    "hps": "joints",
    "hm_hp": "joint_heatmap",
    "hp_offset": "joint_offset",
}
"""Names of the maps, theirs to ours."""

MERGES = {
    "dla_up.ida_0": ("backbone.up.0", 1),
    "dla_up.ida_1": ("backbone.up.1", 2),
    "dla_up.ida_2": ("backbone.up.2", 3),
    "ida_up": ("backbone.out", 2),
}
"""Merging steps of DLA, theirs to ours, with their number of coarser levels."""

# The table: modules in the authors' files to ours, for each backbone and its heads.
RESNET = {
    "conv1": "backbone.stem.0",
    "bn1": "backbone.stem.1",
    **{f"layer{i + 1}": f"backbone.stages.{i}" for i in range(4)},
    # Theirs is one list of eighteen layers, ours has three blocks of six.
    **{f"deconv_layers.{6 * i + j}": f"backbone.up.{i}.{j}" for i in range(3) for j in range(6)},
}
DLA = {
    "base": "backbone.trunk",
    **{
        f"{theirs}.{their_layer}": f"{ours}.{our_layer}"
        for theirs, (ours, count) in MERGES.items()
        for i in range(count)
        for their_layer, our_layer in {
            f"proj_{i + 1}.conv": f"project.{i}.0",
            f"proj_{i + 1}.actf.0": f"project.{i}.1",
            f"up_{i + 1}": f"up.{i}",
            f"node_{i + 1}.conv": f"node.{i}.0",
            f"node_{i + 1}.actf.0": f"node.{i}.1",
        }.items()
    },
}
HOURGLASS = {
    "pre.0.conv": "backbone.stem.0.0",
    "pre.0.bn": "backbone.stem.0.1",
    "pre.1": "backbone.stem.1",
    **{f"kps.{i}": f"backbone.hourglasses.{i}" for i in range(2)},
    **{f"cnvs.{i}.conv": f"backbone.outputs.{i}.0" for i in range(2)},
    **{f"cnvs.{i}.bn": f"backbone.outputs.{i}.1" for i in range(2)},
    "inters_.0": "backbone.links.0.from_input",
    "cnvs_.0": "backbone.links.0.from_output",
    "inters.0": "backbone.links.0.residual",
}
SINGLE_HEADS = {
    f"{theirs}.{i}": f"heads.{ours}.{i}" for theirs, ours in HEADS.items() for i in (0, 2)
}
STACKED_HEADS = {
    f"{theirs}.{stack}.{their_layer}": f"{place}.{ours}.{our_layer}"
    for theirs, ours in HEADS.items()
    for stack, place in enumerate(("auxiliary_heads.0", "heads"))
    for their_layer, our_layer in (("0.conv", 0), ("1", 2))
}
SINGLE = {**RESNET, **DLA, **SINGLE_HEADS}
STACKED = {**HOURGLASS, **STACKED_HEADS}
TO_OURS = {**SINGLE, **STACKED}

UNUSED = ("base.fc.weight", "base.fc.bias")
"""The classifier of ImageNet, which every DLA file of the authors still holds."""

MARKERS = {
    "resnet18": ("backbone.up.0.0.weight", (256, 512, 3, 3)),
    "resnet101": ("backbone.stages.2.22.conv1.weight", (256, 1024, 1, 1)),
    "dla34": ("backbone.trunk.level5.root.conv.weight", (512, 1280, 1, 1)),
    "hourglass104": ("backbone.links.0.residual.conv1.weight", (256, 256, 3, 3)),
    "resnet18_pyramid": ("backbone.lateral.3.weight", (64, 512, 1, 1)),
    "resnet18_pyramid16": ("backbone.lateral.2.weight", (64, 256, 1, 1)),
}
"""A tensor of each backbone that none of the later ones has."""


def is_authors(names: Iterable[str]) -> bool:
    """Whether some of the names can only be the authors'."""
    roots = {name.split(".")[0] for name in TO_OURS}
    return any(name.split(".")[0] in roots for name in names)


def to_ours(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict in the authors' names under ours; names that are unknown stay as they are."""
    return {ours: state[theirs] for theirs, ours in our_names(state).items()}


def our_names(names: Iterable[str]) -> dict[str, str]:
    """The authors' names of a whole network to ours, without what no network uses."""
    names = list(names)
    unused = UNUSED if "base.level0.0.weight" in names else ()
    return {name: _renamed(name, TO_OURS) for name in names if name not in unused}


def to_authors(names: Iterable[str]) -> dict[str, str]:
    """Our names of a whole network to the authors'; names without counterpart are left out."""
    names = list(names)
    stacked = any(name.startswith("auxiliary_heads.") for name in names)
    table = {ours: theirs for theirs, ours in (STACKED if stacked else SINGLE).items()}
    renamed = {name: _renamed(name, table) for name in names}
    return {ours: theirs for ours, theirs in renamed.items() if theirs != ours}


def _renamed(name: str, table: Mapping[str, str]) -> str:
    """The name with its longest beginning that the table has, at a dot, replaced."""
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        start = table.get(".".join(parts[:end]))
        if start is not None:
            return ".".join([start, *parts[end:]])
    return name


def recognise(state: Mapping[str, Tensor]) -> tuple[str, str, int]:
    """Backbone, task and number of classes that tensors, in the authors' names or ours, belong to.

    Raises:
        CheckpointError: They belong to no network that is known here.
    """
    given = list(state)
    if is_authors(given):
        state = to_ours(state)
    shapes = {name: tuple(value.shape) for name, value in state.items()}
    backbones = [b for b, (name, shape) in MARKERS.items() if shapes.get(name) == shape]
    if not backbones:
        raise CheckpointError(
            f"the tensors belong to none of the backbones {', '.join(MARKERS)}: {_some(given)}"
        )
    heads = {name.split(".")[1] for name in state if name.startswith("heads.")}
    tasks = [t for t in TASKS if {head.name for head in build_task(t, 1).heads} == heads]
    classes = shapes.get("heads.heatmap.2.weight")
    if not tasks or classes is None:
        raise CheckpointError(
            f"the heads {', '.join(sorted(heads)) or '(none)'} belong to none of the tasks "
            f"{', '.join(TASKS)}"
        )
    return backbones[0], tasks[0], classes[0]


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
