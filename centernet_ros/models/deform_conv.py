"""Modulated deformable convolution (DCNv2), as the authors' ResNets and DLA have it."""

from __future__ import annotations

import functools
import math
from types import ModuleType

import torch
import torch.nn.functional as F
from torch import Tensor, nn

KERNEL = 3
TAPS = KERNEL * KERNEL
FARTHEST = 32000
"""Cells; an offset beyond it points outside of every image."""


class DeformConv(nn.Module):
    """3x3 deformable convolution whose offsets and masks a plain convolution reads from the input.

    Of the 27 channels of `conv_offset_mask`, 0-17 are (dy, dx) in cells for each tap in row-major
    order, 18-26 the logits of the taps' masks.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels, KERNEL, KERNEL))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.conv_offset_mask = nn.Conv2d(in_channels, 3 * TAPS, KERNEL, padding=1)
        bound = 1 / math.sqrt(in_channels * TAPS)
        nn.init.uniform_(self.weight, -bound, bound)
        # Zero offsets and masks of one half: training starts from half a plain convolution.
        nn.init.zeros_(self.conv_offset_mask.weight)
        nn.init.zeros_(self.conv_offset_mask.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """(B, C_in, H, W) to (B, C_out, H, W)."""
        offset, mask = self.conv_offset_mask(x).split([2 * TAPS, TAPS], dim=1)
        kind, dtype = x.device.type, self.weight.dtype
        half = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else dtype
        with torch.autocast(kind, enabled=False):
            # In float32 they are faster too, by themselves; no training was compared with them yet.
            if kind == "cuda" and half in (torch.float16, torch.bfloat16):
                kernels = fused_kernels(x.device, half)
                if kernels is not None and kernels.fits(x, self.weight):
                    x, mask = x.to(half), mask.sigmoid()
                    fused: Tensor = kernels.deform_conv_by_triton(
                        x, offset, mask, self.weight, self.bias
                    )
                    return fused
            # Positions lose too much in half precision (torchvision does the same under autocast).
            full = torch.promote_types(dtype, torch.float32)
            x, offset, mask = x.to(full), offset.to(full), mask.to(full).sigmoid()
            if full == dtype:
                return _deform_conv(x, offset, mask, self.weight, self.bias)
            return _deform_conv(x, offset, mask, self.weight.to(full), self.bias.to(full)).to(dtype)


def _deform_conv(x: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """The fastest way for this device and purpose; see `deform_conv_by_sampling`."""
    # ONNX knows the operator itself (opset 19).
    if x.device.type != "cpu" or torch.onnx.is_in_onnx_export():
        from torchvision.ops import deform_conv2d  # takes seconds to import

        out: Tensor = deform_conv2d(x, offset, weight, bias, padding=1, mask=mask)
        return out
    if torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad):
        return deform_conv_by_sampling(x, offset, mask, weight, bias)
    return deform_conv_by_lookup(x, offset, mask, weight, bias)


@functools.cache
def fused_kernels(device: torch.device, dtype: torch.dtype) -> ModuleType | None:
    """The module of the fused kernels; None where they do not work, which is tried out once."""
    try:
        from centernet_ros.models import deform_conv_triton
    except ImportError:
        return None
    return deform_conv_triton if deform_conv_triton.works(device, dtype) else None


def deform_conv_by_sampling(
    x: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, bias: Tensor
) -> Tensor:
    """The same sum as torchvision's operator, by one grid sampling and one matrix product.

    torchvision's operator is a serial loop on a CPU; this one is vectorised and runs on all
    threads, 1.5-4 times faster forward and 6-10 times forward and backward.

    Args:
        x: (B, C_in, H, W) input.
        offset: (B, 18, H, W) dy, dx of each tap in cells.
        mask: (B, 9, H, W) factor of each tap.
        weight: (C_out, C_in, 3, 3).
        bias: (C_out,).

    Returns:
        (B, C_out, H, W).
    """
    batch, channels, height, width = x.shape
    dy, dx = offset.reshape(batch, TAPS, 2, height, width).unbind(2)
    tap = torch.arange(TAPS, device=x.device).view(TAPS, 1, 1)
    y = dy + (tap // KERNEL - 1) + torch.arange(height, device=x.device).view(height, 1)
    x_ = dx + (tap % KERNEL - 1) + torch.arange(width, device=x.device)
    # Cell centres in [-1, 1]; samples beyond the border fade to zero as in the operator.
    grid = torch.stack([(2 * x_ + 1) / width - 1, (2 * y + 1) / height - 1], dim=-1)
    grid = grid.reshape(batch, TAPS * height, width, 2)
    columns = F.grid_sample(x, grid.to(x.dtype), padding_mode="zeros", align_corners=False)
    columns = columns.reshape(batch, channels, TAPS, height * width)
    columns = columns * mask.reshape(batch, 1, TAPS, height * width)
    out = weight.flatten(1) @ columns.reshape(batch, channels * TAPS, height * width)
    return out.reshape(batch, -1, height, width) + bias.view(-1, 1, 1)


def deform_conv_by_lookup(
    x: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, bias: Tensor
) -> Tensor:
    """The same sum without gradients, by one table look-up and one matrix product.

    Pixels are the rows of a table, so that a sample is the weighted sum of four rows: what
    `embedding_bag` is made for. Reading whole rows is about twice as fast as `grid_sample`, which
    collects the channels of a sample from all over the memory. Offsets are split into whole cells
    and a rest before anything is added to them, so that half precision costs no position.

    Args and result are those of `deform_conv_by_sampling`.
    """
    batch, channels, height, width = x.shape
    # Two rows and columns of zeros on each side: whatever lies outside is looked up there.
    table = F.pad(x, (2, 2, 2, 2)).permute(0, 2, 3, 1)
    line = width + 4
    offset = offset.permute(0, 2, 3, 1).reshape(batch, height, width, TAPS, 2)
    whole = offset.floor()
    rest_y, rest_x = (offset - whole).unsqueeze(-1).unbind(-2)
    dy, dx = whole.clamp(-FARTHEST, FARTHEST).int().unbind(-1)
    tap = torch.arange(TAPS, dtype=torch.int32, device=x.device)
    rows = torch.arange(height, dtype=torch.int32, device=x.device).view(-1, 1, 1)
    columns = torch.arange(width, dtype=torch.int32, device=x.device).view(-1, 1)
    y = (dy + (tap // KERNEL + 1) + rows).clamp(0, height + 2)
    left = (dx + (tap % KERNEL + 1) + columns).clamp(0, width + 2)
    image = torch.arange(batch, dtype=torch.int32, device=x.device).view(-1, 1, 1, 1)
    first = (image * (height + 4) + y) * line + left
    # The four neighbours of a sample: above left, above right, below left, below right.
    corner = torch.arange(4, dtype=torch.int32, device=x.device)
    below, right = corner // 2, corner % 2
    neighbours = first.unsqueeze(-1) + (below * line + right)
    shares = (rest_y - (1 - below)).abs() * (rest_x - (1 - right)).abs()
    shares = shares * mask.permute(0, 2, 3, 1).unsqueeze(-1)
    samples = F.embedding_bag(
        neighbours.reshape(-1, 4),
        table.reshape(-1, channels),
        mode="sum",
        per_sample_weights=shares.reshape(-1, 4),
    )
    out = samples.reshape(-1, TAPS * channels) @ weight.permute(2, 3, 1, 0).reshape(
        TAPS * channels, -1
    )
    return (out + bias).reshape(batch, height, width, -1).permute(0, 3, 1, 2)
