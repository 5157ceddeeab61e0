"""A whole step of training with the authors' weights gives the authors' numbers."""

import pytest
import torch

from centernet_ros.checkpoint import load_weights
from centernet_ros.checkpoint.authors import to_authors
from centernet_ros.models import build_model
from centernet_ros.tasks import build_task


@pytest.fixture(scope="module")
def resnet18(reference):
    """ResNet-18 for COCO's 80 classes, with the weights of the reference, in float64."""
    model = build_model("resnet18", "detection2d", 80).double().eval()
    load_weights(model, reference.weights("resdcn_18", "ctdet"))
    return model


def test_loss_and_gradients_of_a_whole_step(reference, resnet18):
    """Targets, network and losses together, through every layer and back."""
    task = build_task("detection2d", 80)
    samples = []
    for case in ("train_noflip", "crop_s1.3_flip"):
        truth, view = reference.annotated_image(case)
        samples.append(task.encode(truth, view, view.grid_size))
    targets = {name: torch.stack([s[name] for s in samples]) for name in samples[0]}
    image = torch.from_numpy(
        reference.formulas.image(reference.seeds["image"], 2, 256, 320)
    ).double()
    loss, parts = task.total_loss(resnet18(image), targets)
    loss.backward()

    expected = reference.json("losses/full_model.json")["resdcn_18/ctdet"]["eval"]
    assert loss.item() == pytest.approx(expected["loss"], rel=1e-6)
    for theirs, name in (("hm", "heatmap"), ("wh", "size"), ("off", "offset")):
        assert parts[name].item() == pytest.approx(expected["stats"][f"{theirs}_loss"], rel=1e-6)
    names = to_authors(resnet18.state_dict())
    gradients = {names[name]: p.grad for name, p in resnet18.named_parameters()}
    for theirs, norm in expected["grad_norm"].items():
        assert gradients[theirs].norm().item() == pytest.approx(norm, rel=1e-5), theirs
    resnet18.zero_grad()
