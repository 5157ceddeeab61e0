"""Networks with the authors' weights give the authors' numbers."""

import re

import pytest
import torch

from centernet_ros.checkpoint import load_weights
from centernet_ros.models import build_model
from centernet_ros.tasks import build_task

RESNET_NAMES = [
    (r"^conv1\.", "backbone.stem.0."),
    (r"^bn1\.", "backbone.stem.1."),
    (r"^layer(\d)\.", lambda match: f"backbone.stages.{int(match[1]) - 1}."),
    (
        r"^deconv_layers\.(\d+)\.",
        # The authors' flat list of eighteen, ours in three blocks of six.
        lambda match: f"backbone.up.{int(match[1]) // 6}.{int(match[1]) % 6}.",
    ),
    (r"^hm\.", "heads.heatmap."),
    (r"^wh\.", "heads.size."),
    (r"^reg\.", "heads.offset."),
]


def renamed(name):
    for pattern, replacement in RESNET_NAMES:
        name, count = re.subn(pattern, replacement, name)
        if count:
            return name
    raise AssertionError(f"{name} has no counterpart")


@pytest.fixture(scope="module")
def resnet18(reference):
    """ResNet-18 for COCO's 80 classes, with the weights of the reference, in float64."""
    model = build_model("resnet18", "detection2d", 80).double().eval()
    weights = reference.weights("resdcn_18", "ctdet")
    load_weights(model, {renamed(name): value for name, value in weights.items()})
    return model


@pytest.mark.parametrize("size", ["128x160", "256x320"])
def test_resnet18_maps(reference, resnet18, size):
    expected = reference.npz("networks/resdcn_18_ctdet.npz")
    height, width = map(int, size.split("x"))
    image = torch.from_numpy(reference.formulas.image(0, 1, height, width)).double()
    with torch.no_grad():
        stacks = resnet18(image)
    assert len(stacks) == 1
    for theirs, name in (("hm", "heatmap"), ("wh", "size"), ("reg", "offset")):
        value, key = stacks[0][name], f"{size}/stack0/{theirs}"
        assert list(value.shape) == expected[f"{key}/shape"].tolist()
        read = value.flatten()[torch.from_numpy(expected[f"{key}/idx"]).long()]
        torch.testing.assert_close(
            read, torch.from_numpy(expected[f"{key}/val64"]), rtol=0, atol=1e-5
        )
        assert value.mean().item() == pytest.approx(expected[f"{key}/mean"].item(), abs=1e-3)


def test_resnet18_parameter_count():
    model = build_model("resnet18", "detection2d", 80)
    assert sum(parameter.numel() for parameter in model.parameters()) == 14_437_349


def test_loss_and_gradients_of_a_whole_step(reference, resnet18):
    """Targets, network and losses together, through every layer and back."""
    task = build_task("detection2d", 80)
    samples = []
    for case in ("train_noflip", "crop_s1.3_flip"):
        truth, view = reference.annotated_image(case)
        samples.append(task.encode(truth, view, view.grid_size))
    targets = {name: torch.stack([s[name] for s in samples]) for name in samples[0]}
    image = torch.from_numpy(reference.formulas.image(0, 2, 256, 320)).double()
    loss, parts = task.total_loss(resnet18(image), targets)
    loss.backward()

    expected = reference.json("losses/full_model.json")["resdcn_18/ctdet"]["eval"]
    assert loss.item() == pytest.approx(expected["loss"], rel=1e-6)
    for theirs, name in (("hm", "heatmap"), ("wh", "size"), ("off", "offset")):
        assert parts[name].item() == pytest.approx(expected["stats"][f"{theirs}_loss"], rel=1e-6)
    gradients = {name: p.grad for name, p in resnet18.named_parameters()}
    for theirs, norm in expected["grad_norm"].items():
        assert gradients[renamed(theirs)].norm().item() == pytest.approx(norm, rel=1e-5), theirs
    resnet18.zero_grad()
