"""Up-sampling of each channel by itself on a GPU, in Triton, with what is added to its result.

cuDNN computes such a transposed convolution as a gradient, many times slower than its reading and
writing takes.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

TILE = 1024


@triton.jit
def up_sample_kernel(
    image, weight, addend, result,
    values, height, width, channels,
    FACTOR: tl.constexpr, ADDS: tl.constexpr, TILE: tl.constexpr,
):  # fmt: skip
    """TILE values of a result (B, FACTOR * height, FACTOR * width, channels)."""
    place = tl.program_id(0) * TILE + tl.arange(0, TILE)
    inside = place < values
    channel = place % channels
    pixel = place // channels
    x = pixel % (width * FACTOR) + FACTOR // 2
    y = pixel // (width * FACTOR) % (height * FACTOR) + FACTOR // 2
    first = pixel // (width * FACTOR) // (height * FACTOR) * height
    total = tl.zeros((TILE,), dtype=tl.float32)
    # A kernel of twice the factor reaches this far: two rows and two columns.
    for back_y in tl.static_range(2):
        for back_x in tl.static_range(2):
            row, column = y // FACTOR - back_y, x // FACTOR - back_x
            exists = inside & (row >= 0) & (row < height) & (column >= 0) & (column < width)
            cell = (first + row) * width + column
            tap = (y % FACTOR + back_y * FACTOR) * 2 * FACTOR + x % FACTOR + back_x * FACTOR
            value = tl.load(image + cell * channels + channel, mask=exists, other=0.0)
            share = tl.load(weight + tap * channels + channel, mask=exists, other=0.0)
            total += value.to(tl.float32) * share.to(tl.float32)
    if ADDS:
        total += tl.load(addend + place, mask=inside, other=0.0).to(tl.float32)
    tl.store(result + place, total.to(result.dtype.element_ty), mask=inside)


def up_sample(x: Tensor, weight: Tensor, factor: int, addend: Tensor | None = None) -> Tensor:
    """A transposed convolution of each channel by itself, padded so that sizes grow by the factor.

    Args:
        x: (B, C, H, W).
        weight: (2 * factor * 2 * factor, C), the kernel's rows one after another.
        factor: an even number.
        addend: (B, C, factor * H, factor * W) that is added to the result.

    Returns:
        (B, C, factor * H, factor * W).
    """
    image = x.permute(0, 2, 3, 1).contiguous()
    batch, height, width, channels = image.shape
    result = image.new_empty(batch, factor * height, factor * width, channels)
    added = result if addend is None else addend.permute(0, 2, 3, 1).contiguous()
    values = result.numel()
    sizes = (values, height, width, channels, factor, addend is not None, TILE)
    with torch.cuda.device_of(image):  # type: ignore[no-untyped-call]
        up_sample_kernel[(triton.cdiv(values, TILE),)](image, weight, added, result, *sizes)
    return result.permute(0, 3, 1, 2)
