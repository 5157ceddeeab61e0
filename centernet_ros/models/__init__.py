"""Networks by name: `build_model("resnet18", "detection2d", num_classes=3)`."""

from __future__ import annotations

from centernet_ros.models.centernet import CenterNet
from centernet_ros.models.resnet import resnet18
from centernet_ros.tasks import build_task

BACKBONES = {"resnet18": resnet18}
BACKBONE_ALIASES = {"resdcn_18": "resnet18"}


def build_model(backbone: str, task: str, num_classes: int) -> CenterNet:
    """A network with random weights for a backbone and a task (or their aliases).

    Raises:
        ValueError: The backbone or task has no such name; the message lists the known ones.
    """
    backbone = BACKBONE_ALIASES.get(backbone, backbone)
    if backbone not in BACKBONES:
        known = ", ".join(BACKBONES)
        raise ValueError(f"unknown backbone {backbone!r}; known: {known}")
    return CenterNet(BACKBONES[backbone](), build_task(task, num_classes).heads)
