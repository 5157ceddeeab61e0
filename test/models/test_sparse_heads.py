"""Heads at single cells answer what whole maps hold there, and leave work out."""

import pytest
import torch

from centernet_ros.benchmark.operations import count_operations
from centernet_ros.benchmark.subjects import random_model
from centernet_ros.models.sparse_heads import FEATURES, neighbourhoods, split_heads
from centernet_ros.tasks import TASKS, build_task
from centernet_ros.tasks.heatmap import Values


@pytest.fixture(params=TASKS)
def task(request):
    return build_task(request.param, 3)


@pytest.fixture
def model(task):
    name = next(name for name, kind in TASKS.items() if type(task) is kind)
    return random_model("resnet18_pyramid16", name, 3)


@torch.no_grad()
def test_every_cell_has_the_value_of_the_whole_map(task, model):
    images = torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    trunk, sparse_heads = split_heads(model, task.heads)
    whole = Values(task.activate(model(images)[-1]))
    values = sparse_heads.values(trunk(images)[-1])
    # Corners, sides and the middle; every image in an order of its own.
    cells = torch.stack([torch.arange(16 * 24), torch.arange(16 * 24).flip(0)])
    for head in task.heads:
        got, expected = values.at(head.name, cells), whole.at(head.name, cells)
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5, msg=head.name)
        if head.dense:
            torch.testing.assert_close(values[head.name], whole[head.name])


@torch.no_grad()
def test_other_cells_of_the_same_maps(task, model):
    trunk, sparse_heads = split_heads(model, task.heads)
    values = sparse_heads.values(trunk(torch.randn(1, 3, 32, 32))[-1])
    every = values.at("size", torch.arange(64)[None])
    for cell in (0, 9, 63):
        torch.testing.assert_close(values.at("size", torch.tensor([[cell]]))[0, 0], every[0, cell])
    assert values.at("size", torch.zeros(1, 0, dtype=torch.int64)).shape == (1, 0, 2)


@torch.no_grad()
def test_the_model_stays_whole_and_its_halves_share_its_weights(task, model):
    images = torch.randn(1, 3, 32, 32)
    trunk, _ = split_heads(model, task.heads)
    assert model(images)[-1].keys() == {head.name for head in task.heads}
    assert trunk(images)[-1].keys() == {h.name for h in task.heads if h.dense} | {FEATURES}
    assert trunk.backbone is model.backbone
    assert trunk.input_multiple == model.input_multiple


def test_neighbours_outside_are_zero():
    features = torch.arange(1.0, 13).view(1, 3, 4, 1)
    found = neighbourhoods(features, torch.tensor([[0, 5, 11]]))[0]
    assert found.tolist() == [
        [0, 0, 0, 0, 1, 2, 0, 5, 6],
        [1, 2, 3, 5, 6, 7, 9, 10, 11],
        [7, 8, 0, 11, 12, 0, 0, 0, 0],
    ]


def test_a_third_of_a_networks_work_is_left_out():
    model = random_model("dla34", "detection3d", 3)
    trunk, _ = split_heads(model, build_task("detection3d", 3).heads)
    shape = (1, 3, 384, 1280)
    assert count_operations(trunk, shape) < 0.7 * count_operations(model, shape)
