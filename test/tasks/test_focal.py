"""The loss of heat maps, against its equation and step by step."""

import math
import time

import pytest
import torch

from centernet_ros.benchmark.timing import measure, speed_up
from centernet_ros.tasks.focal import LEAST, count_peaks, focal_loss


def step_by_step(logits, target):
    """Equation 1 as it stands, in PyTorch's own operations."""
    p, positive = logits.sigmoid().clamp(LEAST, 1 - LEAST), target == 1
    hit = torch.log(p) * (1 - p) ** 2
    miss = torch.log(1 - p) * p**2 * (1 - target) ** 4
    return -torch.where(positive, hit, miss).sum() / count_peaks(target).clamp(min=1)


def gradient(loss, logits, target):
    """Of a loss, in the logits' memory layout."""
    given = logits.detach().requires_grad_()
    (found,) = torch.autograd.grad(loss(given, target), given)
    return found


def focal_by_loop(logits, target):
    """Equation 1 of the paper, alpha 2, beta 4."""
    total, positives = 0.0, 0
    for logit, y in zip(logits.flatten().tolist(), target.flatten().tolist(), strict=True):
        p = 1 / (1 + math.exp(-logit))
        if y == 1:
            positives += 1
            total += (1 - p) ** 2 * math.log(p)
        else:
            total += (1 - y) ** 4 * p**2 * math.log(1 - p)
    return -total / max(1, positives)


def target_map(*shape, seed=0, positives=5):
    generator = torch.Generator().manual_seed(seed)
    target = torch.rand(*shape, generator=generator) ** 3 * 0.99
    cells = torch.randperm(target.numel(), generator=torch.Generator().manual_seed(seed))
    target.view(-1)[cells[:positives]] = 1
    return target


@pytest.mark.parametrize("positives", [0, 1, 7])
def test_focal_loss_is_equation_1(positives):
    logits = torch.randn(2, 3, 6, 5, generator=torch.Generator().manual_seed(1)) * 2
    target = target_map(2, 3, 6, 5, positives=positives)
    loss = focal_loss(logits, target)
    assert loss.shape == ()
    assert loss.item() == pytest.approx(focal_by_loop(logits, target), rel=1e-4)


def test_without_objects_only_background_counts():
    logits = torch.full((1, 2, 4, 4), -1.0)
    p = 1 / (1 + math.e)
    expected = -32 * p**2 * math.log(1 - p)
    assert focal_loss(logits, torch.zeros(1, 2, 4, 4)).item() == pytest.approx(expected, rel=1e-4)


def test_right_answers_cost_nothing():
    target = target_map(1, 2, 8, 8).eq(1).float()
    assert focal_loss(target * 40 - 20, target).item() < 1e-3
    assert focal_loss(20 - target * 40, target).item() > 10


def test_only_ones_are_positives():
    logits = torch.full((1, 1, 3, 3), -20.0)
    target = torch.zeros(1, 1, 3, 3)
    target[0, 0, 1, 1] = 0.9999
    assert focal_loss(logits, target).item() < 1e-3
    target[0, 0, 1, 1] = 1
    assert focal_loss(logits, target).item() == pytest.approx(-math.log(1e-4), rel=1e-3)


@pytest.mark.parametrize("size", [20, 1e4, 1e30])
@pytest.mark.parametrize("positives", [0, 3])
def test_extreme_logits_stay_finite(size, positives):
    target = target_map(1, 2, 4, 4, positives=positives)
    signs = torch.tensor([1.0, -1.0]).repeat(16).view(1, 2, 4, 4)
    logits = (signs * size).requires_grad_()
    loss = focal_loss(logits, target)
    loss.backward()
    assert loss.isfinite()
    assert logits.grad.isfinite().all()


def test_focal_loss_leaves_its_input_alone():
    logits = torch.randn(1, 1, 3, 3, generator=torch.Generator().manual_seed(0))
    before = logits.clone()
    focal_loss(logits, target_map(1, 1, 3, 3, positives=1))
    assert torch.equal(logits, before)


@pytest.mark.parametrize("positives", [0, 4])
def test_the_gradient_is_that_of_the_equation(positives):
    """Also where probabilities are clamped and nothing pulls any more."""
    generator = torch.Generator().manual_seed(2)
    logits = 6 * torch.randn(2, 3, 8, 7, generator=generator, dtype=torch.float64)
    target = target_map(2, 3, 8, 7, positives=positives).double()
    found, expected = (gradient(loss, logits, target) for loss in (focal_loss, step_by_step))
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-14)
    clamped = (logits.sigmoid() < LEAST) | (logits.sigmoid() > 1 - LEAST)
    assert 10 < clamped.sum() < clamped.numel() / 2
    assert (found[clamped] == 0).all()


def test_the_gradient_of_a_part_has_its_share():
    logits = torch.randn(1, 2, 4, 4, generator=torch.Generator().manual_seed(3))
    target = target_map(1, 2, 4, 4, positives=2)
    share = gradient(lambda x, t: 3 * focal_loss(x, t, torch.tensor(8)), logits, target)
    torch.testing.assert_close(share, gradient(focal_loss, logits, target) * 2 * 3 / 8)


def test_it_takes_less_time_than_step_by_step():
    """1.9 times less when it was made; on maps that lie as the network answers them."""
    logits = torch.randn(1, 80, 64, 64).contiguous(memory_format=torch.channels_last)
    target = target_map(1, 80, 64, 64).contiguous(memory_format=torch.channels_last)
    times = measure(
        {
            loss.__name__: lambda loss=loss: gradient(loss, logits, target)
            for loss in (step_by_step, focal_loss)
        },
        10,
        clock=time.process_time,
    )
    assert speed_up(times["step_by_step"], times["focal_loss"]).value > 1.2
