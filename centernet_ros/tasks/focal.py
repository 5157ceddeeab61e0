"""The loss of heat maps: CornerNet's penalty-reduced focal loss (paper, eq. 1)."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

LEAST = 1e-4
"""Probabilities stay so far away from 0 and 1, so that their logarithms stay finite."""


def count_peaks(target: Tensor) -> Tensor:
    """Number of the positives of `focal_loss`: cells of (B, C, H, W) that are exactly 1."""
    return (target == 1).sum()


def focal_loss(logits: Tensor, target: Tensor, count: Tensor | None = None) -> Tensor:
    """Penalty-reduced focal loss of (B, C, H, W) maps, alpha 2, beta 4.

    Positives are the cells whose target is exactly 1; the sum is divided by their number in the
    batch, or by 1 when there is none. `count` is that number in a larger batch, of which this is a
    part.
    """
    total: Tensor = _FocalSum.apply(logits, target)  # type: ignore[no-untyped-call]
    return total / (count_peaks(target) if count is None else count).clamp(min=1)


class _FocalSum(torch.autograd.Function):
    """The sum over all cells, with its gradient computed on the way.

    With z the probability of the wrong answer (1 - p at a positive, else p) and its weight w (1 at
    a positive, else (1 - target)^4) both cases of eq. 1 are -w z^2 log(1 - z). Its derivative by
    the logit of z is w z^2 (z - 2 (1 - z) log(1 - z)), and 0 where z is clamped.

    Step by step PyTorch would go through these maps, the largest of a training, three times as
    often.
    """

    @staticmethod
    def forward(context: Any, logits: Tensor, target: Tensor) -> Tensor:
        positive = target == 1
        wrong = torch.where(positive, -logits, logits)
        # -log(1 - z), exact also where z is nearly 1.
        cost = F.softplus(wrong).clamp_(-math.log1p(-LEAST), -math.log(LEAST))
        z = wrong.sigmoid_()
        free = (z >= LEAST) & (z <= 1 - LEAST)
        z.clamp_(LEAST, 1 - LEAST)
        weight = (1 - target).square_().square_().masked_fill_(positive, 1).mul_(z).mul_(z)
        total = (weight * cost).sum()
        slope = torch.addcmul(z, 1 - z, cost, value=2).mul_(weight).mul_(free)
        context.save_for_backward(torch.where(positive, -slope, slope))
        return total

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (slope,) = context.saved_tensors
        return slope * gradients[0], None
