"""Trunks that were trained on other pictures, as the start of a training."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn

from centernet_ros.backends.agreement import BackendError
from centernet_ros.backends.packages import import_torchvision
from centernet_ros.checkpoint.authors import is_authors, recognise, to_authors, to_ours
from centernet_ros.checkpoint.errors import CheckpointError
from centernet_ros.checkpoint.files import read_tensors
from centernet_ros.checkpoint.loading import problems_of

TRUNKS = {
    "resnet18": ("backbone.stem.", "backbone.stages."),
    "resnet101": ("backbone.stem.", "backbone.stages."),
    "dla34": ("backbone.trunk.",),
    "hourglass104": ("backbone.",),
    "resnet18_pyramid": ("backbone.stem.", "backbone.stages."),
    "resnet18_pyramid16": ("backbone.stem.", "backbone.stages."),
}
"""Beginnings of the names of the tensors that a file has to hold."""

BEYOND = {"resnet18_pyramid16": ("backbone.stages.3.", "backbone.lateral.3.")}
"""Beginnings of the names of what a longer trunk has behind the end of this one."""

IMAGENET = {
    "resnet18": "resnet18",
    "resnet101": "resnet101",
    "resnet18_pyramid": "resnet18",
    "resnet18_pyramid16": "resnet18",
}
"""Trunks that torchvision has weights of, and their names there."""


def load_trunk(model: nn.Module, source: Path | str = "imagenet") -> None:
    """Fill the backbone, as far as the source has it, but never the heads.

    Args:
        model: network of `build_model`.
        source: "imagenet" for torchvision's weights, which are fetched unless torchvision has them
            in its cache, or a file: of torchvision, the `dla34-*.pth` of the authors of DLA, or a
            CenterNet or ExtremeNet of the same backbone.

    Raises:
        CheckpointError: The source cannot be had or read, or lacks tensors of the trunk.
    """
    state = model.state_dict()
    backbone, _, _ = recognise(state)
    fetched = source == "imagenet"
    tensors = _imagenet(backbone) if fetched else read_tensors(source)
    if "base_layer.0.weight" in tensors:  # of the authors of DLA, who have no detector around it
        tensors = {f"base.{name}": value for name, value in tensors.items()}
    if is_authors(tensors):
        tensors = to_ours(tensors)
    given = {
        name: value
        for name, value in tensors.items()
        if name.startswith("backbone.") and not name.startswith(BEYOND.get(backbone, ()))
    }
    expected = {
        name: value
        for name, value in state.items()
        if name in given or name.startswith(TRUNKS[backbone])
    }
    problems = problems_of(given, expected, to_authors(state))
    if problems:
        origin = "torchvision's file" if fetched else f"weights file {source}"
        raise CheckpointError(f"{origin} does not fit the trunk {backbone}: {'; '.join(problems)}")
    model.load_state_dict(given, strict=False)


def _imagenet(backbone: str) -> dict[str, Tensor]:
    if backbone not in IMAGENET:
        raise CheckpointError(
            f"torchvision has no ImageNet weights of {backbone}: give a file with its trunk instead"
        )
    try:
        models = import_torchvision("models")  # takes seconds
    except BackendError as error:
        raise CheckpointError(f"{error}, or give a file instead of imagenet") from None
    weights = models.get_model_weights(IMAGENET[backbone])["IMAGENET1K_V1"]
    try:
        return dict(weights.get_state_dict(progress=False, check_hash=True))
    # The errors of urllib are a kind of the first; the second is a file with another hash.
    except (OSError, RuntimeError) as error:
        raise CheckpointError(
            f"torchvision cannot fetch {weights.url} ({error}): fetch it on another machine and "
            "give the file instead"
        ) from None
