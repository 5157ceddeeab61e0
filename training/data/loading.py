"""Samples -> batches: the same batches for the same seed, wherever a run starts or resumes."""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from centernet_ros.image import view_of, warp
from centernet_ros.presets import Fit, ModelPreset
from centernet_ros.structures import View
from centernet_ros.tasks import build_task
from centernet_ros.tasks.base import Task
from training.augment import random_colour, random_view
from training.config import RunConfig
from training.data.sample import DataError, Sample, SampleSet
from training.distributed import ALONE, World

Batch = dict[str, Tensor]
"""`image` (B, H, W, 3) uint8, `sample` (B,) its number in the set, and the task's targets.

From the loader to `expand` a map (B, C, H, W) is `<name>.cells`, `<name>.values`, `<name>.shape`:
with many classes it has megabytes of zeros for each image, which would cost more than all else.
"""


EvaluationItem = tuple[Sample, Tensor, View]
"""A sample, its (H, W, 3) uint8 network input and its view."""


class TrainingSet(Dataset[Batch]):
    """Augmented images with targets; an item is known by its epoch and index alone."""

    def __init__(self, samples: SampleSet, config: RunConfig) -> None:
        self.samples = samples
        self.config = config
        self.preset = config.preset(samples.class_names)
        self.task = training_task(config, self.preset)
        self._cache: dict[int, Sample] = {}
        self._cache_left = _cache_size(config.data.workers) if config.data.cache else 0

    def _read(self, index: int) -> Sample:
        """A sample, from memory where the run keeps what was rendered once."""
        if index in self._cache:
            return self._cache[index]
        sample = self.samples[index]
        if sample.image.nbytes <= self._cache_left:
            self._cache_left -= sample.image.nbytes
            self._cache[index] = sample
        return sample

    def __getitem__(self, key: tuple[int, int]) -> Batch:
        """Network input and targets of (epoch, index)."""
        epoch, index = key
        sample = self._read(index)
        # Random numbers that belong to the item: no worker and no resumed run draws others.
        random = np.random.default_rng([self.config.seed, epoch, index])
        view = random_view(sample, self.preset, self.config.augment, random)
        image = random_colour(warp(sample.image, view), self.config.augment, random)
        targets = self.task.encode(sample.truth, view, view.grid_size, sample.ignored)
        return {"image": torch.from_numpy(image), "sample": torch.tensor(index), **targets}


def _cache_size(workers: int) -> int:
    """Bytes of images that each of so many workers may keep: half of the memory in all."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return memory // 2 // max(1, workers)


@dataclass(frozen=True)
class ShuffledSteps(Sampler[list[tuple[int, int]]]):
    """The keys of every batch from a step of the run on, shuffled anew in each epoch.

    A step takes `accumulate` batches one after another. Each is shared among the processes, so that
    the same images meet in it however many there are.
    """

    config: RunConfig
    num_images: int
    first_step: int
    world: World = ALONE

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        steps = self.config.steps_per_epoch(self.num_images)
        size, parts = self.config.optimiser.batch_size, self.config.optimiser.accumulate
        share = size // (parts * self.world.size)
        shuffled = -1, np.arange(0)
        for step in range(self.first_step, steps * self.config.optimiser.epochs):
            epoch, batch = divmod(step, steps)
            if shuffled[0] != epoch:
                random = np.random.default_rng([self.config.seed, epoch])
                shuffled = epoch, random.permutation(self.num_images)
            indices = shuffled[1][batch * size : (batch + 1) * size]
            for part in range(parts):
                start = (part * self.world.size + self.world.rank) * share
                yield [(epoch, int(i)) for i in indices[start : start + share]]


def training_task(config: RunConfig, preset: ModelPreset) -> Task[Any]:
    """The task with the losses that a run chooses."""
    options = {}
    if config.loss.regression == "smooth_l1":
        options["smooth_regression"] = True
    if config.loss.mean_over == "objects":
        options["mean_over_objects"] = True
    task = build_task(preset.task, len(preset.class_names), compat=preset.compat, **options)
    task.heads = tuple(
        dataclasses.replace(head, loss_weight=config.loss.size_weight)
        if head.name == "size"
        else head
        for head in task.heads
    )
    return task


def training_batches(
    samples: SampleSet,
    config: RunConfig,
    first_step: int,
    world: World = ALONE,
    *,
    pinned: bool = False,
) -> Iterator[Batch]:
    """Every batch of the run from a step on: this process's share of it, see `ShuffledSteps`.

    Args:
        samples: the images.
        config: the run.
        first_step: steps done before.
        world: the processes that share the batches.
        pinned: whether batches lie in memory that a GPU reads by itself.

    Raises:
        DataError: An image cannot be used.
    """
    loader = DataLoader(
        TrainingSet(samples, config),
        batch_sampler=ShuffledSteps(config, len(samples), first_step, world),
        collate_fn=compact,
        pin_memory=pinned,
        **_workers(config.data.workers),
    )
    return _without_traceback(loader)


def compact(items: Sequence[Batch]) -> Batch:
    """A batch of items, whose maps are told by what is not zero in them."""
    batch: Batch = {}
    for name in items[0]:
        values = [item[name] for item in items]
        if name == "image" or values[0].dim() != 3:
            batch[name] = torch.stack(values)
            continue
        size = values[0].numel()
        cells = [_filled(value) for value in values]
        batch[f"{name}.cells"] = torch.cat([own + i * size for i, own in enumerate(cells)])
        batch[f"{name}.values"] = torch.cat(
            [value.flatten()[own] for value, own in zip(values, cells, strict=True)]
        )
        batch[f"{name}.shape"] = torch.tensor([len(items), *values[0].shape])
    return batch


def _filled(values: Tensor) -> Tensor:
    """Where a map (C, H, W) is not zero, as indices of it in one row.

    Most of COCO's 80 classes are in no image, and that is seen sooner than that no cell is.
    """
    rows = values.flatten(1)
    channels = ((rows.amax(1) != 0) | (rows.amin(1) != 0)).nonzero().flatten()
    channel, cell = values[channels].flatten(1).nonzero().unbind(1)
    return channels[channel] * values[0].numel() + cell


def expand(batch: Batch, device: torch.device) -> Batch:
    """A batch of `compact` on a device, with its maps as the task drew them."""
    # A GPU copies by itself what is pinned, in the order of its work.
    there = {name: value.to(device, non_blocking=True) for name, value in batch.items()}
    moved = {name: value for name, value in there.items() if "." not in name}
    for name in [name.removesuffix(".cells") for name in batch if name.endswith(".cells")]:
        images, channels, height, width = batch[f"{name}.shape"].tolist()
        values = there[f"{name}.values"]
        whole = values.new_zeros(images, height, width, channels)
        plane, cell = (
            there[f"{name}.cells"] // (height * width),
            there[f"{name}.cells"] % (height * width),
        )
        place = (plane // channels * height * width + cell) * channels + plane % channels
        whole.view(-1)[place] = values
        # As the network's answer lies in memory: losses go through both at once.
        moved[name] = whole.permute(0, 3, 1, 2)
    return moved


class EvaluationSet(Dataset[EvaluationItem]):
    """Images as the detector would see them, with their samples."""

    def __init__(self, samples: SampleSet, preset: ModelPreset) -> None:
        self.samples = samples
        self.preset = preset

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> EvaluationItem:
        """See `EvaluationItem`."""
        sample = self.samples[index]
        size = (sample.image.shape[0], sample.image.shape[1])
        view = view_of(size, self.preset, sample.camera)
        return sample, torch.from_numpy(warp(sample.image, view)), view


def evaluation_batches(
    samples: SampleSet, preset: ModelPreset, batch_size: int, workers: int
) -> Iterator[list[EvaluationItem]]:
    """Lists of (sample, input, view) in the order of the samples.

    Inputs of a list have one size: where they differ (`Fit.KEEP`), it holds one.

    Raises:
        DataError: An image cannot be used.
    """
    loader: DataLoader[Any] = DataLoader(
        EvaluationSet(samples, preset),
        batch_size=1 if preset.fit is Fit.KEEP else batch_size,
        collate_fn=list,
        **_workers(workers),
    )
    return _without_traceback(loader)


def _without_traceback(loader: DataLoader[Any]) -> Iterator[Any]:
    """The batches; an error in the data is one line, also when it happened in a worker."""
    try:
        yield from loader
    except DataError as error:
        raise DataError(str(error).rstrip().rpartition("DataError: ")[2]) from None
    except RuntimeError as error:
        if not str(error).startswith("DataLoader worker"):
            raise
        raise DataError(
            "a process that prepares images was ended from outside, mostly for want of memory: set "
            "data.cache to false, take fewer data.workers, or make /dev/shm larger"
        ) from None


def _workers(count: int) -> dict[str, Any]:
    """What a DataLoader needs to know of its processes."""
    if not count:
        return {"num_workers": 0}
    # Not forked from this process: a fork inherits the locks of OpenCV's and OpenMP's threads, and
    # who finds one of them taken waits for ever. Nor spawned: each worker would import PyTorch.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["training.data.fork_server"])
    return {
        "num_workers": count,
        "worker_init_fn": _prepare_worker,
        "multiprocessing_context": context,
    }


def _prepare_worker(_worker: int) -> None:
    """Make a process that renders and warps a modest companion of the training process."""
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    threading.Thread(target=_end_with_parent, name="end-with-parent", daemon=True).start()


def _end_with_parent() -> None:
    """End this process when the training process is gone, also if that was killed.

    PyTorch watches the process that forked this one, which itself waits for this one to end.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
