"""Hourglass-104, two stacked hourglasses: the paper's figure 6a (from CornerNet, Law & Deng 2018).

An hourglass halves the resolution five times and doubles it again, with a shortcut at every
resolution. The second one starts from the input and the output of the first together. In training
every stack has heads and a loss of its own; results come from the last.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from centernet_ros.models.layers import ResidualBlock, conv_norm, projection

CHANNELS = (256, 256, 384, 384, 384, 512)
"""Channels at strides 4, 8, 16, 32, 64 and 128."""

BLOCKS = (2, 2, 2, 2, 2, 4)
"""Residual blocks in each part of each resolution."""


class Hourglass104(nn.Module):
    """Image (B, 3, H, W) to features (B, 256, H/4, W/4) of two stacks."""

    stacks = 2
    out_channels = CHANNELS[0]
    head_channels = 256
    input_multiple = 128

    def __init__(self) -> None:
        super().__init__()
        width = CHANNELS[0]
        self.stem = nn.Sequential(conv_norm(3, 128, 7, stride=2), Residual(128, width, stride=2))
        self.hourglasses = nn.ModuleList(Hourglass() for _ in range(self.stacks))
        self.outputs = nn.ModuleList(conv_norm(width, width, 3) for _ in range(self.stacks))
        self.links = nn.ModuleList(Link(width) for _ in range(self.stacks - 1))

    def forward(self, image: Tensor) -> list[Tensor]:
        """One feature map per stack."""
        x = self.stem(image)
        features = []
        for i in range(self.stacks):
            features.append(self.outputs[i](self.hourglasses[i](x)))
            if i < self.stacks - 1:
                x = self.links[i](x, features[-1])
        return features


class Residual(ResidualBlock):
    """A residual block whose shortcut the authors call `skip`."""

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__(in_channels, out_channels, stride)
        self.skip = projection(in_channels, out_channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        return self.beside(self.skip(x), x)


class Hourglass(nn.Module):
    """(B, CHANNELS[level], H, W) to the same shape; within itself the next coarser one."""

    def __init__(self, level: int = 0) -> None:
        super().__init__()
        width, inner = CHANNELS[level : level + 2]
        blocks = BLOCKS[level]
        self.up1 = _residuals(width, width, blocks)
        # A strided block instead of pooling.
        self.low1 = nn.Sequential(
            Residual(width, inner, stride=2), *_residuals(inner, inner, blocks - 1)
        )
        deepest = level + 2 == len(CHANNELS)
        self.low2 = _residuals(inner, inner, BLOCKS[-1]) if deepest else Hourglass(level + 1)
        self.low3 = _residuals(inner, width, blocks)

    def forward(self, x: Tensor) -> Tensor:
        low = self.low3(self.low2(self.low1(x)))
        return self.up1(x) + F.interpolate(low, scale_factor=2, mode="nearest")


class Link(nn.Module):
    """Input and output of one stack to the input of the next, all (B, channels, H, W)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.from_input = conv_norm(channels, channels, 1, relu=False)
        self.from_output = conv_norm(channels, channels, 1, relu=False)
        self.relu = nn.ReLU(inplace=True)
        self.residual = Residual(channels, channels)

    def forward(self, x: Tensor, output: Tensor) -> Tensor:
        return self.residual(self.relu(self.from_input(x) + self.from_output(output)))


def _residuals(in_channels: int, out_channels: int, count: int) -> nn.Sequential:
    """`count` blocks, the last of which changes the width."""
    same = (Residual(in_channels, in_channels) for _ in range(count - 1))
    return nn.Sequential(*same, Residual(in_channels, out_channels))
