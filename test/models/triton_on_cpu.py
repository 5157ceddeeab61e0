"""Runs the fused deformable convolution in Triton's interpreter, which needs no GPU.

Prints a JSON list with the greatest difference from torchvision's operator of the result and each
gradient, as a share of the largest value, for each case of the test. The interpreter must be chosen
before Triton is imported; it has no bfloat16.
"""

import json
import os

os.environ["TRITON_INTERPRET"] = "1"

import torch
from torchvision.ops import deform_conv2d

from centernet_ros.models.deform_conv_triton import deform_conv_by_triton, works

NAMES = ("result", "x", "offset", "mask", "weight", "bias")
CASES = {
    "a part of each tile": (torch.float32, (2, 40, 2, 3), 24, 2.0),
    "several tiles": (torch.float32, (1, 16, 9, 8), 72, 1.0),
    "far offsets": (torch.float32, (1, 16, 2, 3), 16, 1e6),
    "half precision": (torch.float16, (1, 16, 2, 3), 16, 2.0),
}


def differences(dtype, shape, outputs, reach):
    torch.manual_seed(0)
    batch, channels, height, width = shape
    values = [
        torch.randn(shape).contiguous(memory_format=torch.channels_last),
        (reach * torch.randn(batch, 18, height, width)).clamp(-6e4, 6e4),
        torch.rand(batch, 9, height, width),
        torch.randn(outputs, channels, 3, 3) / channels,
        torch.randn(outputs),
    ]
    own = [value.to(dtype).requires_grad_() for value in values]
    theirs = [value.detach().float().requires_grad_() for value in own]
    x, offset, mask, weight, bias = theirs
    result = deform_conv_by_triton(*own)
    expected = deform_conv2d(x, offset, weight, bias, padding=1, mask=mask)
    assert result.dtype == dtype
    assert result.is_contiguous(memory_format=torch.channels_last)
    gradient = torch.randn_like(expected)
    found = [result, *torch.autograd.grad(result, own, gradient.to(dtype))]
    wanted = [expected, *torch.autograd.grad(expected, theirs, gradient)]
    shares = [
        ((a.float() - b).abs().max() / b.abs().max().clamp(min=1e-9)).item()
        for a, b in zip(found, wanted, strict=True)
    ]
    return dict(zip(NAMES, shares, strict=True))


if __name__ == "__main__":
    figures = {name: differences(*case) for name, case in CASES.items()}
    figures["works"] = works(torch.device("cpu"), torch.float16)
    print(json.dumps(figures))
