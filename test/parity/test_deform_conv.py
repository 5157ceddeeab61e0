"""The deformable convolution and its gradients give the authors' numbers, on either path."""

import pytest
import torch
from torchvision.ops import deform_conv2d

from centernet_ros.models import deform_conv
from centernet_ros.models.deform_conv import DeformConv


@pytest.fixture(params=["by sampling", "by torchvision"])
def path(request, monkeypatch):
    """The path of a CPU, and the operator that stands on the path of a GPU."""
    if request.param == "by torchvision":

        def operator(x, offset, mask, weight, bias):
            return deform_conv2d(x, offset, weight, bias, padding=1, mask=mask)

        monkeypatch.setattr(deform_conv, "deform_conv_by_sampling", operator)


@pytest.mark.usefixtures("path")
def test_module_and_gradients(reference):
    case = reference.formulas.dcn_case(reference.seeds["weights"])
    case = {name: torch.from_numpy(value) for name, value in case.items()}
    module = DeformConv(case["x"].shape[1], len(case["weight"])).double()
    module.load_state_dict({n: v for n, v in case.items() if n not in ("x", "grad_out")})
    x = case["x"].requires_grad_()
    y = module(x)
    (y * case["grad_out"]).sum().backward()
    expected = reference.tensors("networks/dcn_module.npz")
    for name, value in {
        "y": y,
        "grad_x": x.grad,
        "grad_weight": module.weight.grad,
        "grad_bias": module.bias.grad,
        "grad_com_weight_norm": module.conv_offset_mask.weight.grad.norm(),
        "grad_com_bias": module.conv_offset_mask.bias.grad,
    }.items():
        torch.testing.assert_close(value, expected[name], rtol=1e-9, atol=1e-9, msg=name)
