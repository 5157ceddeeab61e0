"""What a task is: its heads, and the way from ground truth to targets, losses and results."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch import Tensor

from centernet_ros.structures import Detections2D, View
from centernet_ros.tasks.heatmap import Values

MAX_DETECTIONS = 100
"""Peaks kept per image (paper, section 4)."""

HEATMAP_BIAS = -2.19
"""Initial bias of heat map heads: sigmoid(-2.19) = 0.1, training starts from 'hardly anything'."""

Maps = Mapping[str, Tensor]
"""Head name to a map (B, channels, H, W): raw, as the network gives it, or its values."""

Counts = Mapping[str, Tensor]
"""Head name to what its loss is divided by: a number, or (n,) where it has several parts."""

Result = TypeVar("Result", bound=Detections2D)


def identity(value: Tensor) -> Tensor:
    """The activation of heads whose raw map is their value."""
    return value


def mirror(values: Tensor) -> Tensor:
    """Exchange left and right of a (B, C, H, W) map."""
    return values.flip(-1)


def to_cpu(values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same values on the CPU, after a single wait for the device that holds all of them."""
    first = next(iter(values.values()))
    if not first.is_cuda:
        return dict(values)
    copies = {
        name: torch.empty_like(value, device="cpu", pin_memory=True)
        for name, value in values.items()
    }
    for name, copy in copies.items():
        copy.copy_(values[name], non_blocking=True)
    torch.cuda.current_stream(first.device).synchronize()
    return copies


@dataclass(frozen=True)
class Head:
    """One output map of the network.

    Attributes:
        name: name of the map.
        channels: number of channels.
        loss_weight: factor of its loss in the sum.
        activation: raw map to value; applied by `Task.activate` and nowhere else.
        initial_bias: bias of its last convolution before training; None for a regression head.
        unmirror: turns the values that a mirrored image gave into values of the image itself, so
            that both can be averaged; None where the mirrored image's values are left out.
        dense: whether its whole map is computed. Else, where that is possible, only its values at
            the cells that decoding reads (`models/sparse_heads.py`).
    """

    name: str
    channels: int
    loss_weight: float = 1.0
    activation: Callable[[Tensor], Tensor] = identity
    initial_bias: float | None = None
    unmirror: Callable[[Tensor], Tensor] | None = None
    dense: bool = False


class Task(ABC, Generic[Result]):
    """One kind of result: its heads, and the way into and out of their maps."""

    heads: tuple[Head, ...]
    num_classes: int

    @abstractmethod
    def encode(
        self,
        truth: Result,
        view: View,
        grid: tuple[int, int],
        ignored: Detections2D | None = None,
    ) -> dict[str, Tensor]:
        """Draw the ground truth of one image as the maps and values that the losses compare with.

        Args:
            truth: objects in pixels of the original image.
            view: how that image lies on the grid.
            grid: height, width of the grid in cells.
            ignored: regions that count neither as object nor as background; label -1 stands for
                every class.
        """

    @abstractmethod
    def counts(self, targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What each head's loss is a mean over, in a batch of `encode`'s targets.

        The counts of the parts of a batch add up to those of the batch.
        """

    @abstractmethod
    def losses(
        self, maps: Maps, targets: Mapping[str, Tensor], counts: Counts | None = None
    ) -> dict[str, Tensor]:
        """One unweighted scalar per head, of raw maps and a batch of `encode`'s targets.

        With the `counts` of a larger batch, it is this part's share: the shares of all parts add up
        to the loss of that batch.
        """

    @abstractmethod
    def collect(self, values: Values, max_detections: int) -> dict[str, Tensor]:
        """What the values at the best peaks say of objects on the grid: (B, K, ...) each.

        It runs on the device of the values. On a GPU it never looks at one, so that it can be
        recorded.
        """

    @abstractmethod
    def assemble(self, found: Mapping[str, Tensor], views: Sequence[View]) -> list[Result]:
        """What `collect` found, on the CPU, as results of each image in its own pixels."""

    def read(
        self, values: Maps, views: Sequence[View], max_detections: int = MAX_DETECTIONS
    ) -> list[Result]:
        """Read the results of each image off a batch of values, best score first, on the CPU."""
        found = self.collect(Values(values), max_detections)
        return self.assemble(to_cpu(found), views)

    def decode(
        self,
        maps: Maps,
        views: Sequence[View],
        max_detections: int = MAX_DETECTIONS,
        *,
        mirrored: Maps | None = None,
    ) -> list[Result]:
        """Results of each image from a batch of raw maps, best score first, on the CPU.

        Args:
            maps: what the network answered to the images.
            views: how each image lies on the input.
            max_detections: results per image at most.
            mirrored: what it answered to the same inputs with left and right exchanged; the two
                answers are merged before anything is read.
        """
        return self.read(self.values(maps, mirrored), views, max_detections)

    def values(self, maps: Maps, mirrored: Maps | None = None) -> dict[str, Tensor]:
        """Raw maps to values, merged with those of mirrored inputs; see `decode`."""
        values = self.activate(maps)
        if mirrored is not None:
            values = self.merge_mirrored(values, self.activate(mirrored))
        return values

    def activate(self, maps: Maps) -> dict[str, Tensor]:
        """Raw maps to values; the raw maps stay as they are."""
        return {head.name: head.activation(maps[head.name]) for head in self.heads}

    def merge_mirrored(self, values: Maps, mirrored: Maps) -> dict[str, Tensor]:
        """Average the values of images with those of the mirrored images, as each head says.

        NOTE: Values and not raw maps are averaged, and offsets are the image's own, as in the
        authors' flip test; the paper (section 5) averages all outputs.
        """
        merged = dict(values)
        for head in self.heads:
            if head.unmirror is not None:
                merged[head.name] = (values[head.name] + head.unmirror(mirrored[head.name])) / 2
        return merged

    def total_loss(
        self,
        stacks: Sequence[Maps],
        targets: Mapping[str, Tensor],
        counts: Counts | None = None,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Weighted sum of the heads' losses averaged over the stacks, and each head's average.

        `counts` are those of `losses`.
        """
        per_stack = [self.losses(maps, targets, counts) for maps in stacks]
        parts = {
            head.name: sum(losses[head.name] for losses in per_stack) / len(stacks)
            for head in self.heads
        }
        total = sum(head.loss_weight * parts[head.name] for head in self.heads)
        return total, parts  # type: ignore[return-value]
