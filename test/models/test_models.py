"""Every backbone with every task: shapes, initial state and gradients."""

import pytest
import torch

from centernet_ros.models import BACKBONE_ALIASES, BACKBONES, build_model
from centernet_ros.models.deform_conv import DeformConv
from centernet_ros.models.resnet import bilinear_kernel
from centernet_ros.tasks import TASK_ALIASES, TASKS, build_task

NETWORKS = [(backbone, task) for backbone in BACKBONES for task in TASKS]


@pytest.fixture(scope="module", params=NETWORKS, ids="-".join)
def network(request):
    backbone, task = request.param
    torch.manual_seed(0)
    return build_model(backbone, task, 3).eval(), build_task(task, 3).heads


@pytest.mark.parametrize("size", [(32, 32), (96, 32), (32, 160), (64, 96)])
def test_maps_lie_at_stride_4(network, size):
    model, heads = network
    with torch.no_grad():
        stacks = model(torch.zeros(2, 3, *size))
    for maps in stacks:
        assert {name: tuple(value.shape) for name, value in maps.items()} == {
            head.name: (2, head.channels, size[0] // 4, size[1] // 4) for head in heads
        }


def test_images_of_a_batch_do_not_mix(network):
    model, _ = network
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        both, second = model(images)[-1], model(images[1:])[-1]
    for name, value in second.items():
        torch.testing.assert_close(both[name][1:], value, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("backbone", "task"), NETWORKS)
def test_every_parameter_gets_a_gradient(backbone, task):
    torch.manual_seed(0)
    model = build_model(backbone, task, 3)
    # Offsets that start at zero and heads that start near zero would hide a cut connection
    # behind tiny numbers.
    for module in model.modules():
        if isinstance(module, DeformConv):
            torch.nn.init.normal_(module.conv_offset_mask.weight, std=0.1)
    stacks = model(torch.randn(2, 3, 64, 96))
    sum((value**2).sum() for maps in stacks for value in maps.values()).backward()
    dead = [
        name
        for name, parameter in model.named_parameters()
        if parameter.grad is None or not parameter.grad.abs().sum() > 0
    ]
    assert dead == []


@pytest.mark.parametrize(("backbone", "task"), NETWORKS)
def test_each_head_learns_alone(backbone, task):
    """A head's map depends on its own parameters and on no other head's."""
    torch.manual_seed(0)
    model = build_model(backbone, task, 3)
    maps = model(torch.randn(2, 3, 64, 64))[-1]
    for name, value in maps.items():
        gradients = torch.autograd.grad(
            value.pow(2).sum(), list(model.heads.parameters()), retain_graph=True, allow_unused=True
        )
        touched = {
            key.split(".")[0]
            for (key, _), gradient in zip(model.heads.named_parameters(), gradients, strict=True)
            if gradient is not None
        }
        assert touched == {name}


def test_heads_start_as_the_authors(network):
    model, heads = network
    for head in heads:
        first, _, last = model.heads[head.name]
        if head.initial_bias is None:
            assert not first.bias.any()
            assert not last.bias.any()
            assert first.weight.std().item() == pytest.approx(0.001, rel=0.05)
        else:
            assert torch.equal(last.bias, torch.full((head.channels,), -2.19))


def test_raw_maps_carry_no_activation(network):
    """Probabilities of a tenth everywhere, before any training, are logits of -2.19."""
    model, _ = network
    with torch.no_grad():
        heatmap = model(torch.zeros(1, 3, 64, 64))[-1]["heatmap"]
    assert heatmap.mean().item() == pytest.approx(-2.19, abs=0.2)


def test_up_sampling_starts_bilinear_towards_the_first_channel():
    torch.manual_seed(0)
    kernel = torch.tensor([0.25, 0.75, 0.75, 0.25])
    for block in build_model("resnet18", "detection2d", 1).backbone.up:
        weight = block[3].weight.detach()
        assert torch.equal(weight[:, 0], kernel.outer(kernel).expand(len(weight), 4, 4))
        assert not torch.equal(weight[:, 1], weight[:, 0])


@pytest.mark.parametrize("size", [2, 4, 8, 16, 32])
def test_bilinear_kernel_is_the_authors(reference, size):
    expected = torch.tensor(reference.json("networks/bilinear_init.json")[f"k{size}"])
    torch.testing.assert_close(bilinear_kernel(size), expected.view(size, size))


def test_seed_decides_the_weights():
    states = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        states.append(build_model("resnet18", "detection2d", 2).state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert not torch.equal(states[0]["backbone.stem.0.weight"], states[2]["backbone.stem.0.weight"])


def test_aliases_build_the_same_network():
    for alias, backbone in BACKBONE_ALIASES.items():
        for task_alias, task in TASK_ALIASES.items():
            shapes = [
                {name: value.shape for name, value in model.state_dict().items()}
                for model in (build_model(alias, task_alias, 2), build_model(backbone, task, 2))
            ]
            assert shapes[0] == shapes[1]


def test_unknown_names_list_the_known():
    with pytest.raises(ValueError, match=r"unknown backbone 'vgg'; known: resnet18"):
        build_model("vgg", "detection2d", 1)
    with pytest.raises(ValueError, match=r"unknown task 'boxes'; known: detection2d"):
        build_model("resnet18", "boxes", 1)
