"""Folded networks compute what they computed before."""

import pytest
import torch
from torch import nn

from centernet_ros.backends.folding import fold_batch_norm
from centernet_ros.models import BACKBONES


@pytest.mark.parametrize(
    "backbone",
    [pytest.param(b, marks=[pytest.mark.slow] * (b == "hourglass104")) for b in BACKBONES],
)
def test_same_answers_without_batch_norm(make_model, backbone):
    model = make_model(backbone).double()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    folded = fold_batch_norm(model)
    norms = [name for name, m in folded.named_modules() if isinstance(m, nn.BatchNorm2d)]
    assert norms == []
    side = max(64, model.input_multiple)
    images = torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(0)).double()
    with torch.no_grad():
        expected, got = model(images)[-1], folded(images)[-1]
    for name, value in expected.items():
        scale = value.abs().max().item()
        torch.testing.assert_close(got[name], value, rtol=0, atol=1e-9 * scale)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_what_cannot_be_folded_stays():
    """A norm before its convolution, and one behind a grouped transposed convolution."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.BatchNorm2d(4),
        nn.ConvTranspose2d(4, 4, 4, stride=2, padding=1, groups=4),
        nn.BatchNorm2d(4),
    )
    model[2].running_mean.normal_()
    folded = fold_batch_norm(model)
    assert [type(layer) for layer in folded] == [type(layer) for layer in model]
    x = torch.randn(1, 4, 5, 6)
    torch.testing.assert_close(folded(x), model.eval()(x))
