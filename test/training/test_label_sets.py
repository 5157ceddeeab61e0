"""One step on any labels: the loss stays finite, and so do the weights."""

import numpy as np
import pytest
import torch

from centernet_ros.models import build_model
from centernet_ros.presets import ModelPreset
from centernet_ros.structures import CameraIntrinsics, Detections2D, Detections3D, Poses, View
from centernet_ros.tasks import TASKS, build_task
from training.config import OptimiserConfig
from training.engine import train
from training.learner import start_learner

SIZE = (64, 96)
CAMERA = CameraIntrinsics.pinhole(80, (48, 32), SIZE)
KINDS = ("none", "pixel", "edges", "duplicates", "hundreds", "one class", "any")


def random_boxes(random, kind):
    """Boxes (N, 4) of one of the `KINDS` in an image of 96x64 pixels."""
    count = {"none": 0, "hundreds": int(random.integers(200, 500))}.get(
        kind, int(random.integers(1, 20))
    )
    corners = random.uniform(0, 1, (count, 2, 2)) * (96, 64)
    boxes = np.concatenate([corners.min(1), corners.max(1)], 1)
    if kind == "pixel":
        boxes[:, 2:] = boxes[:, :2] + 1
    if kind == "edges":
        side = random.integers(0, 4, count)
        boxes[np.arange(count), side] = np.array([0.0, 0, 96, 64])[side]
    if kind == "duplicates":
        boxes[:] = boxes[:1]
    return torch.from_numpy(boxes).float()


def random_truth(random, task_name, kind):
    boxes = random_boxes(random, kind)
    count = len(boxes)
    labels = torch.from_numpy(random.integers(0, 3, count)) * (kind != "one class")

    def values(low, high, *shape):
        return torch.from_numpy(random.uniform(low, high, (count, *shape))).float()

    flat = (boxes, torch.ones(count), labels)
    if task_name == "pose":
        known = (values(0, 1, 17) > 0.5).float()
        return Poses(boxes, torch.ones(count), labels * 0, values(-20, 120, 17, 2), known)
    if task_name == "detection3d":
        locations = torch.cat([values(-30, 30, 2), values(0.1, 90, 1)], 1)
        return Detections3D(
            *flat, values(0.1, 20, 3), locations, values(-4, 4), values(-np.pi, np.pi)
        )
    return Detections2D(*flat)


def random_batch(random, task, task_name, size):
    """A batch of noise with random labels and regions to ignore."""
    view = View(SIZE, SIZE, torch.eye(2, 3, dtype=torch.float64), CAMERA)
    targets = []
    for _ in range(size):
        truth = random_truth(random, task_name, random.choice(KINDS))
        regions = random_boxes(random, random.choice(["none", "edges"]))
        every_class = torch.full((len(regions),), -1)
        ignored = Detections2D(regions, torch.ones(len(regions)), every_class)
        targets.append(task.encode(truth, view, view.grid_size, ignored))
    image = torch.from_numpy(random.integers(0, 256, (size, *SIZE, 3)).astype(np.uint8))
    stacked = {name: torch.stack([item[name] for item in targets]) for name in targets[0]}
    return {"image": image, "sample": torch.arange(size), **stacked}


def learn(task_name, num_sets, seed, **options):
    """One step on each of many label sets, in batches of one to three images."""
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    classes = 1 if task_name == "pose" else 3
    task = build_task(task_name, classes, **options)
    config = OptimiserConfig(batch_size=1, warmup_steps=0, schedule="step", learning_rate=1e-4)
    model = build_model("resnet18_pyramid", task_name, classes)
    learner = start_learner(model, config, torch.device("cpu"))
    results = []
    train(
        learner,
        task,
        batches=(
            random_batch(random, task, task_name, int(random.integers(1, 4)))
            for _ in range(num_sets)
        ),
        preset=ModelPreset(task_name, "resnet18_pyramid", ("a", "b", "c")[:classes], SIZE),
        config=config,
        steps_per_epoch=num_sets,
        first_step=0,
        after_step=lambda result: results.append(result) or True,
    )
    assert len(results) == num_sets
    assert all(np.isfinite([result.loss, *result.parts.values()]).all() for result in results)
    assert all(weight.isfinite().all() for weight in learner.model.parameters())


@pytest.mark.parametrize("task_name", TASKS)
def test_any_labels_have_a_finite_loss(task_name):
    learn(task_name, num_sets=15, seed=0)


def test_any_labels_have_a_finite_mean_over_objects():
    learn("detection3d", num_sets=15, seed=2, mean_over_objects=True)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("task_name", TASKS)
def test_thousands_of_labels_have_a_finite_loss(task_name):
    learn(task_name, num_sets=667, seed=1)
