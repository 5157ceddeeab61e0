"""Whole networks with their losses: values, gradients and one step of training, in float64."""

import pytest
import torch

from centernet_ros.checkpoint import load_weights
from centernet_ros.checkpoint.authors import to_authors
from centernet_ros.models import build_model
from centernet_ros.tasks import build_task

pytestmark = pytest.mark.timeout(900)  # a busy machine takes its time over an hourglass

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
NETWORKS = ["resdcn_18/ctdet", "resdcn_101/ctdet", "hourglass/ctdet"]
NETWORKS += [f"dla_34/{task}" for task in ("ctdet", "ddd", "multi_pose")]
FAST = ("resdcn_18/ctdet",)
CHAOTIC = 1e12
"""Norm of the recorded gradient beyond which only the order of the training's losses is compared.

The lowest level of the hourglass is one cell of the input here, and a normalisation over the two
pictures of the batch enlarges rounding: moving the input by 1e-15 moves the loss by 0.3 % where the
recorded gradient's norm is 1e19.
"""


def batch_of(cases, reference, task, input_size):
    """Targets of two annotated pictures, in float64."""
    encode, names = {
        "ctdet": (cases.encoded_boxes, ("train_noflip", "crop_s1.3_flip")),
        "multi_pose": (cases.encoded_poses, ("train_noflip", "crop_s1.2_flip")),
        "ddd": (cases.encoded_3d, ("train_noaug", "train_aug")),
    }[task]
    targets = [encode(reference, name, input_size) for name in names]
    batch = {name: torch.stack([target[name] for target in targets]) for name in targets[0]}
    return {name: v.double() if v.is_floating_point() else v for name, v in batch.items()}


def step(model, task, image, targets):
    """Loss and parts after forward and backward."""
    model.zero_grad()
    total, parts = task.total_loss(model(image), targets)
    total.backward()
    return total.item(), {name: value.item() for name, value in parts.items()}


def check_losses(task, found, expected, tolerance=1e-5):
    total, parts = found
    assert total == pytest.approx(expected["loss"], rel=tolerance)
    for head in task.heads:
        theirs = expected["stats"][f"{STATS[head.name]}_loss"]
        assert parts[head.name] == pytest.approx(theirs, rel=tolerance), head.name


def check(model, task, found, expected):
    check_losses(task, found, expected)
    gradients = {
        name: parameter.grad.norm().item()
        for name, parameter in model.named_parameters()
        if parameter.grad is not None
    }
    whole = sum(norm**2 for norm in gradients.values()) ** 0.5
    assert whole == pytest.approx(expected["grad_norm_total"], rel=1e-5)
    ours = {theirs: name for name, theirs in to_authors(gradients).items()}
    for name, norm in expected["grad_norm"].items():
        # A bias before a normalisation has no gradient but rounding.
        assert gradients[ours[name]] == pytest.approx(norm, rel=1e-5, abs=1e-10 * whole), name


def test_every_network_is_tested(reference):
    assert set(reference.json("losses/full_model.json")) == set(NETWORKS)


@pytest.mark.parametrize(
    "network",
    [pytest.param(name, marks=[] if name in FAST else pytest.mark.slow) for name in NETWORKS],
)
def test_training(reference, cases, network):
    arch, name = network.split("/")
    expected = reference.json("losses/full_model.json")[network]
    batch, _, height, width = expected["input_shape"]
    classes = reference.manifest(arch, name)["heads"]["hm"]
    task = build_task(name, classes, compat=True)
    model = build_model(arch, name, classes)
    load_weights(model, reference.weights(arch, name))
    model.double()
    image = reference.image(batch, height, width).double()
    targets = batch_of(cases, reference, name, (height, width))

    check(model.eval(), task, step(model, task, image, targets), expected["eval"])
    found = step(model.train(), task, image, targets)
    chaotic = expected["train"]["grad_norm_total"] > CHAOTIC
    if chaotic:
        check_losses(task, found, expected["train"], tolerance=0.3)
    else:
        check(model, task, found, expected["train"])

    state = model.state_dict()
    means = {theirs: state[ours] for ours, theirs in to_authors(state).items()}
    for key, values in expected["running_mean_after_1_train_forward"].items():
        assert means[key][: len(values)].tolist() == pytest.approx(values, rel=1e-5, abs=1e-8)

    if chaotic:
        return
    optimizer = torch.optim.Adam(model.parameters(), lr=1.25e-4)
    step(model, task, image, targets)
    optimizer.step()
    with torch.no_grad():
        after = task.total_loss(model(image), targets)[0].item()
    key = next(key for key in expected if key.startswith("train_loss_after_one_adam_step"))
    assert after == pytest.approx(expected[key], rel=1e-5)
