"""ResNet trunks (torchvision's) with the authors' deformable up-sampling: the paper's figure 6b."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torchvision.models import resnet

from centernet_ros.models.deform_conv import DeformConv
from centernet_ros.models.layers import bilinear_kernel

UP_CHANNELS = (256, 128, 64)
"""Channels after each doubling of the resolution, from stride 32 to stride 4."""


class ResNet(nn.Module):
    """Image (B, 3, H, W) to features (B, 64, H/4, W/4).

    Each doubling is a 3x3 deformable convolution that reduces the channels, then a 4x4 transposed
    convolution.
    """

    stacks = 1
    out_channels = UP_CHANNELS[-1]
    # NOTE: The paper says 256 for every backbone; the published weights have this.
    head_channels = 64
    input_multiple = 32

    def __init__(self, trunk: resnet.ResNet) -> None:
        super().__init__()
        self.stem = nn.Sequential(trunk.conv1, trunk.bn1, trunk.relu, trunk.maxpool)
        self.stages = nn.Sequential(trunk.layer1, trunk.layer2, trunk.layer3, trunk.layer4)
        channels = (trunk.inplanes, *UP_CHANNELS)
        self.up = nn.Sequential(
            *(
                _up_sample(before, after)
                for before, after in zip(channels, UP_CHANNELS, strict=False)
            )
        )

    def forward(self, image: Tensor) -> list[Tensor]:
        """One feature map per stack; there is one stack."""
        return [self.up(self.stages(self.stem(image)))]


def resnet18() -> ResNet:
    """ResNet-18 with random weights."""
    return ResNet(resnet.resnet18(weights=None))


def resnet101() -> ResNet:
    """ResNet-101 with random weights."""
    return ResNet(resnet.resnet101(weights=None))


def _up_sample(in_channels: int, out_channels: int) -> nn.Sequential:
    transposed = nn.ConvTranspose2d(out_channels, out_channels, 4, stride=2, padding=1, bias=False)
    # The authors give only the kernels towards output channel 0 the bilinear shape.
    with torch.no_grad():
        transposed.weight[:, 0] = bilinear_kernel(4)
    return nn.Sequential(
        DeformConv(in_channels, out_channels),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
        transposed,
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )
