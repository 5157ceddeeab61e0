"""Command: `python -m centernet_ros.benchmark COMMAND`, see docs/benchmarks."""

from __future__ import annotations

import argparse
import functools
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from centernet_ros.backends import (
    choose_backend,
    choose_device,
    choose_precision,
    has_bfloat16,
    open_backend,
)
from centernet_ros.benchmark.arguments import parse
from centernet_ros.benchmark.comparing import compare_executors
from centernet_ros.benchmark.kernels import OPERATOR, time_kernels
from centernet_ros.benchmark.machine import (
    describe_machine,
    forget_peak_memory,
    peak_memory,
)
from centernet_ros.benchmark.operations import count_operations, peak_rate
from centernet_ros.benchmark.rates import Trial
from centernet_ros.benchmark.subjects import (
    picture,
    random_model,
    time_executors,
    time_stages,
    time_test_modes,
)
from centernet_ros.benchmark.timing import speed_up, table
from centernet_ros.checkpoint import load_model, save_checkpoint
from centernet_ros.detector import Detector
from centernet_ros.models.centernet import CenterNet
from centernet_ros.models.sparse_heads import split_heads
from centernet_ros.presets import Fit, ModelPreset
from centernet_ros.tasks import build_task


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line; gives the exit status."""
    options = parse(list(COMMANDS), arguments)
    try:
        if options.threads:
            torch.set_num_threads(options.threads)
        device = choose_device(options.device)
        machine = describe_machine(device)
        figures = COMMANDS[options.command](options, device)
        if options.json:
            content = {
                "command": options.command,
                "weights": options.weights or "random",
                "machine": machine,
                "figures": figures,
            }
            options.json.write_text(json.dumps(content, indent=2) + "\n")
    except (ValueError, OSError) as error:
        print(f"centernet_ros.benchmark: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("centernet_ros.benchmark: interrupted", file=sys.stderr)
        return 130
    print(f"\n{machine['gpu'] or machine['processor']}, {machine['threads']} threads")
    if machine["load_before"] > 1:
        print(f"the machine was busy (load {machine['load_before']}): only ratios mean something")
    return 0


def _networks(options: argparse.Namespace) -> Iterator[tuple[CenterNet, ModelPreset]]:
    """The weights file's network, else one with random weights per backbone, made when it is due.

    So the memory of one network is not counted with that of all others.
    """
    if options.weights:
        yield load_model(options.weights)
        return
    classes = {"detection2d": 80, "detection3d": 3, "pose": 1}[options.task]
    names = tuple(str(i) for i in range(classes))
    size = (options.height, options.width)
    # Images keep their resolution, as in the paper, so that a larger scale is a larger input.
    fit = Fit.CENTRE if options.task == "detection3d" else Fit.KEEP
    for backbone in options.backbones:
        model = random_model(backbone, options.task, classes)
        step = model.input_multiple
        yield model, ModelPreset(options.task, backbone, names, size, fit, pad_to=step)


def _open(
    model: CenterNet,
    preset: ModelPreset,
    device: torch.device,
    options: argparse.Namespace,
    **modes: Any,
) -> Detector:
    """A detector on the executor and in the precision that a node takes, ready from the start."""
    return Detector.from_model(
        model, preset, device, choose_backend(device), options.precision, **modes
    )


def _executor_of(
    preset: ModelPreset, device: torch.device, options: argparse.Namespace
) -> tuple[str, str]:
    """Name and precision of the executor of `_open`."""
    executor, precision = choose_backend(device), options.precision
    if precision == "auto":
        precision = choose_precision(device, preset.harmless_precisions, executor)
    return executor, precision


def _table(options: argparse.Namespace, device: torch.device) -> list[dict[str, Any]]:
    """The paper's table 1: every backbone in every testing mode, and its best batch."""
    figures, rows = [], []
    for model, preset in _networks(options):
        forget_peak_memory(device)
        executor, precision = _executor_of(preset, device, options)
        opened = functools.partial(_open, model, preset, device, options)
        modes = time_test_modes(opened, preset, repetitions=options.repetitions)
        throughput = _throughput(model, preset, device, options)
        batch = max(throughput, key=lambda size: throughput[size])
        memory = peak_memory(device)
        figures.append(
            {
                "backbone": preset.backbone,
                "executor": executor,
                "precision": precision,
                "input_size": preset.input_size,
                "modes": {mode: times.to_dict() for mode, times in modes.items()},
                "network_images_per_second": throughput,
                "peak_memory_mib": memory,
            }
        )
        rows += [
            [
                preset.backbone,
                f"{executor} {precision}",
                mode,
                f"{1e3 * times.median:.1f}",
                f"{1e3 * times.p99:.1f}",
                f"{1 / times.median:.1f}",
                f"{100 * times.spread:.0f} %",
                f"{throughput[batch]:.1f} at {batch}" if mode == "none" else "",
                f"{memory:.0f}",
            ]
            for mode, times in modes.items()
        ]
    head = ["backbone", "executor", "test mode", "median ms", "p99 ms", "FPS", "spread"]
    print(table([*head, "best batch", "MiB"], rows))
    return figures


def _throughput(
    model: CenterNet, preset: ModelPreset, device: torch.device, options: argparse.Namespace
) -> dict[int, float]:
    """Images per second of the network alone, with whole maps, by batch size."""
    result = {}
    for size in options.batches:
        # One for each size: it gets ready for a few shapes only.
        backend = open_backend(
            choose_backend(device), model, device, options.precision, preset.harmless_precisions
        )
        batch = torch.randn(size, 3, *preset.input_size, device=device)
        backend.prepare(batch.shape)  # a recording takes its time
        next(iter(backend(batch).values())).cpu()
        start = time.perf_counter()
        for _ in range(max(2, options.repetitions // size)):
            maps = backend(batch)
        next(iter(maps.values())).cpu()
        result[size] = size * max(2, options.repetitions // size) / (time.perf_counter() - start)
        del backend
    return result


def _executors(options: argparse.Namespace, device: torch.device) -> list[dict[str, Any]]:
    """Every executor against eager PyTorch with torchvision's operator, as ratios."""
    clock = time.process_time if options.cpu_time else time.perf_counter
    # Elsewhere it is computed number by number: a network takes minutes.
    usual = ["float32", "bfloat16"] if has_bfloat16(device) else ["float32"]
    chosen = options.precisions or usual
    precisions = dict.fromkeys(["float32", *chosen])  # the baseline's first
    peaks = {precision: peak_rate(device, precision, clock) for precision in precisions}
    figures, rows = [], []
    for model, preset in _networks(options):
        shape = (options.batch, 3, *preset.input_size)
        task = build_task(preset.task, len(preset.class_names))
        results = time_executors(
            model, device, shape, chosen, repetitions=options.repetitions, clock=clock, task=task
        )
        facts = {
            "backbone": preset.backbone,
            "input_size": preset.input_size,
            "batch": options.batch,
            "operations": count_operations(model, shape),
            "operations_at_peaks": count_operations(split_heads(model, task.heads)[0], shape),
        }
        found, lines = compare_executors(results, facts, peaks)
        figures += found
        rows += [[preset.backbone, *line] for line in lines]
    unit = "CPU ms" if options.cpu_time else "median ms"
    head = ["backbone", "executor", unit, "speed-up", "GFLOP/s", "of peak", "difference", ""]
    print(table(head, rows))
    for precision, rate in peaks.items():
        print(f"peak in {precision}: {1e-9 * rate:.0f} GFLOP/s, of a product or convolution")
    return figures


def _stages(options: argparse.Namespace, device: torch.device) -> list[dict[str, Any]]:
    """Preparation, network and decoding of one image."""
    figures, rows = [], []
    for model, preset in _networks(options):
        detector = _open(model, preset, device, options)
        executor, precision = _executor_of(preset, device, options)
        stages = time_stages(detector, repetitions=options.repetitions)
        times_of = {stage: times.to_dict() for stage, times in stages.items()}
        figures.append(
            {
                "backbone": preset.backbone,
                "executor": executor,
                "precision": precision,
                "input_size": preset.input_size,
                "stages": times_of,
            }
        )
        label = f"{executor} {precision}"
        rows += [
            [preset.backbone, label, stage, f"{1e3 * times.median:.2f}", f"{1e3 * times.p99:.2f}"]
            for stage, times in stages.items()
        ]
    print(table(["backbone", "executor", "stage", "median ms", "p99 ms"], rows))
    return figures


def _node(options: argparse.Namespace, device: torch.device) -> list[dict[str, Any]]:
    """A node process, by the rate of its camera."""
    try:
        from centernet_ros.benchmark.node import measure_node
    except ImportError as error:
        raise ValueError(f"`node` needs ROS 2 ({error}): source it, or run `make setup`") from None
    figures, rows = [], []
    for model, preset in _networks(options):
        with tempfile.TemporaryDirectory() as folder:
            weights = options.weights
            if not weights:
                weights = Path(folder) / "random.safetensors"
                save_checkpoint(weights, model, preset)
            found = measure_node(
                weights,
                preset,
                picture(preset, options.image),
                parameters={
                    "device": str(device),
                    "backend": choose_backend(device),
                    "precision": options.precision,
                    "threads": options.threads,
                },
                seconds=options.seconds,
                rates=options.rates,
            )
        figures.append({"backbone": preset.backbone, **found.to_dict()})
        labelled = [*((f"{trial.rate:g}", trial) for trial in found.trials)]
        labelled += [(f"peak {found.peak.rate:.1f}", found.peak)] if found.peak else []
        rows += [[preset.backbone, label, *_cells(trial)] for label, trial in labelled]
    head = ["backbone", "images/s", "sent", "dropped", "p50 ms", "p99 ms", "p99.9 ms"]
    print(table([*head, "network ms", "beside it ms"], rows))
    return figures


def _cells(trial: Trial) -> list[str]:
    values = trial.to_dict()
    names = ("latency_p50_ms", "latency_p99_ms", "latency_p99.9_ms", "network_p50_ms")
    times = [values[name] for name in (*names, "beside_p50_ms")]
    counts = [str(trial.sent), str(trial.dropped)]
    return counts + ["" if value is None else f"{value:.1f}" for value in times]


def _kernels(options: argparse.Namespace, device: torch.device) -> list[dict[str, Any]]:
    """The deformable convolution forward and backward at the shapes of DLA."""
    figures, rows = [], []
    for found in time_kernels(
        device, options.batch, repetitions=options.repetitions, height=options.height
    ):
        shape = "{}-{} {}x{}".format(*found.channels, found.side, found.side)
        for label, times in found.times.items():
            ratio = speed_up(found.times[OPERATOR], times)
            figures.append(
                {
                    "shape": shape,
                    "kernel": label,
                    **times.to_dict(),
                    "speed_up": [ratio.value, ratio.low, ratio.high],
                }
            )
            rows.append(
                [shape, label, f"{1e3 * times.median:.2f}", "" if label == OPERATOR else str(ratio)]
            )
    print(table(["shape", "kernel", "median ms", "speed-up"], rows))
    return figures


COMMANDS = {
    "table": _table,
    "executors": _executors,
    "stages": _stages,
    "node": _node,
    "kernels": _kernels,
}


if __name__ == "__main__":
    sys.exit(main())
