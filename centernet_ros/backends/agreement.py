"""Whether an executor answers what PyTorch answers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

TOLERANCE = {"float32": 1e-4, "float16": 1e-2, "bfloat16": 5e-2}
"""Greatest difference that is rounding, as a share of a map's largest value."""


class BackendError(ValueError):
    """An executor cannot be used; the message says why and what to do instead."""


def differences(got: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> dict[str, float]:
    """Greatest difference of each map as a share of its largest expected value; NaN counts as inf.

    Raises:
        BackendError: The maps have other names or shapes.
    """
    shapes, wanted = (
        {name: tuple(value.shape) for name, value in maps.items()} for maps in (got, expected)
    )
    if shapes != wanted:
        raise BackendError(f"maps are {shapes}, PyTorch's are {wanted}")
    result = {}
    for name, value in expected.items():
        scale = value.abs().max().clamp(min=torch.finfo(torch.float32).tiny)
        share = ((got[name] - value).abs().max() / scale).item()
        result[name] = share if share == share else float("inf")  # noqa: PLR0124
    return result


def check_agreement(
    label: str,
    precision: str,
    got: Mapping[str, Tensor],
    expected: Mapping[str, Tensor],
    rounded: Mapping[str, Tensor] | None = None,
) -> float:
    """The greatest difference of all maps, as `differences` measures it.

    Args:
        label: what is checked, for the message.
        precision: numbers that it computes with.
        got: its maps.
        expected: PyTorch's in float32.
        rounded: PyTorch's in `precision`. Twice their difference is allowed too: some networks
            make much of any rounding.

    Raises:
        BackendError: It is more than rounding, or no number; the message has the figures.
    """
    found = differences(got, expected)
    unavoidable = {} if rounded is None else differences(rounded, expected)
    allowed = {name: max(TOLERANCE[precision], 2 * unavoidable.get(name, 0.0)) for name in found}
    # What is lost in PyTorch too is lost all the same: no infinity is allowed.
    if not all(value <= allowed[name] and math.isfinite(value) for name, value in found.items()):
        figures = ", ".join(
            f"{name} {value:.1e} (allowed {allowed[name]:.0e})" for name, value in found.items()
        )
        raise BackendError(
            f"{label} in {precision} differs from PyTorch by {figures} of the largest value: use "
            "backend torch"
        )
    return max(found.values())


def check_finite(precision: str, maps: Mapping[str, Tensor]) -> None:
    """See that maps computed in a precision are numbers.

    Raises:
        BackendError: One is not; float16 ends at 65504.
    """
    for name, values in maps.items():
        if not values.isfinite().all():
            others = "bfloat16 or float32" if precision == "float16" else "float32"
            raise BackendError(
                f"precision {precision}: map {name} of the network is not finite: use {others}"
            )


def check_input(shape: Sequence[int]) -> Tensor:
    """The same noise of a shape (B, 3, H, W) every time, as a network input."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))
