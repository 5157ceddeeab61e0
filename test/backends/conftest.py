"""Networks whose running statistics and offsets tell a mistake from the truth."""

import pytest
import torch
from torch import nn

from centernet_ros.benchmark.subjects import random_model
from centernet_ros.models.deform_conv import DeformConv


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache of converted networks for each test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "centernet_ros"


def lively(backbone, task="detection2d", classes=2):
    """A network of which every layer shows in the answers."""
    model = random_model(backbone, task, classes)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.bias, std=0.1)
    for head in model.heads.values():
        nn.init.normal_(head[-1].weight, std=0.1)
    return model


@pytest.fixture(scope="session")
def make_model():
    return lively


class Small(nn.Module):
    """Two maps at stride 4 from every kind of layer that our networks have; two stacks."""

    input_multiple = 8

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.stem = nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=8, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU()
        )
        self.deform = DeformConv(8, 8)
        self.up = nn.ConvTranspose2d(8, 8, 4, stride=2, padding=1, groups=8)
        self.last = nn.Conv2d(8, 5, 1)
        self.heads = nn.ModuleDict({"heatmap": nn.Identity(), "size": nn.Identity()})
        nn.init.normal_(self.deform.conv_offset_mask.weight, std=0.5)
        self.stem[1].running_mean.normal_()

    def forward(self, image):
        values = self.last(self.up(self.deform(self.stem(image))))
        maps = {"heatmap": values[:, :3], "size": 10 * values[:, 3:]}
        return [{"heatmap": 0 * values[:, :3], "size": values[:, 3:]}, maps]


@pytest.fixture
def small():
    return Small().eval()


@pytest.fixture
def images():
    return torch.randn(2, 3, 24, 40, generator=torch.Generator().manual_seed(1))


def assert_agree(got, expected, share=1e-4):
    assert list(got) == list(expected)
    for name, value in expected.items():
        scale = value.abs().max().item()
        torch.testing.assert_close(got[name], value, rtol=0, atol=share * scale)


@pytest.fixture(scope="session")
def agree():
    return assert_agree
