"""DLA-34 with deformable up-sampling: the paper's figure 6d ("modified DLA").

The trunk is deep layer aggregation (Yu et al. 2018): pairs of residual blocks whose outputs a 1x1
convolution, the root, joins with those of earlier pairs. Six levels at strides 1, 2, 4, 8, 16, 32.
Above it, levels 2 to 5 are merged pairwise from the coarsest to the finest, every convolution being
deformable; the results at strides 4, 8 and 16 are merged once more into the one that heads see.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from centernet_ros.models.deform_conv import DeformConv
from centernet_ros.models.layers import ResidualBlock, bilinear_kernel, conv_norm, projection

CHANNELS = (16, 32, 64, 128, 256, 512)
"""Channels of the trunk's levels at strides 1, 2, 4, 8, 16 and 32."""


class DLA34(nn.Module):
    """Image (B, 3, H, W) to features (B, 64, H/4, W/4)."""

    stacks = 1
    out_channels = 64
    head_channels = 256
    input_multiple = 32

    def __init__(self) -> None:
        super().__init__()
        self.trunk = Trunk()
        # Each merges its level with all coarser ones, which the step before has left at the
        # width and the stride of the next level.
        self.up = nn.ModuleList(
            [
                Merge(256, [512], [2]),
                Merge(128, [256, 256], [2, 2]),
                Merge(64, [128, 128, 128], [2, 2, 2]),
            ]
        )
        self.out = Merge(64, [128, 256], [2, 4])

    def forward(self, image: Tensor) -> list[Tensor]:
        """One feature map per stack; there is one stack."""
        levels = self.trunk(image)[2:]
        merged: list[Tensor] = []
        for step, merge in enumerate(self.up):
            finest = len(levels) - 2 - step
            levels[finest:] = merge(levels[finest:])
            merged.insert(0, levels[-1])
        return [self.out(merged)[-1]]


class Trunk(nn.Module):
    """Image (B, 3, H, W) to one map per level, (B, CHANNELS[i], H / 2^i, W / 2^i)."""

    def __init__(self) -> None:
        super().__init__()
        self.base_layer = conv_norm(3, CHANNELS[0], 7)
        self.level0 = conv_norm(CHANNELS[0], CHANNELS[0], 3)
        self.level1 = conv_norm(CHANNELS[0], CHANNELS[1], 3, stride=2)
        self.level2 = Tree(CHANNELS[1], CHANNELS[2], stride=2)
        self.level3 = DoubleTree(CHANNELS[2], CHANNELS[3])
        self.level4 = DoubleTree(CHANNELS[3], CHANNELS[4])
        self.level5 = Tree(CHANNELS[4], CHANNELS[5], stride=2, joins_input=True)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Maps of levels 0 to 5, finest first."""
        x = self.base_layer(image)
        levels = []
        for i in range(len(CHANNELS)):
            x = getattr(self, f"level{i}")(x)
            levels.append(x)
        return levels


class Block(ResidualBlock):
    """A residual block that is handed its shortcut."""

    def forward(self, x: Tensor, shortcut: Tensor) -> Tensor:
        """The shortcut has the shape of the output."""
        return self.beside(shortcut, x)


class Root(nn.Module):
    """1x1 convolution over maps of one size, side by side: [(B, C_i, H, W)] to (B, C, H, W)."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 1, bias=False)
        self.bn = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, maps: list[Tensor]) -> Tensor:
        return self.relu(self.bn(self.conv(torch.cat(maps, 1))))


class Tree(nn.Module):
    """Two blocks and the root that joins them with earlier maps.

    (B, C_in, H, W) to (B, C_out, H/stride, W/stride).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int = 1,
        *,
        joins_input: bool = False,
        extra_channels: int = 0,
    ) -> None:
        """Build the blocks.

        Args:
            in_channels: channels of the input.
            out_channels: channels of both blocks and of the output.
            stride: of the first block; 1 or 2.
            joins_input: whether the root also sees the (pooled) input.
            extra_channels: channels of the earlier maps that the root sees as well.
        """
        super().__init__()
        self.joins_input = joins_input
        self.pool = nn.MaxPool2d(stride) if stride > 1 else nn.Identity()
        self.project = projection(in_channels, out_channels, stride=1)
        self.tree1 = Block(in_channels, out_channels, stride)
        self.tree2 = Block(out_channels, out_channels, 1)
        extra_channels += in_channels if joins_input else 0
        self.root = Root(2 * out_channels + extra_channels, out_channels)

    def forward(self, x: Tensor, extras: Sequence[Tensor] = ()) -> Tensor:
        """`extras`: earlier maps of the output's size."""
        bottom = self.pool(x)
        first = self.tree1(x, self.project(bottom))
        second = self.tree2(first, first)
        return self.root([second, first, *([bottom] if self.joins_input else []), *extras])


class DoubleTree(nn.Module):
    """Two trees, the root of the second seeing also the first and the pooled input.

    (B, C_in, H, W) to (B, C_out, H/2, W/2).
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.pool = nn.MaxPool2d(2)
        self.tree1 = Tree(in_channels, out_channels, stride=2)
        self.tree2 = Tree(out_channels, out_channels, extra_channels=in_channels + out_channels)
        # NOTE: The authors compute this projection and throw it away: the first tree has its own.
        # Published weights contain it, so it stays; it never gets a gradient, and says so for the
        # sake of distributed training, which waits for the gradient of every other parameter.
        self.project = conv_norm(in_channels, out_channels, 1, relu=False).requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        bottom = self.pool(x)
        if self.training:
            self.project(bottom)  # for its running statistics, which weights files hold
        first = self.tree1(x)
        return self.tree2(first, [bottom, first])


class Merge(nn.Module):
    """Maps of several strides are brought to the first one's, each added to the one before it.

    From `[(B, channels, H, W), (B, in_channels[i], H / factors[i], W / factors[i]), ...]` to as
    many maps (B, channels, H, W); the last has seen all.
    """

    def __init__(self, channels: int, in_channels: Sequence[int], factors: Sequence[int]) -> None:
        super().__init__()
        self.project = nn.ModuleList(_deformable(before, channels) for before in in_channels)
        self.up = nn.ModuleList(_up_sample(channels, factor) for factor in factors)
        self.node = nn.ModuleList(_deformable(channels, channels) for _ in factors)

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        out = [maps[0]]
        layers = zip(self.project, self.up, self.node, maps[1:], strict=True)
        for project, up, node, coarse in layers:
            # Summed, where the original DLA puts the two side by side.
            out.append(node(up(project(coarse)) + out[-1]))
        return out


def _deformable(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(
        DeformConv(in_channels, out_channels),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )


def _up_sample(channels: int, factor: int) -> nn.ConvTranspose2d:
    """Each channel by itself (B, C, H, W) to (B, C, factor * H, factor * W), first bilinearly."""
    layer = nn.ConvTranspose2d(
        channels,
        channels,
        2 * factor,
        stride=factor,
        padding=factor // 2,
        groups=channels,
        bias=False,
    )
    with torch.no_grad():
        layer.weight[:] = bilinear_kernel(2 * factor)
    return layer
