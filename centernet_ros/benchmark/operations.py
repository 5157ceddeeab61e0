"""How near a network comes to what the machine can do: its operations, and the machine's rate.

Almost all the work of a network is convolutions of many shapes, few of which are as fast as one of
the best shape, or as a matrix product (the flat part of the roofline, Williams et al. 2009).
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.flop_counter import FlopCounterMode, conv_flop_count

from centernet_ros.backends.packages import import_torchvision
from centernet_ros.benchmark.subjects import synchronised, with_operator
from centernet_ros.benchmark.timing import measure
from centernet_ros.models.centernet import CenterNet

SIDE = 2048
"""Rows and columns of the matrices, enough for the full rate and few enough for any machine."""

CHANNELS, PIXELS = 256, 64
"""Of the convolution: channels in and out, height and width of the map."""

REPETITIONS = 7


def count_operations(model: CenterNet, shape: Sequence[int]) -> int:
    """Multiplications and additions of the convolutions for a network input (B, 3, H, W).

    They are those of the last stack's maps, as executors answer no others. The sampling of
    deformable convolutions is not among them. Nothing is computed.
    """
    network = with_operator(copy.deepcopy(model).eval()).to("meta")
    # What only training looks at is no part of an answer.
    network.auxiliary_heads = nn.ModuleList(nn.ModuleDict() for _ in network.auxiliary_heads)
    import_torchvision()  # which brings the operator
    counter = FlopCounterMode(
        display=False, custom_mapping={torch.ops.torchvision.deform_conv2d: _deform_operations}
    )
    with torch.inference_mode(), counter:
        network(torch.empty(tuple(shape), device="meta"))
    return int(counter.get_total_flops())


def peak_rate(device: torch.device, precision: str, clock: Callable[[], float]) -> float:
    """Operations a second of PyTorch's fastest: a matrix product, or a convolution."""
    make = functools.partial(torch.randn, device=device, dtype=getattr(torch, precision))
    left, right = make(SIDE, SIDE), make(SIDE, SIDE)
    image, kernel = make(1, CHANNELS, PIXELS, PIXELS), make(CHANNELS, CHANNELS, 3, 3)
    image, kernel = (x.to(memory_format=torch.channels_last) for x in (image, kernel))
    with torch.inference_mode():
        times = measure(
            {
                "product": synchronised(lambda: left @ right, device),
                "convolution": synchronised(lambda: F.conv2d(image, kernel, padding=1), device),
            },
            REPETITIONS,
            clock=clock,
        )
    operations = {
        "product": 2 * SIDE**3,
        "convolution": 2 * 9 * CHANNELS**2 * PIXELS**2,
    }
    return max(operations[name] / times[name].median for name in operations)


def _deform_operations(
    x_shape: Sequence[int],
    weight_shape: Sequence[int],
    *_: Any,
    out_shape: Sequence[int],
    **__: Any,
) -> int:
    return int(conv_flop_count(list(x_shape), list(weight_shape), list(out_shape)))
