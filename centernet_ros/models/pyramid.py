"""ResNet-18 with a feature pyramid: for own data, where no ImageNet weights are at hand.

These two backbones are not the authors'. Their ResNet up-sampling has no connection around the
trunk's last stage, so that even the place of a small object must find its way through a map of
stride 32; from random weights it learns that far slower than a neck with skip connections (Lin et
al. 2017, "Feature Pyramid Networks"). This neck also does without deformable convolutions.

The shorter one ends at stride 16: it has a quarter of the weights, and sees about 200 pixels around
a place, which suffices where objects are smaller than that.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from centernet_ros.models.resnet import WIDTHS, BasicBlock, stages, stem

CHANNELS = 64


def resnet18_pyramid() -> ResNetPyramid:
    """All four stages of ResNet-18 (11.4 million weights)."""
    return ResNetPyramid(4)


def resnet18_pyramid16() -> ResNetPyramid:
    """ResNet-18 up to stride 16 (2.9 million weights)."""
    return ResNetPyramid(3)


class ResNetPyramid(nn.Module):
    """Image (B, 3, H, W) to features (B, 64, H/4, W/4)."""

    stacks = 1
    out_channels = CHANNELS
    head_channels = CHANNELS

    def __init__(self, depth: int) -> None:
        """Random weights.

        Args:
            depth: stages of the trunk.
        """
        super().__init__()
        self.input_multiple = 2 ** (depth + 1)
        self.stem = stem()
        self.stages = nn.ModuleList(stages(BasicBlock, (2,) * depth))
        self.lateral = nn.ModuleList(nn.Conv2d(width, CHANNELS, 1) for width in WIDTHS[:depth])
        self.smooth = nn.Sequential(
            nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, bias=False),
            nn.BatchNorm2d(CHANNELS),
            nn.ReLU(inplace=True),
        )

    def forward(self, image: Tensor) -> list[Tensor]:
        """One feature map per stack; there is one stack."""
        x = self.stem(image)
        levels = []
        for stage, lateral in zip(self.stages, self.lateral, strict=True):
            x = stage(x)
            levels.append(lateral(x))
        merged = levels.pop()
        while levels:
            merged = levels.pop() + F.interpolate(merged, scale_factor=2.0)
        return [self.smooth(merged)]
