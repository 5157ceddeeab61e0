"""The two loops: train over steps, and evaluate on held-out images."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import islice
from typing import Any, NoReturn, TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from tqdm import tqdm

from centernet_ros.detector import Detector
from centernet_ros.image import normalise
from centernet_ros.models.centernet import CenterNet
from centernet_ros.presets import ModelPreset
from centernet_ros.structures import Detections2D
from centernet_ros.tasks.base import Task
from training.config import OptimiserConfig
from training.data.loading import Batch, EvaluationItem, evaluation_batches, expand
from training.data.sample import Sample, SampleSet
from training.distributed import ALONE, World, wrap
from training.learner import Learner, update_average
from training.measuring import Metrics, measure

EVALUATION_BATCH = 8

HALVES = {"bfloat16": torch.bfloat16, "float16": torch.float16}
"""Types of 16 bits in which convolutions can be computed."""

Item = TypeVar("Item")

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
        seconds: time of the step, without what is measured and written behind it.
        waited: seconds of them in which it waited for its images, which workers prepare meanwhile.
    """

    step: int
    loss: float
    parts: dict[str, float]
    learning_rate: float
    seconds: float
    waited: float


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


def schedule_problems(config: OptimiserConfig, steps_per_epoch: int) -> list[str]:
    """What of its schedule a run is too short for, one sentence each."""
    problems, total = [], config.epochs * steps_per_epoch
    if total < config.warmup_steps:
        problems.append(
            f"optimiser.warmup_steps: the {total} steps of the run end before the "
            f"{config.warmup_steps} of the warm-up do; the learning rate never reaches its peak"
        )
    late = [str(drop) for drop in config.drops if drop >= config.epochs]
    if late:
        problems.append(
            f"optimiser.drops: {', '.join(late)} come to nothing, as the run ends after epoch "
            f"{config.epochs}"
        )
    return problems


def train(
    learner: Learner,
    task: Task[Any],
    *,
    batches: Iterable[Batch],
    preset: ModelPreset,
    config: OptimiserConfig,
    steps_per_epoch: int,
    first_step: int,
    after_step: Callable[[StepResult], bool],
    world: World = ALONE,
    names: Sequence[str] = (),
) -> int:
    """Optimise until the batches end or `after_step` returns False; gives the steps done.

    Args:
        learner: what is trained.
        task: whose losses it learns by.
        batches: `config.accumulate` for each step, of this process.
        preset: how images become network inputs.
        config: the schedule.
        steps_per_epoch: steps in which every image is seen once.
        first_step: steps done before.
        after_step: called after each step; all processes have to give the same answer.
        world: the processes that share the batches.
        names: of the samples, for messages.

    Raises:
        DataError: An image cannot be used; the weights are those of the last whole step.
        TrainingError: The loss is not finite.
    """
    learner.model.train()
    network = wrap(learner.model, world)
    step = first_step
    for parts, waited in _timed(world.together(_parts(batches, config.accumulate))):
        start = time.perf_counter()
        rate = learning_rate(config, step, steps_per_epoch)
        for group in learner.optimiser.param_groups:
            group["lr"] = rate
        step += 1
        learner.optimiser.zero_grad(set_to_none=True)
        losses, suspects = _differentiate(
            network, learner, task, parts, preset=preset, precision=config.precision, world=world
        )
        if not math.isfinite(losses["loss"]):
            _refuse(step, losses, [names[i] for i in suspects] if names else [], world)
        _update(learner, config, step)
        loss = losses.pop("loss")
        seconds = waited + time.perf_counter() - start
        if not after_step(StepResult(step, loss, losses, rate, seconds, waited)):
            break
    return step


def _parts(batches: Iterable[Batch], count: int) -> Iterator[list[Batch]]:
    """Lists of so many batches."""
    iterator = iter(batches)
    while parts := list(islice(iterator, count)):
        yield parts


def _timed(items: Iterator[Item]) -> Iterator[tuple[Item, float]]:
    """Each item, and the seconds that it took to come."""
    start = time.perf_counter()
    for item in items:
        yield item, time.perf_counter() - start
        start = time.perf_counter()


def _differentiate(
    network: nn.Module,
    learner: Learner,
    task: Task[Any],
    parts: Sequence[Batch],
    *,
    preset: ModelPreset,
    precision: str,
    world: World,
) -> tuple[dict[str, float], list[int]]:
    """Add up the gradients of a step in all processes.

    Returns:
        The loss and its parts over the whole batch; the samples of this process that may be the
        reason where it is not finite.
    """
    weights = next(network.parameters())
    device = weights.device
    parts = [expand(part, device) for part in parts]
    counts = world.totals(_sums([task.counts(part) for part in parts]))
    shares, suspects = [], []
    for number, part in enumerate(parts, start=1):
        stacks: list[dict[str, Tensor]]
        with _gradients_stay_here(network) if number < len(parts) else nullcontext():
            image = normalise(part["image"], preset).to(weights.dtype)
            with torch.autocast(device.type, HALVES.get(precision), precision in HALVES):
                stacks = network(image.contiguous(memory_format=torch.channels_last))
            stacks = [
                {name: value.to(weights.dtype) for name, value in maps.items()} for maps in stacks
            ]
            loss, losses = task.total_loss(stacks, part, counts)
            # Averaged over the processes, gradients of shares have to become their sum.
            learner.scaler.scale(loss * world.size).backward()  # type: ignore[no-untyped-call]
            # Not before: a GPU that is asked for a number has nothing to do afterwards.
            if not torch.isfinite(loss):
                suspects += _suspects(task, stacks, part)
        shares.append({"loss": loss.detach(), **{n: value.detach() for n, value in losses.items()}})
    totals = world.totals(_sums(shares))
    numbers: list[float] = torch.stack(list(totals.values())).tolist()
    return dict(zip(totals, numbers, strict=True)), suspects


def _gradients_stay_here(network: nn.Module) -> AbstractContextManager[None]:
    """Leave the exchange of gradients to the last part of a step."""
    return network.no_sync() if isinstance(network, DistributedDataParallel) else nullcontext()


def _sums(items: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    if len(items) == 1:
        return dict(items[0])
    return {name: torch.stack([item[name] for item in items]).sum(0) for name in items[0]}


def _update(learner: Learner, config: OptimiserConfig, step: int) -> None:
    """Change the weights by the gradients at hand."""
    if config.clip:
        learner.scaler.unscale_(learner.optimiser)
        nn.utils.clip_grad_norm_(learner.model.parameters(), config.clip)
    learner.scaler.step(learner.optimiser)
    learner.scaler.update()
    if learner.average is not None:
        update_average(learner.average, learner.model, config.average, step)


@torch.no_grad()
def _suspects(task: Task[Any], stacks: Sequence[Mapping[str, Tensor]], part: Batch) -> list[int]:
    """Samples of a batch whose own loss is not finite; all of them where none stands out."""
    found = []
    samples: list[int] = part["sample"].tolist()
    for i, sample in enumerate(samples):
        own = [{name: value[i : i + 1] for name, value in maps.items()} for maps in stacks]
        loss, _ = task.total_loss(own, {name: value[i : i + 1] for name, value in part.items()})
        if not torch.isfinite(loss):
            found.append(sample)
    return found or samples


def _refuse(
    step: int, losses: Mapping[str, float], suspects: Sequence[str], world: World
) -> NoReturn:
    values = ", ".join(f"{name} {value:g}" for name, value in losses.items() if name != "loss")
    images = ", ".join(world.gathered(suspects))
    raise TrainingError(
        f"loss is not finite at step {step} ({values})"
        + (f" with the images {images}" if images else "")
        + ": look at their labels with training.check, or lower optimiser.learning_rate"
    )


Reader = Callable[[Sequence[EvaluationItem]], list[Detections2D]]
"""Samples with their network inputs and views to the results of each."""


def network_reader(model: CenterNet, task: Task[Any], preset: ModelPreset) -> Reader:
    """The network's answer to the inputs, as the detector decodes it."""
    weights = next(model.parameters())

    def read(items: Sequence[EvaluationItem]) -> list[Detections2D]:
        inputs = torch.stack([item[1] for item in items]).to(weights.device)
        raw = model(normalise(inputs, preset).to(weights.dtype))[-1]
        maps = {name: value.float() for name, value in raw.items()}
        return task.decode(maps, [item[2] for item in items], preset.max_detections)

    return read


def detector_reader(detector: Detector) -> Reader:
    """What a detector, with its executor and testing modes, finds in the images themselves."""

    def read(items: Sequence[EvaluationItem]) -> list[Detections2D]:
        samples = [item[0] for item in items]
        return detector([s.image for s in samples], [s.camera for s in samples])

    return read


@torch.inference_mode()
def predict(
    read: Reader, preset: ModelPreset, samples: SampleSet, workers: int
) -> tuple[list[Sample], list[Detections2D]]:
    """All samples, without their pixels, and what was found in each.

    Raises:
        DataError: An image cannot be used.
    """
    seen: list[Sample] = []
    results: list[Detections2D] = []
    bar = tqdm(total=len(samples), desc="evaluating", unit=" images", leave=False, disable=None)
    with bar:
        for batch in evaluation_batches(samples, preset, EVALUATION_BATCH, workers):
            results += read(batch)
            # Thousands of images do not fit into the memory.
            seen += [dataclasses.replace(item[0], image=_NO_IMAGE) for item in batch]
            bar.update(len(batch))
    return seen, results


def evaluate(
    model: CenterNet, task: Task[Any], preset: ModelPreset, samples: SampleSet, workers: int
) -> Metrics:
    """The metric of a data set, with the preprocessing and decoding of the detector.

    Raises:
        DataError: An image cannot be used.
    """
    training = model.training
    model.eval()
    seen, results = predict(network_reader(model, task, preset), preset, samples, workers)
    model.train(training)
    return measure(samples.benchmark, seen, results, preset.class_names)
