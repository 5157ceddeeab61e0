"""Fused networks compute what they computed before; here by the fall-backs of a CPU."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from centernet_ros.backends import BackendError
from centernet_ros.backends.folding import fold_batch_norm
from centernet_ros.backends.fusing import ConvRelu, FusedDeformConv, UpSample, fuse
from centernet_ros.backends.torch_backend import _fused
from centernet_ros.models import BACKBONES
from centernet_ros.models.deform_conv import DeformConv, deform_conv_by_lookup


@pytest.fixture(params=[b for b in BACKBONES if b != "hourglass104"])
def folded(request, make_model):
    return fold_batch_norm(make_model(request.param))


def layers(network, *kinds):
    return [layer for layer in network.modules() if isinstance(layer, kinds)]


def answers(network):
    with torch.no_grad():
        return network(torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(0)))[-1]


def assert_equal(found, expected):
    assert list(found) == list(expected)
    for name, value in expected.items():
        scale = value.abs().max().item()
        torch.testing.assert_close(found[name], value, rtol=0, atol=1e-4 * scale)


def test_same_answers_from_fewer_layers(folded):
    expected = answers(folded)
    fused = fuse(folded)
    assert_equal(answers(fused), expected)
    assert layers(fused, ConvRelu)
    assert not layers(fused, nn.Identity, FusedDeformConv, UpSample)


def test_every_relu_of_a_plain_convolution_goes(make_model):
    assert not layers(fuse(fold_batch_norm(make_model("resnet18_pyramid"))), nn.ReLU)


def stand_in():
    """The kernels' interface, computed by PyTorch."""

    def forward(x, offset, mask, taps, bias, *, raw_bias, relu):
        weight = taps.reshape(3, 3, x.shape[1], -1).permute(3, 2, 0, 1)
        moves, logits = raw_bias.view(-1, 1, 1).split([18, 9])
        factors = (mask + logits).sigmoid()
        out = deform_conv_by_lookup(x, offset + moves, factors, weight, bias)
        return out.relu() if relu else out

    def tap_rows(weight):
        return weight.permute(2, 3, 1, 0).flatten(0, 2)

    return SimpleNamespace(forward=forward, tap_rows=tap_rows)


def test_deformable_convolutions_and_up_samplings_are_replaced(make_model, monkeypatch):
    def up_sample(self, x, addend=None):
        factor, channels = self.factor, x.shape[1]
        weight = self.weight.t().reshape(channels, 1, 2 * factor, 2 * factor)
        out = nn.functional.conv_transpose2d(
            x, weight, stride=factor, padding=factor // 2, groups=channels
        )
        return out if addend is None else out + addend

    monkeypatch.setattr(UpSample, "forward", up_sample)
    folded = fold_batch_norm(make_model("dla34"))
    expected = answers(folded)
    fused = fuse(folded, stand_in())
    assert_equal(answers(fused), expected)
    assert not layers(fused, DeformConv, nn.ReLU, nn.ConvTranspose2d)
    assert len(layers(fused, UpSample)) == 8
    assert all(layer.relu for layer in layers(fused, FusedDeformConv))


def test_a_value_that_is_used_twice_stays():
    class Twice(nn.Module):
        stacks, input_multiple = 1, 4

        def __init__(self):
            super().__init__()
            self.layer, self.relu = nn.Conv2d(3, 4, 1), nn.ReLU()

        def forward(self, image):
            before = self.layer(image)
            return [before - self.relu(before)]

    model = SimpleNamespace(backbone=Twice(), heads=nn.ModuleDict({"size": nn.Identity()}))
    fused = fuse(model)
    assert not layers(fused, ConvRelu)
    x = torch.randn(1, 3, 4, 4)
    torch.testing.assert_close(fused(x)[0]["size"], model.backbone(x)[0])


def test_a_network_beyond_the_range_of_float16_is_refused(make_model, monkeypatch):
    """When it is loaded on a GPU: its answers would be no numbers, and nothing would be found."""
    monkeypatch.setattr("centernet_ros.backends.torch_backend.fused_kernels", lambda *_: None)
    model = make_model("resnet18_pyramid16")
    half = fold_batch_norm(model).half()
    assert _fused(model, half, "float16") is not None
    with torch.no_grad():
        model.heads["size"][-1].bias += 1e5
    half = fold_batch_norm(model).half()
    with pytest.raises(BackendError, match=r"map size .* not finite: use bfloat16 or float32"):
        _fused(model, half, "float16")
