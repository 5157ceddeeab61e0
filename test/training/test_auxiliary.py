"""The auxiliary neck is one more stack of the loss, and nothing of it stays."""

import pytest
import torch
from torch import nn

from centernet_ros.models import build_model
from centernet_ros.tasks import build_task
from training.auxiliary import WithSkipNeck
from training.config import ConfigError


@pytest.fixture
def model():
    torch.manual_seed(0)
    return build_model("resnet18", "detection2d", 3)


def test_the_first_stack_is_the_networks_own(model):
    network = WithSkipNeck(model).eval()
    image = torch.rand(2, 3, 64, 96)

    own, second = network(image)

    expected = model(image)[0]
    assert own.keys() == second.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(own[name], value)
        assert second[name].shape == value.shape


def test_both_necks_teach_the_trunk_and_every_weight_gets_a_gradient(model):
    network = WithSkipNeck(model)
    # Offset and size heads start at zero, from where no gradient reaches what is before them.
    for heads in (model.heads, network.heads):
        for head in heads.values():
            nn.init.normal_(head[-1].weight, std=0.1)
    own, second = network(torch.rand(2, 3, 64, 96))

    gradients = []
    for maps in (own, second):
        network.zero_grad()
        sum(value.square().sum() for value in maps.values()).backward(retain_graph=True)
        gradients.append(model.backbone.stem[0].weight.grad.clone())
    network.zero_grad()
    sum(value.square().sum() for maps in (own, second) for value in maps.values()).backward()

    assert all(gradient.abs().max() > 0 for gradient in gradients)
    assert [name for name, p in network.named_parameters() if p.grad is None] == []


def test_the_loss_is_the_mean_over_both(model):
    network = WithSkipNeck(model)
    task = build_task("detection2d", 3)
    maps = network(torch.rand(1, 3, 64, 96))
    targets = {
        "heatmap": torch.zeros(1, 3, 16, 24),
        "index": torch.zeros(1, 128, dtype=torch.int64),
        "mask": torch.zeros(1, 128, dtype=torch.bool),
        "size": torch.zeros(1, 128, 2),
        "offset": torch.zeros(1, 128, 2),
    }

    total, _ = task.total_loss(maps, targets)

    single = [task.total_loss([stack], targets)[0] for stack in maps]
    torch.testing.assert_close(total, sum(single) / 2)


def test_the_network_keeps_its_own_weights_only(model):
    names = set(model.state_dict())

    network = WithSkipNeck(model)

    assert set(model.state_dict()) == names
    assert len(network.state_dict()) > len(names)


def test_a_backbone_without_stages_is_refused(model):
    model.backbone = nn.Conv2d(3, 64, 3)

    with pytest.raises(ConfigError, match="auxiliary_neck"):
        WithSkipNeck(model)
