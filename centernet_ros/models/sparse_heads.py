"""Heads computed only at the cells that decoding reads.

Of all heads but the heat maps an answer holds the values at the peaks' cells, some hundred of ten
thousands (paper, section 4). Computed there alone, they leave a twelfth (ResNet-18) to a third
(DLA-34 in 3D) of a network's operations out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from centernet_ros.models.centernet import CenterNet
from centernet_ros.tasks.base import Head
from centernet_ros.tasks.heatmap import Values

FEATURES = "features"
"""Name of what the heads start from, beside the maps: (B, H, W, C)."""


class SparseHeads:
    """The heads of a trained network that are read at the cells of peaks only."""

    def __init__(self, model: CenterNet, heads: Sequence[Head]) -> None:
        """Take the weights of the heads that are not dense, which are those of the task."""
        self._dense = [head for head in heads if head.dense]
        self._sparse = {
            head.name: _AtCells.of(cast(nn.Sequential, model.heads[head.name]), head.activation)
            for head in heads
            if not head.dense
        }

    def values(self, maps: Mapping[str, Tensor]) -> Values:
        """The values of all heads, from the raw maps of what `split_heads` left of the network."""
        dense = {head.name: head.activation(maps[head.name]) for head in self._dense}
        return _SparseValues(dense, maps[FEATURES], self._sparse)


def split_heads(model: CenterNet, heads: Sequence[Head]) -> tuple[CenterNet, SparseHeads]:
    """A network in two: one that answers its dense heads' maps and its features, and the rest.

    Both share the weights of the model, which is put into evaluation mode; its last stack alone is
    answered.
    """
    trunk = CenterNet(model.backbone, ())
    dense = {head.name: model.heads[head.name] for head in heads if head.dense}
    trunk.heads = nn.ModuleDict({**dense, FEATURES: _ChannelsLast()})
    return trunk.eval(), SparseHeads(model, heads)


class _SparseValues(Values):
    """Values of dense heads, and of sparse ones where they are asked for."""

    def __init__(
        self, dense: Mapping[str, Tensor], features: Tensor, sparse: Mapping[str, _AtCells]
    ) -> None:
        super().__init__(dense)
        self._features = features
        self._sparse = sparse
        # Most heads are read at the same cells.
        self._cells: Tensor | None = None
        self._patches = features

    def at(self, name: str, cells: Tensor) -> Tensor:
        """Values (B, K, C) of a head at cell indices (B, K)."""
        if name not in self._sparse:
            return super().at(name, cells)
        if cells is not self._cells:
            self._cells, self._patches = cells, neighbourhoods(self._features, cells)
        return self._sparse[name](self._patches)


@dataclass(frozen=True)
class _AtCells:
    """A head, 3x3 convolution, ReLU and 1x1 convolution, as two matrix products.

    Attributes:
        taps: (9 * C, hidden), the first convolution's weights.
        taps_bias: (hidden,).
        mix: (hidden, channels), the last one's.
        mix_bias: (channels,).
        activation: raw values to values.
    """

    taps: Tensor
    taps_bias: Tensor
    mix: Tensor
    mix_bias: Tensor
    activation: Callable[[Tensor], Tensor]

    @classmethod
    def of(cls, head: nn.Sequential, activation: Callable[[Tensor], Tensor]) -> _AtCells:
        first, _, last = (cast(nn.Conv2d, layer) for layer in head)
        return cls(
            first.weight.detach().permute(2, 3, 1, 0).flatten(0, 2),
            cast(Tensor, first.bias).detach(),
            last.weight.detach().flatten(1).t(),
            cast(Tensor, last.bias).detach(),
            activation,
        )

    def __call__(self, patches: Tensor) -> Tensor:
        """Neighbourhoods (B, K, 9 * C) of the features to values (B, K, channels)."""
        hidden = (patches @ self.taps + self.taps_bias).relu()
        return self.activation(hidden @ self.mix + self.mix_bias)


def neighbourhoods(features: Tensor, cells: Tensor) -> Tensor:
    """The 3x3 cells around cell indices (B, K) of a (B, H, W, C) map: (B, K, 9 * C), row by row.

    What lies outside the map is zero.
    """
    batch, height, width, _ = features.shape
    step = torch.arange(-1, 2, device=cells.device)
    row = (cells // width)[..., None, None] + step[:, None]
    column = (cells % width)[..., None, None] + step
    inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    image = torch.arange(batch, device=cells.device)[:, None, None, None]
    index = ((image * height + row) * width + column).where(inside, 0)
    found = F.embedding(index, features.flatten(0, 2)) * inside.unsqueeze(-1)
    return found.flatten(2)


class _ChannelsLast(nn.Module):
    """(B, C, H, W) to (B, H, W, C): what is read of a cell lies in one place."""

    def forward(self, features: Tensor) -> Tensor:
        return features.permute(0, 2, 3, 1)
