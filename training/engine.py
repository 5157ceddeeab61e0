"""The two loops: train over steps, and evaluate on held-out images."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from centernet_ros.image import normalise
from centernet_ros.models.centernet import CenterNet
from centernet_ros.presets import ModelPreset
from centernet_ros.structures import Detections2D
from centernet_ros.tasks.base import Task
from training.config import OptimiserConfig
from training.data.loading import Batch, evaluation_batches
from training.data.sample import Sample, SampleSet
from training.measuring import Metrics, measure

EVALUATION_BATCH = 8

_NO_IMAGE = np.zeros((0, 0, 3), np.uint8)


class TrainingError(RuntimeError):
    """Training cannot go on; the message says where it stopped and why."""


@dataclass(frozen=True)
class StepResult:
    """What one optimisation step was like.

    Attributes:
        step: number of steps done since the start of the run, this one included.
        loss: weighted sum of the losses.
        parts: unweighted loss of each head.
        learning_rate: learning rate of the step.
    """

    step: int
    loss: float
    parts: dict[str, float]
    learning_rate: float


def learning_rate(config: OptimiserConfig, step: int, steps_per_epoch: int) -> float:
    """Learning rate of a step (from 0): warm-up, then drops or half a cosine."""
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    if config.schedule == "step":
        epoch = step // steps_per_epoch
        return config.learning_rate * 0.1 ** sum(epoch >= drop for drop in config.drops)
    total = config.epochs * steps_per_epoch
    progress = (step - config.warmup_steps) / max(1, total - config.warmup_steps)
    return config.learning_rate * (1 + math.cos(math.pi * min(1.0, progress))) / 2


def train(
    model: nn.Module,
    task: Task[Any],
    optimiser: torch.optim.Optimizer,
    *,
    batches: Iterable[Batch],
    preset: ModelPreset,
    config: OptimiserConfig,
    steps_per_epoch: int,
    first_step: int,
    after_step: Callable[[StepResult], bool],
) -> int:
    """Optimise until the batches end or `after_step` returns False; gives the steps done.

    Raises:
        TrainingError: The loss is not finite.
    """
    model.train()
    device = next(model.parameters()).device
    half = config.precision == "bfloat16"
    step = first_step
    for batch in batches:
        rate = learning_rate(config, step, steps_per_epoch)
        for group in optimiser.param_groups:
            group["lr"] = rate
        targets = {name: value.to(device) for name, value in batch.items() if name != "image"}
        image = normalise(batch["image"].to(device), preset)
        with torch.autocast(device.type, torch.bfloat16, enabled=half):
            stacks = model(image.contiguous(memory_format=torch.channels_last))
        stacks = [{name: value.float() for name, value in maps.items()} for maps in stacks]
        loss, parts = task.total_loss(stacks, targets)
        if not torch.isfinite(loss):
            losses = ", ".join(f"{name} {value.item():g}" for name, value in parts.items())
            raise TrainingError(f"loss is not finite at step {step + 1} ({losses})")
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        step += 1
        values = {name: value.item() for name, value in parts.items()}
        if not after_step(StepResult(step, loss.item(), values, rate)):
            break
    return step


@torch.inference_mode()
def evaluate(
    model: CenterNet, task: Task[Any], preset: ModelPreset, samples: SampleSet, workers: int
) -> Metrics:
    """The metric of a data set, with the preprocessing and decoding of the detector.

    Raises:
        DataError: An image cannot be used.
    """
    training = model.training
    model.eval()
    device = next(model.parameters()).device
    seen: list[Sample] = []
    results: list[Detections2D] = []
    batches = evaluation_batches(samples, preset, EVALUATION_BATCH, workers)
    for batch in tqdm(batches, desc="evaluating", unit="batch", leave=False):
        inputs: Tensor = torch.stack([item[1] for item in batch]).to(device)
        maps = model(normalise(inputs, preset))[-1]
        results += task.decode(maps, [item[2] for item in batch], preset.max_detections)
        # Thousands of images do not fit into the memory.
        seen += [dataclasses.replace(item[0], image=_NO_IMAGE) for item in batch]
    model.train(training)
    return measure(samples.benchmark, seen, results, preset.class_names)
