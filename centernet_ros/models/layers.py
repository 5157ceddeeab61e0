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


def bilinear_kernel(size: int) -> Tensor:
    """(size, size) kernel with which a transposed convolution of stride size/2 interpolates."""
    factor = (size + 1) // 2
    centre = (2 * factor - 1 - factor % 2) / (2 * factor)
    line = 1 - (torch.arange(size) / factor - centre).abs()
    return line.outer(line)
