"""Losses of the three tasks, and their gradients, against the authors' numbers."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from centernet_ros.tasks import build_task
from centernet_ros.tasks.detection3d import metric_depth
from centernet_ros.tasks.detection3d.angle import orientation_loss
from centernet_ros.tasks.focal import LEAST, focal_loss
from centernet_ros.tasks.heatmap import gather, masked_l1, mean_l1

GRID = (24, 32)
HEADS = {
    "heatmap": ("hm", 4),
    "size": ("wh", 2),
    "offset": ("reg", 2),
    "depth": ("dep", 1),
    "orientation": ("rot", 8),
    "dimensions": ("dim", 3),
    "joints": ("hps", 34),
    "joint_heatmap": ("hm_hp", 17),
    "joint_offset": ("hp_offset", 2),
    "class_size": ("wh_cat", 8),
}
STATS = {
    "heatmap": "hm",
    "size": "wh",
    "offset": "off",
    "depth": "dep",
    "orientation": "rot",
    "dimensions": "dim",
    "joints": "hp",
    "joint_heatmap": "hm_hp",
    "joint_offset": "hp_offset",
}


@pytest.fixture
def expected(reference):
    return reference.json("losses/losses.json")


@pytest.fixture
def batch(reference):
    values = reference.formulas.loss_batch(reference.seeds["losses"] + 1)
    return {name: torch.from_numpy(np.asarray(value)) for name, value in values.items()}


@pytest.fixture
def raw(reference):
    """A raw map of a head, which collects its gradient."""

    def make(head):
        name, channels = HEADS[head]
        seed = reference.seeds["losses"] + 2
        values = reference.formulas.logits(name, seed, 2, channels, *GRID)
        return torch.from_numpy(values).requires_grad_()

    return make


def eight_numbers(rotbin, rotres):
    """Targets of the angle as the task encodes them, from the authors' bins and residuals."""
    parts = [torch.zeros_like(rotres), rotbin.float(), rotres.sin(), rotres.cos()]
    return torch.stack(parts, dim=-1).flatten(-2)


def check(loss, values, expected):
    """Compare with [loss, norm of the gradient, sum of the gradient]."""
    loss.backward()
    gradient = values.grad.double()
    assert loss.item() == pytest.approx(expected[0], rel=1e-5, abs=1e-7)
    assert gradient.norm().item() == pytest.approx(expected[1], rel=1e-5, abs=1e-7)
    # The sum cancels: what is left is as exact as its terms.
    rounding = 1e-6 * gradient.abs().sum().item()
    assert gradient.sum().item() == pytest.approx(expected[2], rel=1e-5, abs=rounding + 1e-7)


# --- single losses


@pytest.mark.parametrize(
    ("case", "target_factor", "factor"),
    [
        ("focal", 1, 1),
        ("focal_slow", 1, 1),
        ("focal_nopos", 0.5, 1),
        ("focal_saturated", 1, 8),
    ],
)
def test_focal(expected, batch, raw, case, target_factor, factor):
    values = raw("heatmap")
    check(focal_loss(factor * values, target_factor * batch["hm"]), values, expected[case])


def test_squared_error(expected, batch, raw):
    """The authors' unused option."""
    values = raw("heatmap")
    loss = F.mse_loss(values, batch["hm"])
    check(loss, values, expected["mse"])


def test_clamped_sigmoid(expected):
    logits = torch.tensor([-20, -10, -9.2, -1, 0, 1, 9.2, 10, 20])
    probabilities = logits.sigmoid().clamp(LEAST, 1 - LEAST)
    assert probabilities.tolist() == pytest.approx(expected["sigmoid_clamp"], rel=1e-5)


@pytest.mark.parametrize(
    ("case", "head", "target", "index", "mask"),
    [
        ("RegL1_wh", "size", "wh", "ind", "reg_mask"),
        ("RegL1_reg", "offset", "reg", "ind", "reg_mask"),
        ("RegL1_hp_offset", "joint_offset", "hp_offset", "hp_ind", "hp_mask"),
        ("RegWeightedL1_hps", "joints", "hps", "ind", "hps_mask"),
        ("RegWeightedL1_catspec", "class_size", "cat_spec_wh", "ind", "cat_spec_mask"),
    ],
)
def test_mean_over_objects(expected, batch, raw, case, head, target, index, mask):
    values = raw(head)
    loss = masked_l1(values, batch[target], batch[index], batch[mask].bool())
    check(loss, values, expected[case])


def test_mean_over_no_object(expected, batch, raw):
    values = raw("size")
    mask = torch.zeros_like(batch["reg_mask"], dtype=torch.bool)
    check(masked_l1(values, batch["wh"], batch["ind"], mask), values, expected["empty_RegL1"])


@pytest.mark.parametrize("case", ["RegSmoothL1_wh", "NormRegL1_wh"])
def test_variants_of_the_mean_over_objects(expected, batch, raw, case):
    """The authors' unused options."""
    values, mask = raw("size"), batch["reg_mask"].unsqueeze(-1)
    read, target = gather(values, batch["ind"]) * mask, batch["wh"] * mask
    if case == "NormRegL1_wh":
        read, target = read / (batch["wh"] + 1e-4) * mask, torch.ones_like(target) * mask
        loss = (read - target).abs().sum() / (2 * mask.sum() + 1e-4)
    else:
        # Here they divide by the objects and not by their coordinates.
        loss = F.smooth_l1_loss(read, target, reduction="sum") / (mask.sum() + 1e-4)
    check(loss, values, expected[case])


@pytest.mark.parametrize(
    ("case", "head", "target", "mask"),
    [
        ("L1_dim", "dimensions", "dim", "reg_mask"),
        ("L1_dep_transformed", "depth", "dep", "reg_mask"),
        ("L1_dep_augmask", "depth", "dep", "reg_mask_aug"),
    ],
)
def test_mean_over_slots(expected, batch, raw, case, head, target, mask):
    values = raw(head)
    read = metric_depth(values) if head == "depth" else values
    check(mean_l1(read, batch[target], batch["ind"], batch[mask].bool()), values, expected[case])


@pytest.mark.parametrize("case", ["BinRot", "BinRot_noobj"])
def test_orientation(expected, batch, raw, case):
    values = raw("orientation")
    target, mask = eight_numbers(batch["rotbin"], batch["rotres"]), batch["rot_mask"].bool()
    if case == "BinRot_noobj":
        target, mask = torch.zeros_like(target), torch.zeros_like(mask)
    check(orientation_loss(values, target, batch["ind"], mask), values, expected[case])


# --- whole tasks


def targets_of(batch, metric_mask):
    return {
        "heatmap": batch["hm"],
        "index": batch["ind"],
        "mask": batch["reg_mask"].bool(),
        "size": batch["wh"],
        "offset": batch["reg"],
        "metric_mask": batch[metric_mask].bool(),
        "depth": batch["dep"],
        "dimensions": batch["dim"],
        "orientation": eight_numbers(batch["rotbin"], batch["rotres"]),
        "joints": batch["hps"],
        "joints_mask": batch["hps_mask"].bool(),
        "joint_heatmap": batch["hm_hp"],
        "joint_index": batch["hp_ind"],
        "joint_mask": batch["hp_mask"].bool(),
        "joint_offset": batch["hp_offset"],
    }


def check_total(task, maps, stacks, targets, expected):
    total, parts = task.total_loss(stacks, targets)
    total.backward()
    assert total.item() == pytest.approx(expected["loss"], rel=1e-5)
    assert len(parts) == len(expected["stats"]) - 1
    for head in task.heads:
        loss = expected["stats"][f"{STATS[head.name]}_loss"]
        assert parts[head.name].item() == pytest.approx(loss, rel=1e-5), head.name
        norm = expected["grad_norm"][HEADS[head.name][0]]
        assert maps[head.name].grad.norm().item() == pytest.approx(norm, rel=1e-5), head.name


@pytest.mark.parametrize(
    ("name", "case", "factors", "metric_mask"),
    [
        ("ctdet", "total_ctdet", (1,), "reg_mask"),
        ("ctdet", "total_ctdet_2stacks", (0.9, 1), "reg_mask"),
        ("ctdet", "total_ctdet_normwh_flag_is_ignored", (1,), "reg_mask"),
        ("ddd", "total_ddd", (1,), "reg_mask"),
        ("ddd", "total_ddd_augmask", (1,), "reg_mask_aug"),
        ("multi_pose", "total_multi_pose", (1,), "reg_mask"),
        ("multi_pose", "total_multi_pose_2stacks", (0.9, 1), "reg_mask"),
    ],
)
def test_total(expected, batch, raw, name, case, factors, metric_mask):
    task = build_task(name, 4, compat=True)
    maps = {head.name: raw(head.name) for head in task.heads}
    stacks = [{name: factor * value for name, value in maps.items()} for factor in factors]
    check_total(task, maps, stacks, targets_of(batch, metric_mask), expected[case])


@pytest.mark.parametrize("case", ["total_ctdet_sl1", "total_ctdet_catspec"])
def test_total_of_variants(expected, batch, raw, case):
    """The authors' unused options: the sum with another size loss."""
    targets = targets_of(batch, "reg_mask")
    maps = {name: raw(name) for name in ("heatmap", "offset", "size", "class_size")}
    parts = {"hm": focal_loss(maps["heatmap"], targets["heatmap"])}
    index, mask = batch["ind"], batch["reg_mask"].unsqueeze(-1)
    if case == "total_ctdet_catspec":
        parts["wh"] = masked_l1(
            maps["class_size"], batch["cat_spec_wh"], index, batch["cat_spec_mask"].bool()
        )
        parts["off"] = masked_l1(maps["offset"], batch["reg"], index, mask[..., 0].bool())
    else:
        for name, head, target in (("wh", "size", "wh"), ("off", "offset", "reg")):
            error = F.smooth_l1_loss(
                gather(maps[head], index) * mask, batch[target] * mask, reduction="sum"
            )
            parts[name] = error / (mask.sum() + 1e-4)
    total = parts["hm"] + 0.1 * parts["wh"] + parts["off"]
    assert total.item() == pytest.approx(expected[case]["loss"], rel=1e-5)
    for name, value in parts.items():
        assert value.item() == pytest.approx(expected[case]["stats"][f"{name}_loss"], rel=1e-5)
    total.backward()
    size = "class_size" if case == "total_ctdet_catspec" else "size"
    names = {"heatmap": "hm", "offset": "reg", size: "wh_" if size == "class_size" else "wh"}
    for head, name in names.items():
        norm = maps[head].grad.norm().item()
        assert norm == pytest.approx(expected[case]["grad_norm"][name], rel=1e-5)


def test_every_case_is_tested(expected):
    """A folder with further losses needs further tests."""
    singles = {
        *("focal", "focal_slow", "focal_nopos", "focal_saturated", "mse", "sigmoid_clamp"),
        *("RegL1_wh", "RegL1_reg", "RegL1_hp_offset", "RegWeightedL1_hps", "empty_RegL1"),
        *("RegWeightedL1_catspec", "RegSmoothL1_wh", "NormRegL1_wh"),
        *("L1_dim", "L1_dep_transformed", "L1_dep_augmask", "BinRot", "BinRot_noobj"),
    }
    totals = {
        *("total_ctdet", "total_ctdet_2stacks", "total_ctdet_normwh_flag_is_ignored"),
        *("total_ctdet_sl1", "total_ctdet_catspec", "total_ddd", "total_ddd_augmask"),
        *("total_multi_pose", "total_multi_pose_2stacks"),
    }
    assert set(expected) - {"format"} == singles | totals
