"""How far an executor may be from PyTorch, and what is said when it is farther."""

import pytest
import torch

from centernet_ros.backends.agreement import (
    BackendError,
    check_agreement,
    check_finite,
    differences,
)

EXPECTED = {"heatmap": torch.tensor([0.0, -4.0]), "size": torch.tensor([10.0, 20.0])}


def shifted(**shifts):
    return {name: value + shifts.get(name, 0.0) for name, value in EXPECTED.items()}


def test_difference_is_a_share_of_the_largest_value():
    assert differences(shifted(heatmap=0.1), EXPECTED) == pytest.approx(
        {"heatmap": 0.025, "size": 0}
    )


def test_rounding_is_allowed():
    assert check_agreement("x", "float32", shifted(size=1e-3), EXPECTED) == pytest.approx(
        5e-5, 1e-2
    )
    check_agreement("x", "bfloat16", shifted(size=0.5), EXPECTED)


@pytest.mark.parametrize(
    ("precision", "shift", "allowed"), [("float32", 0.01, "1e-04"), ("bfloat16", 2.0, "5e-02")]
)
def test_more_is_refused_with_the_figures(precision, shift, allowed):
    with pytest.raises(BackendError) as caught:
        check_agreement("openvino", precision, shifted(size=shift), EXPECTED)
    assert str(caught.value) == (
        f"openvino in {precision} differs from PyTorch by heatmap 0.0e+00 (allowed {allowed}), "
        f"size {shift / 20:.1e} (allowed {allowed}) of the largest value: use backend torch"
    )


def test_what_pytorch_loses_itself_is_allowed_twice():
    """Each map for itself."""
    rounded = shifted(size=2.0)
    check_agreement("x", "bfloat16", shifted(size=-3.9), EXPECTED, rounded)
    for maps in (shifted(size=-4.1), shifted(heatmap=0.3)):
        with pytest.raises(BackendError, match="differs from PyTorch"):
            check_agreement("x", "bfloat16", maps, EXPECTED, rounded)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("lost_in_pytorch", [False, True])
def test_what_is_no_number_is_refused(value, lost_in_pytorch):
    maps = shifted(size=value)
    with pytest.raises(BackendError, match="size inf"):
        check_agreement("x", "bfloat16", maps, EXPECTED, maps if lost_in_pytorch else None)


@pytest.mark.parametrize(
    ("precision", "others"), [("float16", "bfloat16 or float32"), ("bfloat16", "float32")]
)
def test_maps_that_are_no_numbers_are_named(precision, others):
    check_finite(precision, EXPECTED)
    with pytest.raises(BackendError) as caught:
        check_finite(precision, shifted(size=float("inf")))
    assert str(caught.value) == (
        f"precision {precision}: map size of the network is not finite: use {others}"
    )


@pytest.mark.parametrize(
    "got", [{"heatmap": EXPECTED["heatmap"]}, {**EXPECTED, "size": torch.zeros(3)}]
)
def test_other_maps_are_refused(got):
    with pytest.raises(BackendError, match="PyTorch's are"):
        differences(got, EXPECTED)
