"""The network: a backbone, and one small head for every map of the task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, cast

import torch
from torch import Tensor, nn

from centernet_ros.tasks.base import Head


class Backbone(Protocol):
    """What a backbone offers beside being a module."""

    stacks: int
    """Number of feature maps; results come from the last, the others help in training."""
    out_channels: int
    """Channels of each feature map, which lies at stride 4."""
    head_channels: int
    """Width of the hidden convolution of each head."""
    input_multiple: int
    """What height and width of an input are multiples of."""

    def __call__(self, image: Tensor) -> list[Tensor]:
        """(B, 3, H, W) to one (B, out_channels, H/4, W/4) per stack."""


class CenterNet(nn.Module):
    """Raw maps of every head at stride 4; activations belong to the task."""

    def __init__(self, backbone: nn.Module, heads: Sequence[Head]) -> None:
        super().__init__()
        self.backbone = backbone
        shape = cast(Backbone, backbone)
        self.input_multiple = shape.input_multiple
        self.heads = _build_heads(shape, heads)
        """Heads of the last stack."""
        self.auxiliary_heads = nn.ModuleList(
            _build_heads(shape, heads) for _ in range(shape.stacks - 1)
        )
        """Heads of the stacks before it, for the losses in training."""

    def forward(self, image: Tensor) -> list[dict[str, Tensor]]:
        """(B, 3, H, W) to one dict per stack of head name to (B, channels, H/4, W/4).

        Raises:
            ValueError: Height or width is no multiple of what the backbone needs.
        """
        # An exporter would take the check for a property of the network.
        tracing = torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
        if not (tracing or torch.compiler.is_compiling()):
            self._check(image)
        stacks = zip(self.backbone(image), [*self.auxiliary_heads, self.heads], strict=True)
        return [
            {name: head(features) for name, head in cast(nn.ModuleDict, heads).items()}
            for features, heads in stacks
        ]

    def _check(self, image: Tensor) -> None:
        height, width = image.shape[-2:]
        step = self.input_multiple
        if height % step or width % step or not (height and width):
            raise ValueError(
                f"network input is {height}x{width}: height and width must be multiples of {step}"
            )


def _build_heads(backbone: Backbone, heads: Sequence[Head]) -> nn.ModuleDict:
    return nn.ModuleDict({head.name: _build_head(head, backbone) for head in heads})


def _build_head(head: Head, backbone: Backbone) -> nn.Sequential:
    first = nn.Conv2d(backbone.out_channels, backbone.head_channels, 3, padding=1)
    last = nn.Conv2d(backbone.head_channels, head.channels, 1)
    if head.initial_bias is not None:
        nn.init.constant_(cast(Tensor, last.bias), head.initial_bias)
    else:
        # NOTE: The authors' ResNet begins with weights of standard deviation 0.001. All hidden
        # units of a head then grow in one direction, and may stay there: its values are functions
        # of a single number (docs/compat.md). The library's weights are spread from the start.
        for layer in (first, last):
            nn.init.zeros_(cast(Tensor, layer.bias))
    return nn.Sequential(first, nn.ReLU(inplace=True), last)
