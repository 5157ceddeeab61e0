"""Every backbone and every task: shapes, initial state and gradients."""

import copy

import pytest
import torch

from centernet_ros.models import BACKBONE_ALIASES, BACKBONES, build_model
from centernet_ros.models.deform_conv import DeformConv
from centernet_ros.tasks import TASK_ALIASES, TASKS, build_task

# Backbones know nothing of tasks, so each is tried with one, and each task with one backbone.
NETWORKS = [
    *((backbone, "detection2d") for backbone in BACKBONES),
    *(("resnet18", task) for task in TASKS if task != "detection2d"),
]


@pytest.fixture(scope="module", params=NETWORKS, ids="-".join)
def network(request):
    backbone, task = request.param
    torch.manual_seed(0)
    return build_model(backbone, task, 3).eval(), build_task(task, 3).heads


@pytest.mark.parametrize("steps", [(1, 1), (2, 1), (1, 3)])
def test_maps_lie_at_stride_4(network, steps):
    model, heads = network
    height, width = (step * model.input_multiple for step in steps)
    with torch.no_grad():
        stacks = model(torch.zeros(1, 3, height, width))
    assert len(stacks) == model.backbone.stacks
    for maps in stacks:
        assert {name: tuple(value.shape) for name, value in maps.items()} == {
            head.name: (1, head.channels, height // 4, width // 4) for head in heads
        }


@pytest.mark.parametrize("change", [(-1, 0), (0, 1), (-16, -16), (0, -1000)])
def test_other_sizes_are_refused(network, change):
    model, _ = network
    step = model.input_multiple
    height, width = (max(0, step + by) for by in change)
    with pytest.raises(ValueError, match=f"{height}x{width}: .* multiples of {step}$"):
        model(torch.zeros(1, 3, height, width))


def test_images_of_a_batch_do_not_mix(network):
    # In double precision: convolutions of one and of two images round differently.
    model = copy.deepcopy(network[0]).double()
    side = max(64, model.input_multiple)
    images = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(0)).double()
    with torch.no_grad():
        both, second = model(images)[-1], model(images[1:])[-1]
    for name, value in second.items():
        torch.testing.assert_close(both[name][1:], value, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("backbone", "task"), NETWORKS)
def test_every_parameter_gets_a_gradient(backbone, task):
    torch.manual_seed(0)
    model = build_model(backbone, task, 3)
    # Offsets that start at zero would hide a cut connection; of more than a cell or two, all of
    # them could lie outside of the smallest maps.
    for module in model.modules():
        if isinstance(module, DeformConv):
            torch.nn.init.normal_(module.conv_offset_mask.weight, std=0.01)
    side = max(64, model.input_multiple)
    stacks = model(torch.randn(2, 3, side, side))
    sum((value**2).sum() for maps in stacks for value in maps.values()).backward()
    dead = [
        name
        for name, parameter in model.named_parameters()
        if parameter.requires_grad and (parameter.grad is None or not parameter.grad.any())
    ]
    assert dead == []
    frozen = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    unused = ("backbone.trunk.level3.project.", "backbone.trunk.level4.project.")
    assert all(name.startswith(unused) for name in frozen)
    assert len(frozen) == (6 if backbone == "dla34" else 0)


@pytest.mark.parametrize("task", TASKS)
def test_each_head_learns_alone(task):
    """A head's map depends on its own parameters and on no other head's."""
    torch.manual_seed(0)
    model = build_model("resnet18", task, 3)
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


def test_each_stack_has_heads_of_its_own():
    torch.manual_seed(0)
    model = build_model("hourglass104", "detection2d", 1)
    model.backbone.forward = lambda _: [torch.ones(1, 256, 2, 2), torch.ones(1, 256, 2, 2)]
    first, last = model(torch.zeros(1, 3, 128, 128))
    for name in ("heatmap", "size", "offset"):
        assert not torch.equal(first[name], last[name])
        assert torch.equal(last[name], model.heads[name](torch.ones(1, 256, 2, 2)))


def test_heads_that_regress_start_with_spread_weights_and_without_bias(network):
    """Weights near zero would let the hidden units of a head grow in one direction."""
    model, heads = network
    for head in heads:
        first, _, last = model.heads[head.name]
        library = 1 / (3 * first.weight[0].numel()) ** 0.5
        assert first.weight.std().item() == pytest.approx(library, rel=0.05)
        if head.initial_bias is not None:
            assert torch.equal(last.bias, torch.full((head.channels,), -2.19))
        else:
            assert not first.bias.any()
            assert not last.bias.any()


def test_raw_maps_carry_no_activation(network):
    """Probabilities of a tenth everywhere, before any training, are logits of -2.19."""
    model, _ = network
    side = max(64, model.input_multiple)
    with torch.no_grad():
        heatmap = model(torch.zeros(1, 3, side, side))[-1]["heatmap"]
    assert heatmap.mean().item() == pytest.approx(-2.19, abs=0.2)


def test_dense_up_sampling_starts_bilinear_towards_the_first_channel():
    torch.manual_seed(0)
    kernel = torch.tensor([0.25, 0.75, 0.75, 0.25])
    for block in build_model("resnet18", "detection2d", 1).backbone.up:
        weight = block[3].weight.detach()
        assert torch.equal(weight[:, 0], kernel.outer(kernel).expand(len(weight), 4, 4))
        assert not torch.equal(weight[:, 1], weight[:, 0])


def test_up_sampling_by_channel_starts_bilinear():
    backbone = build_model("dla34", "detection2d", 1).backbone
    ramp = torch.arange(6.0).expand(1, 1, 6, 6)
    for layer in [layer for merge in (*backbone.up, backbone.out) for layer in merge.up]:
        factor = layer.stride[0]
        with torch.no_grad():
            out = layer(ramp.expand(1, layer.in_channels, 6, 6))
        assert out.shape == (1, layer.out_channels, 6 * factor, 6 * factor)
        # Away from the border, a straight ramp stays straight.
        row = out[0, -1, 3 * factor, factor:-factor]
        torch.testing.assert_close(row.diff(), torch.full_like(row[1:], 1 / factor))


def test_projections_that_dla_throws_away_follow_the_training():
    """The published files hold statistics of layers whose result nobody uses."""
    torch.manual_seed(0)
    model = build_model("dla34", "detection2d", 1)
    images = torch.randn(1, 3, 64, 64)
    for mode in (False, True):
        model.train(mode)
        before = copy.deepcopy(model.state_dict())
        with torch.no_grad():
            model(images)
        for level in (3, 4):
            name = f"backbone.trunk.level{level}.project.1.running_mean"
            assert torch.equal(before[name], model.state_dict()[name]) is not mode


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
            with torch.device("meta"):
                shapes = [
                    {name: value.shape for name, value in model.state_dict().items()}
                    for model in (build_model(alias, task_alias, 2), build_model(backbone, task, 2))
                ]
            assert shapes[0] == shapes[1]


def test_unknown_names_list_the_known():
    with pytest.raises(ValueError, match=r"unknown backbone 'vgg'; known: resnet18, .*dla34"):
        build_model("vgg", "detection2d", 1)
    with pytest.raises(ValueError, match=r"unknown task 'boxes'; known: detection2d, .*pose"):
        build_model("resnet18", "boxes", 1)
