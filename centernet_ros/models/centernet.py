"""The network: a backbone, and one small head for every map of the task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, cast

from torch import Tensor, nn

from centernet_ros.tasks.base import Head


class Backbone(Protocol):
    """What a backbone offers beside being a module."""

    out_channels: int
    """Channels of each feature map, which lies at stride 4."""
    head_channels: int
    """Width of the hidden convolution of each head."""

    def __call__(self, image: Tensor) -> list[Tensor]:
        """(B, 3, H, W) to one (B, out_channels, H/4, W/4) per stack."""


class CenterNet(nn.Module):
    """Raw maps of every head at stride 4; activations belong to the task."""

    def __init__(self, backbone: nn.Module, heads: Sequence[Head]) -> None:
        super().__init__()
        self.backbone = backbone
        shape = cast(Backbone, backbone)
        self.heads = nn.ModuleDict(
            {
                head.name: _build_head(head, shape.out_channels, shape.head_channels)
                for head in heads
            }
        )

    def forward(self, image: Tensor) -> list[dict[str, Tensor]]:
        """(B, 3, H, W) to one dict per stack of head name to (B, channels, H/4, W/4)."""
        return [
            {name: head(features) for name, head in self.heads.items()}
            for features in self.backbone(image)
        ]


def _build_head(head: Head, in_channels: int, hidden: int) -> nn.Sequential:
    last = nn.Conv2d(hidden, head.channels, 1)
    layers = nn.Sequential(
        nn.Conv2d(in_channels, hidden, 3, padding=1), nn.ReLU(inplace=True), last
    )
    if head.initial_bias is not None:
        nn.init.constant_(last.bias, head.initial_bias)  # type: ignore[arg-type]
    else:
        for layer in (layers[0], last):
            nn.init.normal_(layer.weight, std=0.001)  # type: ignore[arg-type]
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return layers
