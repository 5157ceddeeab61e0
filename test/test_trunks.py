"""What a backbone begins with: weights trained on ImageNet, or a detector's."""

import sys
from urllib.error import URLError

import pytest
import torch
import torchvision

from authors_networks import authors_state, network, save
from centernet_ros.checkpoint import CheckpointError, load_trunk


def changed(model, before):
    """Beginnings of the names of the tensors that are not as they were."""
    state = model.state_dict()
    names = {name for name, value in before.items() if not torch.equal(value, state[name])}
    return {".".join(name.split(".")[:2]) for name in names}


@pytest.fixture
def torchvision_weights():
    torch.manual_seed(5)
    return torchvision.models.resnet18().state_dict()


@pytest.mark.parametrize("backbone", ["resnet18", "resnet18_pyramid", "resnet18_pyramid16"])
def test_trunk_of_torchvision(tmp_path, torchvision_weights, backbone):
    model = network(backbone)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    load_trunk(model, save(tmp_path / "resnet18-f37072fd.pth", torchvision_weights, zipped=True))
    assert changed(model, before) == {"backbone.stem", "backbone.stages"}
    assert torch.equal(model.backbone.stem[0].weight, torchvision_weights["conv1.weight"])


def test_trunk_is_fetched(monkeypatch, torchvision_weights):
    weights = torchvision.models.ResNet18_Weights
    asked = []

    def fetch(self, **_):
        asked.append(self)
        return torchvision_weights

    monkeypatch.setattr(weights, "get_state_dict", fetch)
    model = network()
    load_trunk(model)
    assert asked == [weights.IMAGENET1K_V1]
    assert torch.equal(model.backbone.stem[0].weight, torchvision_weights["conv1.weight"])


def test_trunk_that_cannot_be_fetched(monkeypatch):
    def fail(*_, **__):
        raise URLError("no route to host")

    monkeypatch.setattr(torchvision.models.ResNet18_Weights, "get_state_dict", fail)
    with pytest.raises(CheckpointError, match=r"cannot fetch https://.*no route to host.* file"):
        load_trunk(network())
    with pytest.raises(CheckpointError, match="no ImageNet weights of dla34: give a file"):
        load_trunk(network("dla34"))


def test_torchvision_that_does_not_fit_is_told(monkeypatch):
    def broken(name):
        raise RuntimeError("operator torchvision::nms does not exist\nmore")

    monkeypatch.delitem(sys.modules, "torchvision.models")
    monkeypatch.setattr("centernet_ros.backends.packages.importlib.import_module", broken)
    with pytest.raises(CheckpointError, match=r"cannot be imported \(operator torchvision::"):
        load_trunk(network())


def test_trunk_that_was_fetched_broken(monkeypatch):
    def fail(*_, **__):
        raise RuntimeError('invalid hash value (expected "f37072fd", got "00000000")')

    monkeypatch.setattr(torchvision.models.ResNet18_Weights, "get_state_dict", fail)
    with pytest.raises(CheckpointError, match=r"cannot fetch https://.*invalid hash value"):
        load_trunk(network())


def test_trunk_of_dla(tmp_path):
    """The file of the authors of DLA has the trunk's names without anything before them."""
    donor, model = network("dla34", seed=7), network("dla34")
    state = {
        name.removeprefix("base."): value
        for name, value in authors_state(donor).items()
        if name.startswith("base.")
    }
    state |= {"fc.weight": torch.zeros(1000, 512, 1, 1), "fc.bias": torch.zeros(1000)}
    before = {name: value.clone() for name, value in model.state_dict().items()}
    load_trunk(model, save(tmp_path / "dla34-ba72cf86.pth", state))
    assert changed(model, before) == {"backbone.trunk"}
    trunk = donor.backbone.trunk.state_dict()
    assert all(torch.equal(v, trunk[n]) for n, v in model.backbone.trunk.state_dict().items())


def test_backbone_of_a_detector(tmp_path):
    """Poses start from boxes: all but the heads is taken."""
    donor, model = network(seed=7), network(task="pose", classes=1)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    load_trunk(model, save(tmp_path / "ctdet.pth", authors_state(donor)))
    assert changed(model, before) == {"backbone.stem", "backbone.stages", "backbone.up"}


def test_trunk_of_another_backbone(tmp_path, torchvision_weights):
    path = save(tmp_path / "resnet18.pth", torchvision_weights)
    with torch.device("meta"):
        model = network("resnet101")
    with pytest.raises(CheckpointError, match=r"does not fit the trunk resnet101: missing "):
        load_trunk(model, path)
