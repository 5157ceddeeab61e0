"""Several processes that train one network, each with its part of every batch."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from centernet_ros.models.centernet import CenterNet
from training.data.sample import DataError
from training.strict import check

Item = TypeVar("Item")

PATIENCE = timedelta(hours=12)
"""How long a process waits for the others, one of which may be evaluating meanwhile."""


@dataclass(frozen=True)
class World:
    """The processes of a run, and which of them this is.

    Attributes:
        rank: number of this process, from 0 on.
        size: number of processes.
    """

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this is the process that writes files, measures and talks."""
        return self.rank == 0

    def check_divides(self, batch_size: int, parts: int) -> None:
        """Refuse batches of which not every process gets as many images.

        Raises:
            ConfigError: It is so.
        """
        step = parts * self.size
        numbers = [n for n in range(1, batch_size + 1) if batch_size % (parts * n) == 0]
        nearest = max(step, (batch_size + (step - 1) // 2) // step * step)
        check(
            batch_size % step == 0,
            f"optimiser.batch_size: {batch_size} images in {parts} parts cannot be shared evenly "
            f"by {self.size} processes, but by {', '.join(map(str, numbers))}; the nearest batch "
            f"for {self.size} has {nearest} images",
        )

    def total(self, values: Tensor) -> Tensor:
        """The sum over all processes."""
        if self.size > 1:
            values = values.clone()
            dist.all_reduce(values)
        return values

    def totals(self, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The sums over all processes, of scalars or vectors, exchanged at once."""
        if self.size == 1:
            return dict(values)
        parts = [value.reshape(-1).double() for value in values.values()]
        sums = torch.split(self.total(torch.cat(parts)), [len(part) for part in parts])
        return {
            name: summed.view_as(value).to(value.dtype)
            for (name, value), summed in zip(values.items(), sums, strict=True)
        }

    def largest(self, number: int) -> int:
        """The largest of the numbers of all processes."""
        if self.size == 1:
            return number
        value = torch.tensor(number)
        dist.all_reduce(value, dist.ReduceOp.MAX)
        return int(value)

    def gathered(self, items: Sequence[str]) -> list[str]:
        """The items of all processes, in the order of the ranks."""
        if self.size == 1:
            return list(items)
        lists: list[Any] = [None] * self.size
        dist.all_gather_object(lists, list(items))
        return [item for part in lists for item in part]

    @contextmanager
    def agreeing(self) -> Iterator[dict[str, str]]:
        """What every process does by itself before they begin to work together.

        What has to be alike in all of them is put into the dict. Else they would train each
        something else, or wait for one that has ended.

        Raises:
            ConfigError: Something is not alike, or has failed in another process.
        """
        facts: dict[str, str] = {}
        own: Exception | None = None
        try:
            yield facts
        except Exception as error:
            own = error
        problem = "" if own is None else f"{own}" or type(own).__name__
        answers: list[Any] = [(problem, facts)]
        if self.size > 1:
            answers = [None] * self.size
            dist.all_gather_object(answers, (problem, facts))
        if own is not None:
            raise own
        for rank, (failure, _) in enumerate(answers):
            check(not failure, f"process {rank} cannot begin: {failure}")
        for rank, (_, others) in enumerate(answers):
            for key, value in facts.items():
                told = f"{value} in process {self.rank}, but {others[key]} in process {rank}"
                check(
                    others[key] == value,
                    f"{key} is {told}: all need the same configuration, data and output folder",
                )

    def together(self, items: Iterator[Item]) -> Iterator[Item]:
        """The items of this process, of which all processes have equally many.

        Raises:
            DataError: An image of any process cannot be used. All of them tell it: none waits for
                another that has ended.
        """
        if self.size == 1:
            yield from items
            return
        while True:
            item, problem = None, ""
            try:
                item = next(items, None)
            except DataError as error:
                problem = str(error)
            if self.largest(len(problem)):
                raise DataError(next(text for text in self.gathered([problem]) if text))
            if item is None:
                return
            yield item


ALONE = World()
"""A run of one process."""


@contextmanager
def joined_world() -> Iterator[World]:
    """The processes that torchrun started this one among; without it, this one alone.

    Tensors of a GPU go through NCCL, all others through Gloo.

    Raises:
        ValueError: The environment that torchrun sets is incomplete.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield ALONE
        return
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    local_rank = int(os.environ.get("LOCAL_RANK", "0"))
    if local_rank < torch.cuda.device_count():
        # NCCL exchanges objects by way of the current GPU.
        torch.cuda.set_device(local_rank)
    dist.init_process_group(backend, timeout=PATIENCE)
    try:
        yield World(dist.get_rank(), size)
    finally:
        dist.destroy_process_group()


def own_device(name: str, world: World) -> str:
    """The device of this process: of several on one machine each takes a GPU of its own."""
    if world.size > 1 and name in ("auto", "cuda") and torch.cuda.is_available():
        return f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
    return name


def wrap(model: CenterNet, world: World) -> nn.Module:
    """The network as several processes train it: gradients are averaged as they arise."""
    if world.size == 1:
        return model
    return DistributedDataParallel(
        model, broadcast_buffers=False, find_unused_parameters=has_unused_parameters(model)
    )


def has_unused_parameters(model: CenterNet) -> bool:
    """Whether some weights that are trained have no influence on any map."""
    training = model.training
    model.eval()
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    step = model.input_multiple
    image = torch.zeros(1, 3, step, step, dtype=weights[0].dtype, device=weights[0].device)
    answer = torch.stack([value.sum() for maps in model(image) for value in maps.values()]).sum()
    gradients = torch.autograd.grad(answer, weights, allow_unused=True)
    model.train(training)
    return any(gradient is None for gradient in gradients)


def synchronise_statistics(model: nn.Module, device: torch.device) -> nn.Module:
    """Replace batch normalisation by one over the images of all processes."""
    if device.type == "cuda":
        convert: Callable[[nn.Module], nn.Module] = nn.SyncBatchNorm.convert_sync_batchnorm
        return convert(model)
    for name, layer in list(model.named_children()):
        if isinstance(layer, nn.BatchNorm2d):
            setattr(model, name, SharedBatchNorm2d.like(layer))
        else:
            synchronise_statistics(layer, device)
    return model


class SharedBatchNorm2d(nn.BatchNorm2d):
    """Batch normalisation over the images of all processes, for CPUs.

    `nn.SyncBatchNorm` is for GPUs alone. Every process has equally many images of one size.
    """

    @classmethod
    def like(cls, layer: nn.BatchNorm2d) -> SharedBatchNorm2d:
        """One with the parameters and running statistics of another."""
        shared = cls(layer.num_features, layer.eps, layer.momentum)
        for name, value in {**layer._parameters, **layer._buffers}.items():
            setattr(shared, name, value)
        return shared

    def forward(self, input: Tensor) -> Tensor:
        """Normalise (B, C, H, W)."""
        if not self.training:
            return super().forward(input)
        values = input if input.dtype == torch.float64 else input.float()
        mean: Tensor = _WorldMean.apply(values.mean((0, 2, 3)))  # type: ignore[no-untyped-call]
        centred = values - mean[:, None, None]
        spread = centred.square().mean((0, 2, 3))
        variance: Tensor = _WorldMean.apply(spread)  # type: ignore[no-untyped-call]
        self._remember(mean.detach(), variance.detach(), values.numel() // len(mean))
        scale = self.weight * (variance + self.eps).rsqrt()
        return (centred * scale[:, None, None] + self.bias[:, None, None]).to(input.dtype)

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor, own_count: int) -> None:
        """Move the running statistics, whose variance is that of a sample."""
        count = own_count * dist.get_world_size()
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked += 1
        momentum = 0.1 if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, momentum)
        self.running_var.lerp_(variance * count / max(1, count - 1), momentum)


class _WorldMean(torch.autograd.Function):
    """The mean over all processes; its gradient is the mean of theirs."""

    @staticmethod
    def forward(_ctx: Any, values: Tensor) -> Tensor:
        return _mean(values)

    @staticmethod
    def backward(_ctx: Any, *gradients: Tensor) -> Tensor:
        return _mean(gradients[0])


def _mean(values: Tensor) -> Tensor:
    values = values.clone()
    dist.all_reduce(values)
    return values / dist.get_world_size()
