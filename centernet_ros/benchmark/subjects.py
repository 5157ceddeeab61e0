"""What is measured: executors of one network, and a detector's testing modes and stages."""

from __future__ import annotations

import copy
import functools
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from centernet_ros.backends import (
    BACKENDS,
    BackendError,
    Executor,
    TorchBackend,
    open_backend,
)
from centernet_ros.backends.agreement import check_agreement, check_input
from centernet_ros.backends.packages import import_torchvision
from centernet_ros.benchmark.timing import Run, Times, measure
from centernet_ros.detector import Detector
from centernet_ros.image import Image, view_of
from centernet_ros.models import build_model
from centernet_ros.models.centernet import CenterNet
from centernet_ros.models.deform_conv import DeformConv
from centernet_ros.models.resnet import Bottleneck
from centernet_ros.models.sparse_heads import split_heads
from centernet_ros.presets import Fit, ModelPreset
from centernet_ros.structures import CameraIntrinsics
from centernet_ros.tasks.base import MAX_DETECTIONS, Maps, Task
from centernet_ros.tasks.heatmap import Values

BASELINE = "eager"
"""The network as it stands in PyTorch, with torchvision's deformable convolution."""

REACH = 0.2
"""About the cells that the deformable convolutions of random networks look away."""

TEST_MODES: dict[str, dict[str, Any]] = {
    "none": {},
    "flip": {"flip": True},
    "multi-scale": {"flip": True, "scales": (0.5, 0.75, 1.0, 1.25, 1.5)},
}
"""The columns of the paper's table 1, as options of the detector."""


class OperatorConv(DeformConv):
    """The deformable convolution by torchvision's operator, on every device."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C_in, H, W) to (B, C_out, H, W)."""
        offset, mask = self.conv_offset_mask(x).split([18, 9], dim=1)
        mask = mask.sigmoid()
        deform_conv2d = import_torchvision().deform_conv2d  # takes seconds the first time
        out: Tensor = deform_conv2d(x, offset, self.weight, self.bias, padding=1, mask=mask)
        return out


@dataclass(frozen=True)
class ExecutorTimes:
    """One executor of a network.

    Attributes:
        label: executor and precision.
        times: of a batch; None where it cannot be used here.
        difference: from the baseline at most, as a share of a map's largest value.
        precision: of its numbers.
        at_peaks: whether it computed heads that are not dense at `MAX_DETECTIONS` cells only.
        reason: why it cannot be used here.
    """

    label: str
    times: Times | None
    difference: float = 0.0
    precision: str = "float32"
    at_peaks: bool = False
    reason: str = ""


def random_model(backbone: str, task: str, classes: int) -> CenterNet:
    """A network with random weights that works like a trained one.

    Its features have the size that batch normalisation gives them, else those of a deep network
    grow until nothing is left of its answers. Its deformable convolutions look a fraction of a
    cell away: features that are noise change so fast from cell to cell that more would blow up
    every rounding.
    """
    torch.manual_seed(0)
    model = build_model(backbone, task, classes).train()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
        if isinstance(module, Bottleneck):
            # Else PyTorch's own float32 is 5e-4 from float64 after a hundred layers.
            nn.init.constant_(module.bn3.weight, 0.2)
        if isinstance(module, DeformConv):
            reach = REACH * module.conv_offset_mask.weight[0].numel() ** -0.5
            nn.init.normal_(module.conv_offset_mask.weight, std=reach)
    side = 4 * model.input_multiple
    with torch.no_grad():
        model(torch.randn(2, 3, side, side))
    return model.eval()


def eager(model: CenterNet, device: torch.device) -> Callable[[Tensor], dict[str, Tensor]]:
    """The baseline: nothing done for speed, as someone would write it who ports the authors."""
    model = with_operator(copy.deepcopy(model).eval().to(device))

    @torch.inference_mode()
    def run(batch: Tensor) -> dict[str, Tensor]:
        maps: dict[str, Tensor] = model(batch)[-1]
        return maps

    return run


def with_operator(model: CenterNet) -> CenterNet:
    """The same network, changed in place to torchvision's deformable convolution."""
    for module in model.modules():
        if isinstance(module, DeformConv):
            module.__class__ = OperatorConv
    return model


def time_executors(
    model: CenterNet,
    device: torch.device,
    shape: Sequence[int],
    precisions: Sequence[str],
    *,
    repetitions: int,
    clock: Callable[[], float],
    names: Sequence[str] = tuple(BACKENDS),
    task: Task[Any] | None = None,
) -> list[ExecutorTimes]:
    """Every executor in every precision in turns with the baseline, which comes first.

    With the network's task each comes twice on a CPU: for whole maps, and as a detector uses it,
    with the heads that are not dense at `MAX_DETECTIONS` cells only.
    """
    batch = check_input(shape).to(device)
    baseline = eager(model, device)
    expected = baseline(batch)
    runs: dict[str, Run] = {BASELINE: synchronised(lambda: baseline(batch), device)}
    found: dict[str, tuple[float, str, bool]] = {BASELINE: (0.0, "float32", False)}
    refused = []
    ways = (False, True) if task is not None and device.type == "cpu" else (False,)
    for precision in precisions:
        rounded = None
        for name, at_peaks in itertools.product(names, ways):
            whole = f"{name} {precision}"
            if at_peaks and whole not in found:
                continue  # refused already
            label = f"{whole} at peaks" if at_peaks else whole
            try:
                if rounded is None and precision != "float32":
                    rounded = TorchBackend(copy.deepcopy(model), device, precision)(batch)
                open_executor = functools.partial(
                    open_backend, name, device=device, precision=precision
                )
                run, read = _subject(
                    open_executor, copy.deepcopy(model), task if at_peaks else None
                )
                half = None if rounded is None else read(rounded)
                got, wanted = run(batch), read(expected)
                difference = check_agreement(name, precision, got, wanted, half)
            # The last also by executors that cannot do it: the others are compared all the same.
            except (BackendError, OSError, ImportError, RuntimeError) as error:
                reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
                refused.append(ExecutorTimes(label, None, reason=reason))
                continue
            found[label] = (difference, precision, at_peaks)
            runs[label] = synchronised(lambda run=run: run(batch), device)  # type: ignore[misc]
    times = measure(runs, repetitions, clock=clock)
    return [
        *(ExecutorTimes(label, times[label], *found[label]) for label in runs),
        *refused,
    ]


def _subject(
    open_executor: Callable[[CenterNet], Executor], model: CenterNet, task: Task[Any] | None
) -> tuple[Callable[[Tensor], dict[str, Tensor]], Callable[[Maps], dict[str, Tensor]]]:
    """What is timed, and how the same is read off whole maps.

    That is all maps, or with a task what a detector needs of them: the values of dense ones, and of
    others those at `MAX_DETECTIONS` cells.
    """
    if task is None:
        return open_executor(model), dict
    trunk, sparse_heads = split_heads(model, task.heads)
    executor = open_executor(trunk)

    def read(values: Values) -> dict[str, Tensor]:
        heatmap = values["heatmap"]
        images, cells = len(heatmap), heatmap[0, 0].numel()
        chosen = torch.linspace(0, cells - 1, MAX_DETECTIONS).long().expand(images, -1)
        return {
            head.name: values[head.name] if head.dense else values.at(head.name, chosen)
            for head in task.heads
        }

    return (
        lambda batch: read(sparse_heads.values(executor(batch))),
        lambda maps: read(Values(task.activate(maps))),
    )


def time_test_modes(
    open_detector: Callable[..., Detector], preset: ModelPreset, *, repetitions: int
) -> dict[str, Times]:
    """An image from array to results in each testing mode, one after the other.

    Args:
        open_detector: testing modes to a detector that is ready from the start.
        preset: of its network.
        repetitions: images of each mode.
    """
    image, camera = picture(preset)
    times: dict[str, Times] = {}
    for mode, options in TEST_MODES.items():
        if preset.task == "detection3d" and "scales" in options:
            continue  # which has no such mode
        # One at a time: the memory of two networks would be counted.
        detector = open_detector(**options)
        times |= measure({mode: functools.partial(detector, image, camera)}, repetitions)
        del detector
    return times


def time_stages(detector: Detector, *, repetitions: int) -> dict[str, Times]:
    """Preparation, network and decoding of an image, each by itself."""
    image, camera = picture(detector.preset)
    view = view_of(camera.image_size, detector.preset, camera)
    batch = detector.prepare([image], [view])
    maps = detector.infer(batch)
    return measure(
        {
            "prepare": synchronised(lambda: detector.prepare([image], [view]), detector.device),
            "network": synchronised(lambda: detector.infer(batch), detector.device),
            "decode": lambda: detector.decode(maps, [view]),
            "network + decode": lambda: detector.decode(detector.infer(batch), [view]),
        },
        repetitions,
    )


def picture(
    preset: ModelPreset, size: tuple[int, int] | None = None
) -> tuple[Image, CameraIntrinsics]:
    """Noise with a camera, of this height and width, or such that the input has the preset's."""
    height, width = size or preset.input_size
    if size is None and preset.fit is Fit.KEEP:  # which grows an image by at least a pixel
        height, width = height - 1, width - 1
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return image, CameraIntrinsics.pinhole(500.0, (width / 2, height / 2), (height, width))


def synchronised(run: Run, device: torch.device) -> Run:
    """A run that ends when the device has done its work."""
    if device.type != "cuda":
        return run

    def and_wait() -> None:
        run()
        torch.cuda.synchronize(device)

    return and_wait
