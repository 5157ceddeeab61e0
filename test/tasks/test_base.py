"""What every task promises: heads, activations, and the sum of its losses."""

import pytest
import torch

from centernet_ros.models import build_model
from centernet_ros.structures import CameraIntrinsics, Detections2D, Detections3D, Poses, View
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


def two_boxes_3d(i):
    flat = two_boxes(i)
    return Detections3D(
        flat.boxes,
        flat.scores,
        flat.labels,
        dimensions=torch.tensor([[1.5, 1.7, 4.0], [1.8, 0.6, 0.9]]),
        locations=torch.tensor([[-2.0, 1.6, 12 + i], [3, 1.5, 20]]),
        yaws=torch.tensor([0.3, -2.5]),
        alphas=torch.tensor([0.45, -2.6]),
    )


def two_people(i):
    flat = two_boxes(i)
    shares = torch.rand(2, 17, 2, generator=torch.Generator().manual_seed(i))
    corners = flat.boxes.unsqueeze(1)
    keypoints = corners[..., :2] + shares * (corners[..., 2:] - corners[..., :2])
    return Poses(flat.boxes, flat.scores, flat.labels, keypoints, torch.ones(2, 17))


# Ground truth of image 0 or 1 of 64x96 pixels; a new task adds a line.
TRUTHS = {"detection2d": two_boxes, "detection3d": two_boxes_3d, "pose": two_people}
CAMERA = CameraIntrinsics.pinhole(80, (48, 32), (64, 96))


def name_of(task):
    return next(name for name, kind in TASKS.items() if type(task) is kind)


def some_targets(task):
    """Targets of a batch of two images with two objects each."""
    view = View((64, 96), (64, 96), torch.eye(2, 3, dtype=torch.float64), CAMERA)
    targets = [task.encode(TRUTHS[name_of(task)](i), view, GRID) for i in range(2)]
    return {name: torch.stack([target[name] for target in targets]) for name in targets[0]}


def test_aliases_are_the_authors_names():
    for alias, name in TASK_ALIASES.items():
        assert type(build_task(alias, 2)) is TASKS[name]


def test_unknown_task_lists_the_known():
    with pytest.raises(ValueError, match=f"unknown task .boxes.; known: {', '.join(TASKS)}"):
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
    assert weights == {name: 0.1 if name == "size" else 1 for name in parts}


def test_the_shares_of_the_parts_of_a_batch_add_up_to_its_loss(task):
    maps, targets = random_maps(task), some_targets(task)
    # The second image keeps one object, so that means of both images would differ.
    targets["mask"][1, 1:] = False
    parts = [{name: value[i : i + 1] for name, value in targets.items()} for i in range(2)]
    counted = [task.counts(part) for part in parts]
    counts = {name: counted[0][name] + counted[1][name] for name in counted[0]}
    whole, _ = task.total_loss([maps], targets)
    shares = [
        task.total_loss([{name: value[i : i + 1] for name, value in maps.items()}], part, counts)[0]
        for i, part in enumerate(parts)
    ]
    assert sum(shares).item() == pytest.approx(whole.item(), rel=1e-6)
    alone = [task.total_loss([maps], targets, task.counts(part))[0] for part in parts]
    assert alone[0].item() != pytest.approx(whole.item(), rel=1e-3)


def test_stacks_count_alike(task):
    first, second, targets = random_maps(task), random_maps(task, seed=1), some_targets(task)
    total, parts = task.total_loss([first, second], targets)
    singles = [task.total_loss([maps], targets) for maps in (first, second)]
    assert total.item() == pytest.approx((singles[0][0] + singles[1][0]).item() / 2)
    for name, value in parts.items():
        mean = (singles[0][1][name] + singles[1][1][name]).item() / 2
        assert value.item() == pytest.approx(mean)


# --- the mirrored copy


def mirrored_answer(task, values):
    """Values that a network which makes no difference gives to the mirrored images."""
    # Every way back is its own reverse; what is not brought back may hold anything.
    return {
        head.name: head.unmirror(values[head.name])
        if head.unmirror
        else torch.full_like(values[head.name], 7.0)
        for head in task.heads
    }


def test_a_perfectly_mirrored_copy_changes_nothing(task):
    values = task.activate(random_maps(task))
    merged = task.merge_mirrored(values, mirrored_answer(task, values))
    assert merged.keys() == values.keys()
    for name, value in values.items():
        torch.testing.assert_close(merged[name], value)


def test_mirrored_copies_are_averaged_after_the_activation(task):
    maps, other = random_maps(task), random_maps(task, seed=1)
    merged = task.merge_mirrored(task.activate(maps), task.activate(other))
    expected = (maps["heatmap"].sigmoid() + other["heatmap"].sigmoid().flip(-1)) / 2
    assert torch.equal(merged["heatmap"], expected)
    # Offsets inside a cell have no counterpart in the mirrored cell.
    assert torch.equal(merged["offset"], maps["offset"])


def test_decode_merges_the_mirrored_copy(task):
    view = View((64, 96), (64, 96), torch.eye(2, 3, dtype=torch.float64), CAMERA)
    maps, other = random_maps(task), random_maps(task, seed=1)
    merged = task.merge_mirrored(task.activate(maps), task.activate(other))
    expected = task.read(merged, [view] * 2, 5)
    for result, other_way in zip(
        task.decode(maps, [view] * 2, 5, mirrored=other), expected, strict=True
    ):
        assert torch.equal(result.boxes, other_way.boxes)
        assert torch.equal(result.scores, other_way.scores)


def test_a_misspelt_option_is_an_error():
    with pytest.raises(TypeError, match="translate_size"):
        build_task("detection3d", 3, translate_size=True)
