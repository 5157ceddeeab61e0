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

from centernet_ros.backends.up_sample_kernels import up_sample
from centernet_ros.models.deform_conv_triton import (
    deform_conv_by_triton,
    forward,
    tap_rows,
    works,
)

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


def inference_difference():
    """Of what a network without gradients does: raw offsets and masks in one map, then ReLU."""
    torch.manual_seed(0)
    x, raw = torch.randn(2, 16, 5, 6), torch.randn(2, 32, 5, 6)
    raw = raw.contiguous(memory_format=torch.channels_last)
    weight, bias, raw_bias = torch.randn(24, 16, 3, 3), torch.randn(24), torch.randn(27)
    got = forward(
        x, raw[:, :18], raw[:, 18:27], tap_rows(weight), bias, raw_bias=raw_bias, relu=True
    )
    offset, mask = (raw[:, :27] + raw_bias.view(-1, 1, 1)).split([18, 9], dim=1)
    expected = deform_conv2d(x, offset, weight, bias, padding=1, mask=mask.sigmoid()).relu()
    return ((got - expected).abs().max() / expected.max()).item()


def up_sampling_difference(factor, *, adds):
    torch.manual_seed(0)
    layer = torch.nn.ConvTranspose2d(
        6, 6, 2 * factor, stride=factor, padding=factor // 2, groups=6, bias=False
    )
    x = torch.randn(2, 6, 4, 5)
    with torch.no_grad():
        expected = layer(x)
    addend = torch.randn_like(expected) if adds else None
    got = up_sample(x, layer.weight.detach().flatten(1).t().contiguous(), factor, addend)
    return (got - (expected if addend is None else expected + addend)).abs().max().item()


if __name__ == "__main__":
    figures = {name: differences(*case) for name, case in CASES.items()}
    figures["inference"] = inference_difference()
    figures["up-sampling"] = [
        up_sampling_difference(factor, adds=adds) for factor in (2, 4) for adds in (False, True)
    ]
    figures["works"] = works(torch.device("cpu"), torch.float16)
    print(json.dumps(figures))
