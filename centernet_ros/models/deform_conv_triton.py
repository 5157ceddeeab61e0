"""Deformable convolution on a GPU by fused kernels, forward and backward.

torchvision's operator writes all samples of an image to memory, nine times its input, and computes
in float32. Here each program samples a few pixels and multiplies them with the weights at once, in
the precision of its input with float32 sums.
"""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor
from torchvision.ops import deform_conv2d
from triton import cdiv, next_power_of_2

from centernet_ros.models.deform_conv_kernels import forward_kernel, gradient_kernel

TAPS = 9

GRADIENT_PIXELS, MOST_GRADIENT_CHANNELS = 32, 64
"""Of the tile that a program of the gradients works on."""

PROGRAMS = 264
"""Two for each multiprocessor of a large GPU: with fewer, smaller tiles are better."""

FEWEST_CHANNELS = 16
"""Of input and result: a matrix unit takes no fewer."""

MOST_VALUES = 2**31
"""Of a tensor: places are 32-bit numbers."""


def _pixel_rows(values: Tensor) -> Tensor:
    """(B, C, H, W) to (B, H, W, C), without a copy where it lies so in memory."""
    return values.permute(0, 2, 3, 1).contiguous()


def _lines(values: Tensor) -> tuple[Tensor, int]:
    """(B, C, H, W) to (B, H, W, C) whose pixels lie at equal distances, which is given too."""
    rows = values.permute(0, 2, 3, 1)
    batch, height, width, _ = rows.shape
    line = rows.stride(2)
    strides = (height * width * line, width * line, line, 1)
    sizes = zip(rows.shape, rows.stride(), strides, strict=True)
    if all(size == 1 or found == wanted for size, found, wanted in sizes) and batch:
        return rows, line
    return rows.contiguous(), rows.shape[3]


def tap_rows(weight: Tensor) -> Tensor:
    """Weights (C_out, C_in, 3, 3) in the order of the kernels, (9 * C_in, C_out)."""
    outputs, channels = weight.shape[:2]
    return weight.permute(2, 3, 1, 0).reshape(TAPS * channels, outputs).contiguous()


def _tiles(pixels: int, outputs: int) -> dict[str, int]:
    """Tile of the forward kernel: as large as leaves enough programs for the whole GPU."""
    widest = 128 if outputs > 64 else 64
    for size, wide, warps in ((128, widest, 8), (64, 64, 4), (32, 64, 4), (16, 64, 4)):
        if cdiv(pixels, size) * cdiv(outputs, wide) >= PROGRAMS:
            return {"PIXELS": size, "OUTPUTS": wide, "CHANNELS": 32, "num_warps": warps}
    return {"PIXELS": 16, "OUTPUTS": 32, "CHANNELS": 64, "num_warps": 4}


def forward(
    x: Tensor,
    offset: Tensor,
    mask: Tensor,
    taps: Tensor,
    bias: Tensor,
    *,
    raw_bias: Tensor | None = None,
    relu: bool = False,
) -> Tensor:
    """The sum of torchvision's operator without gradients.

    Args:
        x: (B, C_in, H, W).
        offset: (B, 18, H, W); no copy where it is a part of the channels of a larger map whose
            pixels are rows; so is `mask`.
        mask: (B, 9, H, W).
        taps: `tap_rows` of the weights, in the precision of `x`.
        bias: (C_out,).
        raw_bias: (27,) what is still to be added to offsets and masks, before the masks' sigmoid.
        relu: negative results become zero.
    """
    image = _pixel_rows(x)
    offset, offset_line = _lines(offset)
    mask, mask_line = _lines(mask)
    batch, height, width, channels = image.shape
    outputs, pixels = taps.shape[1], batch * height * width
    result = image.new_empty(batch, height, width, outputs)
    sizes = (pixels, height, width, channels, outputs, offset_line, mask_line)
    tiles = _tiles(pixels, outputs)
    grid = (cdiv(pixels, tiles["PIXELS"]), cdiv(outputs, tiles["OUTPUTS"]))
    with torch.cuda.device_of(image):  # type: ignore[no-untyped-call]
        forward_kernel[grid](
            image,
            offset,
            mask,
            bias if raw_bias is None else raw_bias,
            taps,
            bias,
            result,
            *sizes,
            raw_bias is not None,
            relu,
            **tiles,
        )
    return result.permute(0, 3, 1, 2)


class _DeformConv(torch.autograd.Function):
    """The kernels with their gradients."""

    @staticmethod
    def forward(  # noqa: PLR0917
        ctx: Any, x: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, bias: Tensor
    ) -> Tensor:
        taps = tap_rows(weight.to(x.dtype))
        ctx.save_for_backward(x, offset, mask, taps)
        ctx.kinds = weight.dtype, bias.dtype
        return forward(x, offset, mask, taps, bias)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        x, offset, mask, taps = ctx.saved_tensors
        image, gradient = _pixel_rows(x), _pixel_rows(gradient)
        (offset, offset_line), (mask, mask_line) = _lines(offset), _lines(mask)
        batch, height, width, channels = image.shape
        outputs, pixels = taps.shape[1], batch * height * width
        flat = gradient.reshape(pixels, outputs)
        # The gradients of all samples; the kernel puts the samples into their places.
        columns = flat @ taps.t()
        # A sum of many programs: in half precision each addition would round.
        by_image = torch.zeros_like(image, dtype=torch.float32)
        by_offset = offset.new_empty(batch, height, width, 2 * TAPS)
        by_mask = mask.new_empty(batch, height, width, TAPS)
        wide = min(MOST_GRADIENT_CHANNELS, next_power_of_2(channels))
        sizes = (pixels, height, width, channels, offset_line, mask_line, GRADIENT_PIXELS, wide)
        grid = (cdiv(pixels, GRADIENT_PIXELS), TAPS)
        with torch.cuda.device_of(image):  # type: ignore[no-untyped-call]
            gradient_kernel[grid](
                image, offset, mask, columns, by_image, by_offset, by_mask, *sizes
            )
        weight_type, bias_type = ctx.kinds
        by_weight = (columns.t() @ flat).reshape(3, 3, channels, outputs).permute(3, 2, 0, 1)
        return (
            by_image.to(image.dtype).permute(0, 3, 1, 2),
            by_offset.permute(0, 3, 1, 2),
            by_mask.permute(0, 3, 1, 2),
            by_weight.to(weight_type),
            flat.sum(dim=0, dtype=torch.float32).to(bias_type),
        )


def deform_conv_by_triton(
    x: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, bias: Tensor
) -> Tensor:
    """The sum of torchvision's operator, in the precision of `x`, with gradients of everything.

    Args and result are those of `deform_conv.deform_conv_by_sampling`, on a GPU; weight and bias
    may be of another precision than `x`.
    """
    result: Tensor = _DeformConv.apply(x, offset, mask, weight, bias)  # type: ignore[no-untyped-call]
    return result


def fits(x: Tensor, weight: Tensor) -> bool:
    """Whether the kernels can run inputs and weights of these shapes and precisions."""
    outputs, channels = weight.shape[:2]
    largest = max(x.numel() // channels * outputs, x.numel(), x.numel() // channels * 32)
    return (
        x.dtype in (torch.float16, torch.bfloat16, torch.float32)
        and min(channels, outputs) >= FEWEST_CHANNELS
        and largest < MOST_VALUES
    )


AGREEMENT = {torch.float32: 1e-4, torch.float16: 5e-3, torch.bfloat16: 4e-2}
"""Greatest difference that is rounding, as a share of the largest value."""


def works(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether the kernels run on a device, and answer what torchvision's operator answers.

    What does not compile or differs is warned of.
    """
    try:
        with torch.inference_mode(False), torch.enable_grad():
            worst = _difference(device, dtype)
    except Exception as error:  # compilers and drivers raise whatever they like
        reason = (str(error).splitlines() or [type(error).__name__])[0]
    else:
        if worst <= AGREEMENT[dtype]:
            return True
        reason = f"it differs from torchvision's by {worst:.1e} of the largest value"
    warnings.warn(
        f"fused deformable convolution in {dtype} cannot be used on {device} ({reason}); "
        "torchvision's operator is used, which is slower",
        stacklevel=2,
    )
    return False


def _difference(device: torch.device, dtype: torch.dtype) -> float:
    """Greatest difference of result and gradients from torchvision's, as a share of the largest."""
    noise = torch.Generator().manual_seed(0)
    shapes = [(2, 32, 6, 7), (2, 18, 6, 7), (2, 9, 6, 7), (48, 32, 3, 3), (48,)]
    values = [torch.randn(shape, generator=noise).to(device, dtype) for shape in shapes]
    own = [value.clone().requires_grad_() for value in values]
    x, offset, mask, weight, bias = theirs = [value.float().requires_grad_() for value in values]
    result = deform_conv_by_triton(*own)
    expected = deform_conv2d(x, offset, weight, bias, padding=1, mask=mask)
    gradient = torch.randn(expected.shape, generator=noise).to(device, dtype)
    gradients = torch.autograd.grad(result, own, gradient)
    wanted = torch.autograd.grad(expected, theirs, gradient.float())
    pairs = zip((result, *gradients), (expected, *wanted), strict=True)
    return max(((a.float() - b).abs().max() / b.abs().max()).item() for a, b in pairs)
