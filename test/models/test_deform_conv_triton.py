"""The fused kernels equal torchvision's operator, with all gradients, in Triton's interpreter."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from centernet_ros.models import deform_conv
from centernet_ros.models.deform_conv import DeformConv, fused_kernels

pytest.importorskip("triton", reason="comes with PyTorch's builds for CUDA")

from centernet_ros.models import deform_conv_triton

SCRIPT = Path(__file__).with_name("triton_on_cpu.py")
ROOT = Path(__file__).parents[2]
CASES = {
    "a part of each tile": 1e-5,
    "several tiles": 1e-5,
    "far offsets": 1e-5,
    "half precision": 2e-3,
}


@pytest.fixture(scope="module")
def figures():
    """Of one process for all cases: each imports PyTorch and Triton."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    result = subprocess.run(
        [sys.executable, SCRIPT], env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("case", "limit"), CASES.items())
def test_result_and_gradients_are_torchvisions(figures, case, limit):
    assert max(figures[case].values()) < limit, figures[case]


def test_raw_offsets_without_gradients(figures):
    assert figures["inference"] < 1e-5


def test_up_sampling_is_the_transposed_convolution(figures):
    assert max(figures["up-sampling"]) < 1e-5


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", ["fp16", "bf16", "fp32"])
def test_kernels_compile_for_a_gpu_that_is_not_there(kind):
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from centernet_ros.models import deform_conv_kernels as kernels

    half = ("image", "offset", "mask", "weight", "result", "columns", "raw_bias")
    half += ("offset_gradient", "mask_gradient")
    full = ("bias", "image_gradient")
    pointers = {**dict.fromkeys(half, f"*{kind}"), **dict.fromkeys(full, "*fp32")}
    tiles = {"PIXELS": 64, "CHANNELS": 32, "OUTPUTS": 64, "RAW": True, "RELU": True}
    for kernel in (kernels.forward_kernel, kernels.gradient_kernel):
        names = kernel.arg_names
        constants = {(i,): tiles[name] for i, name in enumerate(names) if name in tiles}
        kinds = dict.fromkeys(tiles, "constexpr") | pointers
        signature = {name: kinds.get(name, "i32") for name in names}
        source = ASTSource(fn=kernel, signature=signature, constexprs=constants)
        compiled = triton.compile(source, target=GPUTarget("cuda", 90, 32))
        assert compiled.asm["cubin"]
        # What a program may use of an H100's 227 KiB.
        assert compiled.metadata.shared < 200 * 1024


def test_kernels_that_agree_work(figures):
    assert figures["works"] is True


def test_kernels_that_cannot_run_are_warned_of():
    """As on a GPU that Triton does not know: without the interpreter a CPU is one."""
    with pytest.warns(
        UserWarning, match=r"fused .* in torch.float16 cannot be used on cpu \(.*torchvision"
    ):
        assert not deform_conv_triton.works(torch.device("cpu"), torch.float16)


def test_kernels_that_differ_are_refused_with_the_figure(monkeypatch):
    monkeypatch.setattr(deform_conv_triton, "_difference", lambda device, dtype: 0.3)
    with pytest.warns(UserWarning, match=r"differs from torchvision's by 3\.0e-01"):
        assert not deform_conv_triton.works(torch.device("cpu"), torch.float32)


@pytest.mark.parametrize(
    ("shape", "outputs", "dtype", "expected"),
    [
        ((1, 16, 4, 4), 16, torch.float16, True),
        ((1, 8, 4, 4), 16, torch.float16, False),
        ((1, 16, 4, 4), 8, torch.float32, False),
        ((1, 16, 4, 4), 16, torch.float64, False),
        ((64, 16, 2048, 2048), 16, torch.float16, False),
    ],
)
def test_what_the_kernels_cannot_take(shape, outputs, dtype, expected):
    x = torch.empty(shape, dtype=dtype, device="meta")
    weight = torch.empty(outputs, shape[1], 3, 3, device="meta")
    assert deform_conv_triton.fits(x, weight) is expected


def test_without_triton_there_are_no_kernels(monkeypatch):
    fused_kernels.cache_clear()
    monkeypatch.setitem(sys.modules, "centernet_ros.models.deform_conv_triton", None)
    monkeypatch.delattr("centernet_ros.models.deform_conv_triton")
    assert fused_kernels(torch.device("cuda"), torch.float16) is None
    fused_kernels.cache_clear()


def test_a_cpu_never_asks_for_them(monkeypatch):
    monkeypatch.setattr(deform_conv, "fused_kernels", lambda *args: pytest.fail("asked"))
    with torch.no_grad():
        assert DeformConv(16, 16)(torch.randn(1, 16, 4, 4)).shape == (1, 16, 4, 4)
