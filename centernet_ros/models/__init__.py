"""Networks by name: `build_model("dla34", "detection3d", num_classes=3)`."""

from __future__ import annotations

from centernet_ros.models.centernet import CenterNet
from centernet_ros.models.dla import DLA34
from centernet_ros.models.hourglass import Hourglass104
from centernet_ros.models.pyramid import resnet18_pyramid, resnet18_pyramid16
from centernet_ros.models.resnet import resnet18, resnet101
from centernet_ros.tasks import build_task

BACKBONES = {
    "resnet18": resnet18,
    "resnet101": resnet101,
    "dla34": DLA34,
    "hourglass104": Hourglass104,
    "resnet18_pyramid": resnet18_pyramid,
    "resnet18_pyramid16": resnet18_pyramid16,
}
BACKBONE_ALIASES = {
    "resdcn_18": "resnet18",
    "resdcn_101": "resnet101",
    "dla_34": "dla34",
    "hourglass": "hourglass104",
}


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
