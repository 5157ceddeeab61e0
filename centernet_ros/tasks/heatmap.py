"""Primitives that tasks share: Gaussians, peaks, reading maps at points, and L1 losses."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from centernet_ros.structures import Detections2D, View

MIN_OVERLAP = 0.7
"""IoU that a box keeps when its centre moves by the Gaussian's radius (CornerNet)."""

IGNORED_PEAK = 0.9999
"""Target at an ignored centre: not a positive, and nearly free of penalty as a negative."""


def gaussian_radius(height: float, width: float) -> int:
    """Radius in cells of the Gaussian that marks a box of this size in cells.

    NOTE: This is the root that the authors' code takes, not the solution of the quadratic: it has
    the wrong sign and is divided by 2, not by 2a. Published weights were trained with it.
    """
    # The third of CornerNet's cases always gives the minimum: 4 a c < 0 with a = 4 * overlap.
    b = -2 * MIN_OVERLAP * (height + width)
    c = (MIN_OVERLAP - 1) * width * height
    radius = (b + math.sqrt(b * b - 16 * MIN_OVERLAP * c)) / 2
    return max(0, int(radius))


def draw_gaussian(heatmap: Tensor, column: int, row: int, radius: int) -> None:
    """Raise a (H, W) map, in place, to a Gaussian with peak 1 at an integer centre (section 3).

    The Gaussian is cut off at the radius, with sigma = diameter / 6.
    """
    height, width = heatmap.shape
    left, right = min(column, radius), min(width - column, radius + 1)
    top, bottom = min(row, radius), min(height - row, radius + 1)
    sigma = (2 * radius + 1) / 6
    x = torch.arange(-left, right, dtype=torch.float64)
    y = torch.arange(-top, bottom, dtype=torch.float64).view(-1, 1)
    gaussian = torch.exp(-(x * x + y * y) / (2 * sigma * sigma)).to(heatmap.dtype)
    region = heatmap[row - top : row + bottom, column - left : column + right]
    torch.maximum(region, gaussian, out=region)


@dataclass(frozen=True, slots=True, eq=False)
class Placed:
    """An object on the grid.

    Attributes:
        row: its row among the objects of the image.
        label: its class.
        size: (2,) width, height of its box in cells.
        centre: (2,) x, y of its box's centre in cells, sub-cell.
        radius: radius of its Gaussian in cells.
    """

    row: int
    label: int
    size: Tensor
    centre: Tensor
    radius: int

    @property
    def cell(self) -> tuple[int, int]:
        """Column, row of the cell that holds the centre."""
        return int(self.centre[0]), int(self.centre[1])


def place(
    objects: Detections2D, view: View, grid: tuple[int, int], *, whole_cells: bool = True
) -> Iterator[Placed]:
    """Objects whose box has an area on the grid, in order.

    Args:
        objects: boxes in pixels of the original image.
        view: how that image lies on the grid.
        grid: height, width of the grid in cells.
        whole_cells: round sizes up for the Gaussian's radius, as the authors do but in 3D.
    """
    height, width = grid
    # The authors clip to the centres of the outermost cells.
    limit = torch.tensor([width - 1, height - 1] * 2, dtype=torch.float64)
    boxes = view.boxes_to_grid(objects.boxes).clamp(min=0).minimum(limit).float()
    for row, (box, label) in enumerate(zip(boxes, objects.labels.tolist(), strict=True)):
        size = box[2:] - box[:2]
        if bool((size > 0).all()):
            columns, rows = size.tolist()
            if whole_cells:
                columns, rows = math.ceil(columns), math.ceil(rows)
            yield Placed(row, label, size, (box[:2] + box[2:]) / 2, gaussian_radius(rows, columns))


def draw_ignored(
    heatmap: Tensor,
    ignored: Detections2D,
    view: View,
    *,
    whole_cells: bool = True,
) -> None:
    """Mark regions of a (C, H, W) map, in place, that are neither object nor background.

    Draw them before the objects, so that none of them hides an object. Label -1 is every class.
    """
    grid = (heatmap.shape[1], heatmap.shape[2])
    for region in place(ignored, view, grid, whole_cells=whole_cells):
        column, row = region.cell
        for channel in range(len(heatmap)) if region.label < 0 else (region.label,):
            draw_gaussian(heatmap[channel], column, row, region.radius)
            heatmap[channel, row, column] = IGNORED_PEAK


@dataclass(frozen=True, slots=True, eq=False)
class Peaks:
    """The best K local maxima of a batch of heat maps.

    Attributes:
        scores: (B, K) value at the peak, best first.
        labels: (B, K) channel of the peak.
        indices: (B, K) row * W + column of the peak's cell.
        points: (B, K, 2) column, row of the peak's cell.
    """

    scores: Tensor
    labels: Tensor
    indices: Tensor
    points: Tensor


def find_peaks(heatmap: Tensor, count: int) -> Peaks:
    """Cells of a (B, C, H, W) map of probabilities that no 3x3 neighbour exceeds, the best `count`.

    This replaces non-maximum suppression (paper, section 4). Every cell of a plateau is a peak. Of
    equal scores at the limit any are kept.
    """
    if heatmap.device.type == "cpu":
        found = _peaks_in_best_rows(heatmap, count)
        if found is not None:
            return found
    # First the best of each class, then the best of those, as the authors do.
    scores, indices = channel_peaks(heatmap, count)
    channels, per_class = scores.shape[1:]
    scores, order = scores.flatten(1).topk(min(count, channels * per_class))
    indices = indices.flatten(1).gather(1, order)
    return Peaks(scores, order // per_class, indices, cell_points(indices, heatmap.shape[-1]))


def _peaks_in_best_rows(heatmap: Tensor, count: int) -> Peaks | None:
    """`find_peaks` that looks only at rows of cells that may hold one of the best.

    With many classes nearly all of the C * H rows show background, and telling its peaks from their
    neighbours takes ten times as long as all else.

    Returns:
        None where half of the rows or more may hold one: then the whole map takes no longer.
    """
    channels, height, width = heatmap.shape[1:]
    rows = heatmap.flatten(1, 2)
    if not 0 < 2 * count <= rows.shape[1]:
        return None
    maxima = rows.amax(-1)
    # A row whose maximum is at least that of the rows beside it has its peak there. So the best
    # peaks are no smaller than the last of as many such rows.
    by_class = maxima.view(-1, channels, height)
    sure = (_maximum_along_rows(by_class) == by_class).flatten(1)
    least = (maxima * sure).topk(count).values[:, -1:]
    num_rows = int((maxima >= least).sum(1).max())
    if 2 * num_rows >= rows.shape[1]:
        return None
    chosen = maxima.topk(num_rows).indices
    image = torch.arange(len(rows)).unsqueeze(1)
    y = chosen % height
    values = rows[image, chosen]
    above = rows[image, chosen - (y > 0).long()]
    below = rows[image, chosen + (y < height - 1).long()]
    is_peak = _maximum_along_rows(values.maximum(above).maximum(below)) == values
    scores, order = (values * is_peak).flatten(1).topk(count)
    row = chosen.gather(1, order // width)
    indices = row % height * width + order % width
    return Peaks(scores, row // height, indices, cell_points(indices, width))


def channel_peaks(heatmap: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Scores and cell indices (B, C, K) of the best `count` peaks of each channel, best first."""
    is_peak = neighbourhood_maximum(heatmap) == heatmap
    kept = (heatmap * is_peak).flatten(2)
    scores, indices = kept.topk(min(count, kept.shape[-1]))
    return scores, indices


def neighbourhood_maximum(values: Tensor) -> Tensor:
    """Greatest value of each cell and its eight neighbours in a (B, C, H, W) map."""
    if values.device.type != "cpu":
        return F.max_pool2d(values, 3, stride=1, padding=1)
    # PyTorch's pooling does not vectorise here: with COCO's 80 classes this is 15 times faster.
    padded = F.pad(values, (0, 0, 1, 1), value=float("-inf"))
    columns = padded[..., :-2, :].maximum(padded[..., 1:-1, :]).maximum(padded[..., 2:, :])
    return _maximum_along_rows(columns)


def _maximum_along_rows(values: Tensor) -> Tensor:
    """Greatest value of each cell and its neighbours to the left and right, (..., W)."""
    padded = F.pad(values, (1, 1), value=float("-inf"))
    return padded[..., :-2].maximum(padded[..., 1:-1]).maximum(padded[..., 2:])


def cell_points(indices: Tensor, width: int) -> Tensor:
    """Column, row (..., 2) of cell indices (...) on a grid of this width."""
    return torch.stack([indices % width, indices // width], dim=-1)


def gather(values: Tensor, indices: Tensor) -> Tensor:
    """Read a (B, C, H, W) map at (B, K) cell indices, giving (B, K, C)."""
    channels = values.shape[1]
    index = indices.unsqueeze(1).expand(-1, channels, -1)
    return values.flatten(2).gather(2, index).transpose(1, 2)


class Values:
    """The values of a batch of maps: whole, or at single cells."""

    def __init__(self, maps: Mapping[str, Tensor]) -> None:
        """Take values (B, C, H, W) by the names of their heads."""
        self._maps = maps

    def __getitem__(self, name: str) -> Tensor:
        """A whole map (B, C, H, W)."""
        return self._maps[name]

    def at(self, name: str, cells: Tensor) -> Tensor:
        """Values (B, K, C) of a map at cell indices (B, K)."""
        return gather(self._maps[name], cells)


def read_boxes(values: Values, peaks: Peaks) -> Tensor:
    """Boxes (B, K, 4) in cells at the peaks, from `size` and `offset` (paper, section 4)."""
    centres = peaks.points + values.at("offset", peaks.indices)
    half = values.at("size", peaks.indices) / 2
    return torch.cat([centres - half, centres + half], dim=-1)


def count_coordinates(target: Tensor, mask: Tensor) -> Tensor:
    """Number of the values that `masked_l1` averages; arguments as those."""
    return mask.sum() * target.shape[-1] if mask.dim() == 2 else mask.sum()


def count_all(target: Tensor) -> Tensor:
    """Number of the values that `mean_l1` averages, those of empty slots included."""
    return torch.full((), target.numel(), device=target.device)


def masked_l1(
    values: Tensor, target: Tensor, indices: Tensor, mask: Tensor, count: Tensor | None = None
) -> Tensor:
    """Mean absolute error of a map at the objects' cells, over objects and coordinates.

    Args:
        values: (B, C, H, W) map.
        target: (B, K, C) value of each object slot.
        indices: (B, K) cell of each slot.
        mask: (B, K) whether the slot holds an object, or (B, K, C) which of its coordinates count.
        count: `count_coordinates` of a larger batch.
    """
    count = count_coordinates(target, mask) if count is None else count
    if mask.dim() == 2:
        mask = mask.unsqueeze(-1).expand_as(target)
    error = (gather(values, indices) - target).abs() * mask
    return error.sum() / (count + 1e-4)


def masked_smooth_l1(
    values: Tensor, target: Tensor, indices: Tensor, mask: Tensor, count: Tensor | None = None
) -> Tensor:
    """Smooth L1 error of a map at the objects' cells: a sum over coordinates, a mean over objects.

    NOTE: So it weighs twice as much as `masked_l1`, as in the authors' comparison of both.
    Arguments as those of `masked_l1`, with a (B, K) mask; `count` is its sum.
    """
    error = F.smooth_l1_loss(gather(values, indices), target, reduction="none")
    return (error * mask.unsqueeze(-1)).sum() / ((mask.sum() if count is None else count) + 1e-4)


def mean_l1(
    values: Tensor, target: Tensor, indices: Tensor, mask: Tensor, count: Tensor | None = None
) -> Tensor:
    """Mean absolute error over all slots of a batch, where empty slots count as zero.

    NOTE: So an object weighs the less the more slots are empty; the published 3D weights were
    trained with it. Arguments as those of `masked_l1`, with a (B, K) mask; `count` is `count_all`.
    """
    error = (gather(values, indices) - target).abs() * mask.unsqueeze(-1)
    return error.sum() / (count_all(target) if count is None else count)
