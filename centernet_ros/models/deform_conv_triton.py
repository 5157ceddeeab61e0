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
from triton import cdiv

from centernet_ros.models.deform_conv_kernels import (
    forward_kernel,
    input_gradient_kernel,
    weight_gradient_kernel,
)

TAPS = 9
PIXELS, CHANNELS, OUTPUTS = 64, 32, 64
"""Of the tile that a program works on; outputs are the channels of the result."""

SPLITS = 16
"""Programs that share the pixels of a part of the weights' gradient."""

FEWEST_CHANNELS = 16
"""Of input and result: a matrix unit takes no fewer."""

MOST_VALUES = 2**31
"""Of a tensor: places are 32-bit numbers."""


def _pixel_rows(values: Tensor) -> Tensor:
    """(B, C, H, W) to (B, H, W, C), without a copy where it lies so in memory."""
    return values.permute(0, 2, 3, 1).contiguous()


class _DeformConv(torch.autograd.Function):
    """The kernels with their gradients."""

    @staticmethod
    def forward(  # noqa: PLR0917
        ctx: Any, x: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, bias: Tensor
    ) -> Tensor:
        image, offset, mask = (_pixel_rows(values) for values in (x, offset, mask))
        batch, height, width, channels = image.shape
        taps = weight.permute(2, 3, 1, 0).reshape(TAPS, channels, -1).to(image.dtype).contiguous()
        outputs, pixels = taps.shape[2], batch * height * width
        result = image.new_empty(batch, height, width, outputs)
        grid = (cdiv(pixels, PIXELS), cdiv(outputs, OUTPUTS))
        sizes = (pixels, height, width, channels, outputs, PIXELS, CHANNELS, OUTPUTS)
        with torch.cuda.device_of(image):  # type: ignore[no-untyped-call]
            forward_kernel[grid](image, offset, mask, taps, bias, result, *sizes)
        ctx.save_for_backward(image, offset, mask, taps)
        ctx.kinds = weight.dtype, bias.dtype
        return result.permute(0, 3, 1, 2)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        image, offset, mask, taps = ctx.saved_tensors
        gradient = _pixel_rows(gradient)
        batch, height, width, channels = image.shape
        outputs, pixels = taps.shape[2], batch * height * width
        sizes = (pixels, height, width, channels, outputs, PIXELS, CHANNELS, OUTPUTS)
        # Sums of many programs: in half precision each addition would round.
        by_image = torch.zeros_like(image, dtype=torch.float32)
        by_offset, by_mask = torch.empty_like(offset), torch.empty_like(mask)
        by_taps = torch.zeros_like(taps, dtype=torch.float32)
        grid = (cdiv(pixels, PIXELS), TAPS)
        tiles = TAPS * cdiv(channels, CHANNELS), cdiv(outputs, OUTPUTS), SPLITS
        with torch.cuda.device_of(image):  # type: ignore[no-untyped-call]
            input_gradient_kernel[grid](
                image, offset, mask, taps, gradient, by_image, by_offset, by_mask, *sizes
            )
            weight_gradient_kernel[tiles](image, offset, mask, gradient, by_taps, *sizes, SPLITS)
        weight_type, bias_type = ctx.kinds
        by_weight = by_taps.reshape(3, 3, channels, outputs).permute(3, 2, 0, 1)
        return (
            by_image.to(image.dtype).permute(0, 3, 1, 2),
            by_offset.permute(0, 3, 1, 2),
            by_mask.permute(0, 3, 1, 2),
            by_weight.to(weight_type),
            gradient.sum(dim=(0, 1, 2), dtype=torch.float32).to(bias_type),
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
    largest = max(x.numel() // channels * outputs, x.numel(), x.numel() // channels * 2 * TAPS)
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
