"""ResNet trunks with the authors' deformable up-sampling: the paper's figure 6b.

The trunks (He et al. 2016) are torchvision's, weight for weight. They stand here because importing
torchvision takes seconds, and a CPU needs nothing else of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn

from centernet_ros.models.deform_conv import DeformConv
from centernet_ros.models.layers import ResidualBlock, bilinear_kernel, projection

WIDTHS = (64, 128, 256, 512)
"""Channels within the trunk's four stages, which lie at strides 4, 8, 16 and 32."""

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

    def __init__(self, block: type[BasicBlock | Bottleneck], counts: Sequence[int]) -> None:
        """Random weights.

        Args:
            block: what the stages are made of.
            counts: blocks of each stage.
        """
        super().__init__()
        self.stem = stem()
        self.stages = nn.Sequential(*stages(block, counts))
        channels = (WIDTHS[-1] * block.expansion, *UP_CHANNELS)
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
    return ResNet(BasicBlock, (2, 2, 2, 2))


def resnet101() -> ResNet:
    """ResNet-101 with random weights."""
    return ResNet(Bottleneck, (3, 4, 23, 3))


class BasicBlock(ResidualBlock):
    """A residual block whose shortcut torchvision calls `downsample`."""

    expansion = 1

    def __init__(self, in_channels: int, width: int, stride: int) -> None:
        super().__init__(in_channels, width, stride)
        self.downsample = projection(in_channels, width, stride)

    def forward(self, x: Tensor) -> Tensor:
        return self.beside(self.downsample(x), x)


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions beside a shortcut.

    (B, C, H, W) to (B, 4 * width, H/stride, W/stride).

    The stride is that of the 3x3 convolution, as in torchvision; the first authors' was before it.
    """

    expansion = 4

    def __init__(self, in_channels: int, width: int, stride: int) -> None:
        super().__init__()
        out_channels = self.expansion * width
        self.conv1 = nn.Conv2d(in_channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, out_channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = projection(in_channels, out_channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        return self.relu(self.bn3(self.conv3(y)) + self.downsample(x))


def stem() -> nn.Sequential:
    """Image (B, 3, H, W) to (B, 64, H/4, W/4)."""
    return nn.Sequential(
        _initialised(nn.Conv2d(3, WIDTHS[0], 7, stride=2, padding=3, bias=False)),
        nn.BatchNorm2d(WIDTHS[0]),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(3, stride=2, padding=1),
    )


def stages(block: type[BasicBlock | Bottleneck], counts: Sequence[int]) -> list[nn.Sequential]:
    """What follows the stem; each stage but the first begins with a stride of 2.

    Args:
        block: what they are made of.
        counts: blocks of each stage, of as many stages as are wanted.
    """
    layers: list[nn.Sequential] = []
    channels = WIDTHS[0]
    for width, count in zip(WIDTHS, counts, strict=False):
        blocks = []
        for i in range(count):
            blocks.append(block(channels, width, 2 if layers and i == 0 else 1))
            channels = width * block.expansion
        layers.append(_initialised(nn.Sequential(*blocks)))
    return layers


Layer = TypeVar("Layer", bound=nn.Module)


def _initialised(layer: Layer) -> Layer:
    """He et al. 2015, by the number of outputs."""
    for module in layer.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return layer


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
