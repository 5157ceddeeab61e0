"""Our deformable convolution against torchvision's operator."""

import math

import pytest
import torch
import torch.nn.functional as F
from torchvision.ops import deform_conv2d

from centernet_ros.models.deform_conv import (
    DeformConv,
    deform_conv_by_lookup,
    deform_conv_by_sampling,
)

FORMS = [deform_conv_by_sampling, deform_conv_by_lookup]


def inputs(batch, channels, height, width, *, reach, dtype=torch.float64, out_channels=4):
    """x, offset, mask, weight, bias; offsets are normal with `reach` cells."""
    g = torch.Generator().manual_seed(height * 100 + width)

    def normal(*shape):
        return torch.randn(*shape, generator=g, dtype=torch.float64)

    tensors = [
        normal(batch, channels, height, width),
        normal(batch, 18, height, width) * reach,
        normal(batch, 9, height, width).sigmoid(),
        normal(out_channels, channels, 3, 3),
        normal(out_channels),
    ]
    return [t.to(dtype).requires_grad_() for t in tensors]


def by_torchvision(x, offset, mask, weight, bias):
    return deform_conv2d(x, offset, weight, bias, padding=1, mask=mask)


SHAPES = pytest.mark.parametrize(
    ("shape", "reach"),
    [
        ((2, 3, 7, 9), 0.5),
        ((3, 2, 8, 5), 4),
        # Nearly every sample lies outside.
        ((1, 2, 5, 6), 50),
        ((2, 3, 1, 9), 2),
        ((2, 3, 9, 1), 2),
        ((1, 1, 1, 1), 1),
        ((1, 5, 12, 40), 1),
    ],
)


@SHAPES
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 2e-4)])
def test_equals_torchvision(shape, reach, dtype, tolerance):
    arguments = inputs(*shape, reach=reach, dtype=dtype)
    mine, theirs = deform_conv_by_sampling(*arguments), by_torchvision(*arguments)
    assert mine.dtype == dtype
    torch.testing.assert_close(mine, theirs, rtol=tolerance, atol=tolerance)
    direction = torch.randn(mine.shape, generator=torch.Generator().manual_seed(1), dtype=dtype)
    for name, a, b in zip(
        ("x", "offset", "mask", "weight", "bias"),
        torch.autograd.grad((mine * direction).sum(), arguments),
        torch.autograd.grad((theirs * direction).sum(), arguments),
        strict=True,
    ):
        torch.testing.assert_close(
            a, b, rtol=tolerance, atol=10 * tolerance, msg=lambda text, n=name: f"{n}: {text}"
        )


@SHAPES
@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
def test_lookup_equals_torchvision(shape, reach, order):
    x, *rest = inputs(*shape, reach=reach, dtype=torch.float32)
    with torch.no_grad():
        mine = deform_conv_by_lookup(x.contiguous(memory_format=order), *rest)
        theirs = by_torchvision(x, *rest)
    torch.testing.assert_close(mine, theirs, rtol=2e-4, atol=2e-4)


def test_lookup_in_half_precision_costs_no_position():
    """Where a position were a bfloat16, column 300 would be told from its even neighbours only."""
    x, offset, mask, weight, bias = inputs(1, 4, 3, 400, reach=0, dtype=torch.float32)
    offset = torch.full_like(offset, 0.5)  # exact in bfloat16
    x, mask, weight = (t.bfloat16().float() for t in (x, mask, weight))
    exact = deform_conv_by_lookup(x, offset, mask, weight, bias).detach()
    half = (t.detach().bfloat16() for t in (x, offset, mask, weight, bias))
    error = (deform_conv_by_lookup(*half).float() - exact).abs().max() / exact.abs().max()
    assert error < 0.02


def test_gradients_need_no_other_call():
    """The module looks up where nothing learns, and samples where something does."""
    torch.manual_seed(0)
    module = DeformConv(3, 4)
    x = torch.randn(1, 3, 5, 6)
    learning = module(x)
    learning.sum().backward()
    assert module.weight.grad is not None
    with torch.inference_mode():
        torch.testing.assert_close(module(x), learning.detach(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("far", [1e6, -1e6])
def test_samples_far_outside_are_zero(form, far):
    x, offset, mask, weight, bias = (t.float() for t in inputs(1, 2, 4, 5, reach=0))
    out = form(x, torch.full_like(offset, far), mask, weight, bias)
    assert torch.equal(out, bias.view(1, -1, 1, 1).expand_as(out))


@pytest.mark.parametrize("form", FORMS)
def test_samples_fade_beyond_the_border(form):
    # Only the tap in the middle counts; it looks half a cell above the topmost row.
    x = torch.ones(1, 1, 3, 3)
    offset = torch.zeros(1, 18, 3, 3)
    offset[:, 8] = -0.5
    weight = torch.zeros(1, 1, 3, 3)
    weight[0, 0, 1, 1] = 1
    out = form(x, offset, torch.ones(1, 9, 3, 3), weight, torch.zeros(1))
    assert out[0, 0].tolist() == [[0.5] * 3, [1] * 3, [1] * 3]


@pytest.mark.parametrize("form", FORMS)
def test_offsets_are_row_then_column_of_each_tap(form):
    x = torch.arange(25.0).view(1, 1, 5, 5)
    offset = torch.zeros(1, 18, 5, 5)
    offset[:, 2 * 5], offset[:, 2 * 5 + 1] = -1, 1  # tap 5 is the one right of the middle
    weight = torch.zeros(1, 1, 3, 3)
    weight[0, 0, 1, 2] = 1
    out = form(x, offset, torch.ones(1, 9, 5, 5), weight, torch.zeros(1))
    # Right of the middle, then one up and one right.
    assert out[0, 0, 2, 1].item() == x[0, 0, 1, 3].item()


@pytest.mark.parametrize("form", FORMS)
def test_images_of_a_batch_do_not_mix(form):
    arguments = [t.detach().float() for t in inputs(3, 4, 6, 7, reach=2)]
    x, offset, mask, weight, bias = arguments
    whole = form(*arguments)
    for i in range(3):
        one = slice(i, i + 1)
        alone = form(x[one], offset[one], mask[one], weight, bias)
        torch.testing.assert_close(whole[one], alone, rtol=1e-4, atol=1e-4)


def test_starts_as_half_a_plain_convolution():
    torch.manual_seed(0)
    module = DeformConv(6, 5)
    x = torch.randn(2, 6, 7, 8)
    plain = F.conv2d(x, module.weight, padding=1)
    torch.testing.assert_close(module(x), plain / 2, rtol=1e-4, atol=1e-5)


def test_autocast_keeps_positions_exact():
    """Half precision cannot tell column 200.25 from its neighbours."""
    torch.manual_seed(0)
    module = DeformConv(2, 3)
    # Exact in half precision, so that only the positions could go wrong.
    module.conv_offset_mask.bias.data[:18] = torch.tensor([0.25, -0.5]).repeat(9)
    x = torch.randn(1, 2, 3, 300)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = module(x)
    torch.testing.assert_close(half, module(x))


def test_initial_weights_fit_their_fan_in():
    torch.manual_seed(0)
    weight = DeformConv(64, 32).weight.detach()
    bound = 1 / math.sqrt(64 * 9)
    assert 0.99 * bound < weight.abs().max() <= bound
    assert weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.02)


def test_module_reads_offsets_then_masks():
    torch.manual_seed(0)
    module = DeformConv(3, 4)
    torch.nn.init.normal_(module.conv_offset_mask.weight, std=0.3)
    torch.nn.init.normal_(module.conv_offset_mask.bias)
    x = torch.randn(2, 3, 6, 7)
    read = module.conv_offset_mask(x)
    expected = deform_conv2d(
        x, read[:, :18], module.weight, module.bias, padding=1, mask=read[:, 18:].sigmoid()
    )
    torch.testing.assert_close(module(x), expected, rtol=1e-4, atol=1e-4)
