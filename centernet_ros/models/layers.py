"""Layers that several backbones share."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def conv_norm(
    in_channels: int, out_channels: int, kernel: int, stride: int = 1, *, relu: bool = True
) -> nn.Sequential:
    """Convolution that keeps the size (but for its stride), batch normalisation, perhaps ReLU."""
    convolution = nn.Conv2d(
        in_channels, out_channels, kernel, stride, padding=kernel // 2, bias=False
    )
    layers = [convolution, nn.BatchNorm2d(out_channels)]
    return nn.Sequential(*layers, nn.ReLU(inplace=True)) if relu else nn.Sequential(*layers)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut (He et al. 2016).

    (B, C_in, H, W) to (B, C_out, H/stride, W/stride). Backbones keep their shortcuts under names of
    their own, as published weights do.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)

    def beside(self, shortcut: Tensor, x: Tensor) -> Tensor:
        """The block's output; the shortcut has the shape of it."""
        y = self.relu(self.bn1(self.conv1(x)))
        return self.relu(self.bn2(self.conv2(y)) + shortcut)


def projection(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    """A shortcut: as it is where size and channels stay, else by a 1x1 convolution."""
    if stride == 1 and in_channels == out_channels:
        return nn.Identity()
    return conv_norm(in_channels, out_channels, 1, stride, relu=False)


def bilinear_kernel(size: int) -> Tensor:
    """(size, size) kernel with which a transposed convolution of stride size/2 interpolates."""
    factor = (size + 1) // 2
    centre = (2 * factor - 1 - factor % 2) / (2 * factor)
    line = 1 - (torch.arange(size) / factor - centre).abs()
    return line.outer(line)
