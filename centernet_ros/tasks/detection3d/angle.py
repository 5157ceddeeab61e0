"""Observation angles as eight numbers in two bins: encoding, decoding and loss (appendix of paper).

The eight numbers of a bin pair are [outside, inside, sin, cos] for the bin around -90 degrees and
the same for the bin around +90 degrees: two logits that say whether the angle lies in the bin, and
the angle's residual from the bin's centre. The bins overlap by 60 degrees at both ends.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from centernet_ros.tasks.heatmap import gather

BIN_CENTRES = (-math.pi / 2, math.pi / 2)
"""Residuals are measured from these angles, in radians."""

OVERLAP = math.pi / 6
"""How far each bin reaches beyond the half circle around its centre, in radians."""


def wrap(angles: Tensor) -> Tensor:
    """Angles in radians, moved by whole turns into [-pi, pi]; those that lie there are kept."""
    wrapped = torch.remainder(angles + math.pi, 2 * math.pi) - math.pi
    return torch.where(angles.abs() > math.pi, wrapped, angles)


def encode_alpha(alphas: Tensor) -> Tensor:
    """Angles (N,) in radians to the eight numbers (N, 8) that the network is to answer.

    The first number of a bin stays 0, as a softmax of two logits has one to spare; without the
    angle inside, the residual is 0.
    """
    alphas = wrap(alphas)
    low, high = OVERLAP, math.pi - OVERLAP
    inside = torch.stack(
        [(alphas < low) | (alphas > high), (alphas > -low) | (alphas < -high)], dim=-1
    )
    centres = alphas.new_tensor(BIN_CENTRES)
    residuals = (alphas.unsqueeze(-1) - centres) * inside
    bins = [torch.zeros_like(residuals), inside.to(alphas.dtype), residuals.sin(), residuals.cos()]
    return torch.stack(bins, dim=-1).flatten(-2)


def decode_alpha(orientation: Tensor) -> Tensor:
    """Eight numbers (..., 8) to angles (...) in radians, in [-3/2 pi, 3/2 pi]."""
    first = orientation[..., 1] > orientation[..., 5]
    sin = torch.where(first, orientation[..., 2], orientation[..., 6])
    cos = torch.where(first, orientation[..., 3], orientation[..., 7])
    residuals = torch.atan2(sin, cos)
    return torch.where(first, residuals + BIN_CENTRES[0], residuals + BIN_CENTRES[1])


def mirror_alpha(alphas: Tensor) -> Tensor:
    """Angles in radians at which the mirrored image shows the same objects."""
    return wrap(math.pi - alphas)


def unmirror_orientation(values: Tensor) -> Tensor:
    """Orientation (B, 8, H, W) of a mirrored image to that of the image itself.

    alpha becomes pi - alpha, which keeps the bins (-90 and +90 degrees are their own mirror images)
    and negates the residuals.
    """
    flipped = values.flip(-1)
    flipped[:, 2::4].neg_()
    return flipped


def count_angles(target: Tensor, mask: Tensor, objects_only: bool = False) -> Tensor:
    """Numbers (3,) that `orientation_loss` divides by: slots, and angles inside each bin."""
    inside = (target[..., 1::4] * mask.unsqueeze(-1)).flatten(0, 1).sum(0)
    slots = mask.sum() if objects_only else inside.new_full((), mask.numel())
    return torch.cat([slots.to(inside).view(1), inside])


def orientation_loss(
    values: Tensor,
    target: Tensor,
    indices: Tensor,
    mask: Tensor,
    counts: Tensor | None = None,
    *,
    objects_only: bool = False,
) -> Tensor:
    """Cross-entropy of the bins and smooth L1 of the residuals' sine and cosine, over both bins.

    NOTE: The paper has an L1 residual. The cross-entropy is a mean over all slots, and an empty
    slot adds the constant ln 2 for each bin; the published weights were trained with it.

    Args:
        values: (B, 8, H, W) map.
        target: (B, K, 8) of `encode_alpha` for each object slot.
        indices: (B, K) cell of each slot.
        mask: (B, K) whether the slot holds an object.
        counts: `count_angles` of a larger batch, of which this is a part.
        objects_only: leave empty slots out of the cross-entropy and of its mean.
    """
    slots, *angles = count_angles(target, mask, objects_only) if counts is None else counts
    counted = mask.flatten() if objects_only else torch.ones_like(mask).flatten()
    read = gather(values, indices) * mask.unsqueeze(-1)
    total = values.new_zeros(())
    for start, angle_count in zip((0, 4), angles, strict=True):
        inside = target[..., start + 1] * mask
        logits = read[..., start : start + 2].flatten(0, 1)
        entropies = F.cross_entropy(logits, inside.flatten().long(), reduction="none")
        total = total + (entropies * counted).sum() / slots.clamp(min=1)
        residual = slice(start + 2, start + 4)
        error = F.smooth_l1_loss(read[..., residual], target[..., residual], reduction="none")
        total = total + (error.sum(-1) * inside).sum() / angle_count.clamp(min=1)
    return total
