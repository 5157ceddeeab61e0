"""The deformable convolution by itself, forward and backward, against torchvision's in float32."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from centernet_ros.backends.packages import import_torchvision
from centernet_ros.benchmark.timing import Times, measure
from centernet_ros.models.deform_conv import deform_conv_by_sampling, fused_kernels

OPERATOR = "torchvision float32"

DLA_SHAPES = ((64, 64, 128), (128, 64, 64), (128, 128, 64), (256, 128, 32), (512, 256, 16))
"""Channels of input and result, and cells a side, in `dla34` with an input of 512x512."""

Convolution = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class KernelTimes:
    """Forward and backward of one shape.

    Attributes:
        channels: of input and result.
        side: cells of the square map.
        times: by implementation and precision.
    """

    channels: tuple[int, int]
    side: int
    times: dict[str, Times]


def time_kernels(
    device: torch.device, batch: int, *, repetitions: int, height: int = 512
) -> list[KernelTimes]:
    """Times at the shapes of `dla34` for an input of this height and width."""
    figures = []
    for channels, outputs, full_side in DLA_SHAPES:
        side = max(1, full_side * height // 512)
        runs = {
            label: _run(convolution, device, dtype, (batch, channels, outputs, side))
            for label, (convolution, dtype) in _implementations(device).items()
        }
        figures.append(KernelTimes((channels, outputs), side, measure(runs, repetitions)))
    return figures


def _implementations(device: torch.device) -> dict[str, tuple[Convolution, torch.dtype]]:
    """The operator of torchvision, and what replaces it on a device."""
    found: dict[str, tuple[Convolution, torch.dtype]] = {OPERATOR: (_operator, torch.float32)}
    if device.type == "cpu":
        found["sampling float32"] = (deform_conv_by_sampling, torch.float32)
        return found
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        kernels = fused_kernels(device, dtype)
        if kernels is not None:
            name = str(dtype).removeprefix("torch.")
            found[f"fused {name}"] = (kernels.deform_conv_by_triton, dtype)
    return found


def _operator(x: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    out: Tensor = import_torchvision().deform_conv2d(x, offset, weight, bias, padding=1, mask=mask)
    return out


def _run(
    convolution: Convolution,
    device: torch.device,
    dtype: torch.dtype,
    size: tuple[int, int, int, int],
) -> Callable[[], None]:
    batch, channels, outputs, side = size
    shapes = [
        (batch, channels, side, side),
        (batch, 18, side, side),
        (batch, 9, side, side),
        (outputs, channels, 3, 3),
        (outputs,),
    ]
    values = [torch.randn(shape, device=device, dtype=dtype) for shape in shapes]
    # As they come from a convolution before: those of an image lie pixel by pixel.
    order = torch.channels_last
    values[:3] = [value.contiguous(memory_format=order) for value in values[:3]]
    for value in values:
        value.requires_grad_()
    gradient = torch.randn(batch, outputs, side, side, device=device, dtype=dtype)

    def run() -> None:
        torch.autograd.grad(convolution(*values), values, gradient)
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    return run
