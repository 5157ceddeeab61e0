"""What every task promises: heads, activations, and the sum of its losses."""

import pytest
import torch

from centernet_ros.models import build_model
from centernet_ros.structures import Detections2D, View
from centernet_ros.tasks import TASK_ALIASES, TASKS, build_task

GRID = (16, 24)


@pytest.fixture(params=TASKS)
def task(request):
    return build_task(request.param, 3)


def random_maps(task, seed=0):
    g = torch.Generator().manual_seed(seed)
    return {
        head.name: torch.randn(2, head.channels, *GRID, generator=g, requires_grad=True)
        for head in task.heads
    }


def two_boxes(i):
    boxes = torch.tensor([[8.0, 8, 40, 30], [50, 20, 90 - 9 * i, 60]])
    return Detections2D(boxes, torch.ones(2), torch.tensor([i, 2]))


# Ground truth of image 0 or 1 of 64x96 pixels; a new task adds a line.
TRUTHS = {"detection2d": two_boxes}


def name_of(task):
    return next(name for name, kind in TASKS.items() if type(task) is kind)


def some_targets(task):
    """Targets of a batch of two images with two objects each."""
    view = View((64, 96), (64, 96), torch.eye(2, 3, dtype=torch.float64))
    targets = [task.encode(TRUTHS[name_of(task)](i), view, GRID) for i in range(2)]
    return {name: torch.stack([target[name] for target in targets]) for name in targets[0]}


def test_aliases_are_the_authors_names():
    for alias, name in TASK_ALIASES.items():
        assert type(build_task(alias, 2)) is TASKS[name]


def test_unknown_task_lists_the_known():
    with pytest.raises(ValueError, match=r"unknown task 'boxes'; known: detection2d"):
        build_task("boxes", 1)


def test_heads_have_different_names(task):
    names = [head.name for head in task.heads]
    assert len(set(names)) == len(names)
    assert task.heads[0].name == "heatmap"
    assert task.heads[0].channels == task.num_classes == 3


def test_activate_leaves_raw_maps_alone(task):
    maps = random_maps(task)
    before = {name: value.detach().clone() for name, value in maps.items()}
    values = task.activate(maps)
    assert values.keys() == maps.keys()
    for name, value in before.items():
        assert torch.equal(maps[name], value)
    assert torch.equal(values["heatmap"], before["heatmap"].sigmoid())


def test_every_head_gets_a_gradient(task):
    maps = random_maps(task)
    total, parts = task.total_loss([maps], some_targets(task))
    total.backward()
    assert parts.keys() == maps.keys()
    for name, value in maps.items():
        assert value.grad.abs().sum() > 0, name
        assert value.grad.isfinite().all(), name


def test_every_head_gets_a_gradient_through_the_network(task):
    torch.manual_seed(0)
    model = build_model("resnet18", name_of(task), 3)
    images = torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    task.total_loss(model(images), some_targets(task))[0].backward()
    for head in task.heads:
        for parameter in model.heads[head.name].parameters():
            assert parameter.grad.abs().sum() > 0, head.name
    assert model.backbone.stem[0].weight.grad.abs().sum() > 0


def test_total_is_the_weighted_sum(task):
    total, parts = task.total_loss([random_maps(task)], some_targets(task))
    weights = {head.name: head.loss_weight for head in task.heads}
    assert total.item() == pytest.approx(sum(weights[n] * parts[n].item() for n in parts))
    if name_of(task) == "detection2d":
        assert weights == {"heatmap": 1, "size": 0.1, "offset": 1}


def test_stacks_count_alike(task):
    first, second, targets = random_maps(task), random_maps(task, seed=1), some_targets(task)
    total, parts = task.total_loss([first, second], targets)
    singles = [task.total_loss([maps], targets) for maps in (first, second)]
    assert total.item() == pytest.approx((singles[0][0] + singles[1][0]).item() / 2)
    for name, value in parts.items():
        mean = (singles[0][1][name] + singles[1][1][name]).item() / 2
        assert value.item() == pytest.approx(mean)


@pytest.mark.parametrize("factors", [(1,), (0.9, 1)])
def test_total_is_the_authors(reference, factors):
    expected = reference.json("losses/losses.json")[
        "total_ctdet" if len(factors) == 1 else "total_ctdet_2stacks"
    ]
    formulas = reference.formulas
    names = {"heatmap": ("hm", 4), "size": ("wh", 2), "offset": ("reg", 2)}
    batch = {key: torch.from_numpy(value) for key, value in formulas.loss_batch(301).items()}
    targets = {name: batch[key] for name, (key, _) in names.items()}
    targets.update(index=batch["ind"], mask=batch["reg_mask"].bool())
    maps = {
        name: torch.from_numpy(formulas.logits(key, 302, 2, channels, 24, 32)).requires_grad_()
        for name, (key, channels) in names.items()
    }
    stacks = [{name: factor * value for name, value in maps.items()} for factor in factors]
    total, parts = build_task("detection2d", 4).total_loss(stacks, targets)
    total.backward()
    assert total.item() == pytest.approx(expected["loss"], rel=1e-5)
    for name, key in (("heatmap", "hm"), ("size", "wh"), ("offset", "off")):
        assert parts[name].item() == pytest.approx(expected["stats"][f"{key}_loss"], rel=1e-5)
    for name, (key, _) in names.items():
        norm = maps[name].grad.norm().item()
        assert norm == pytest.approx(expected["grad_norm"][key], rel=1e-4)
