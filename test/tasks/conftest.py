"""What a perfect network would answer, for every task."""

import pytest
import torch


def _logit(probability):
    return torch.logit(probability.clamp(1e-6, 1 - 1e-6))


def _raw(head, values):
    """Undo a head's activation."""
    if head.initial_bias is not None:
        return _logit(values.float())
    if head.name == "depth":
        return _logit(1 / (values.double() + 1) - 1e-6).float()
    return values


def _ideal_maps(task, targets, grid):
    maps = {}
    for head in task.heads:
        target = targets[head.name]
        if head.initial_bias is None:
            # Joints lie in cells of their own.
            kind = "joint_" if head.name == "joint_offset" else ""
            mask = targets[f"{kind}mask"]
            values = torch.zeros(head.channels, grid[0] * grid[1])
            values[:, targets[f"{kind}index"][mask]] = target[mask].T
            target = values.view(head.channels, *grid)
        maps[head.name] = _raw(head, target).unsqueeze(0)
    return maps


@pytest.fixture(scope="session")
def ideal_maps():
    """`encode`'s targets of one image as raw maps (1, C, H, W)."""
    return _ideal_maps
