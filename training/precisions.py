"""Measure what half precision costs weights: `python -m training.precisions WEIGHTS`.

Prints the headline figure of the data in float32 and in each half precision of this machine. With
`--record` the weights file tells from then on which of them cost nothing, so that the precision
`auto` takes them. DATA is the configuration of a run, whose validation images are taken; without it
street images are rendered.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from centernet_ros.backends import BackendError, choose_backend, choose_device
from centernet_ros.checkpoint import load_model, replace_preset
from centernet_ros.detector import Detector
from centernet_ros.models.centernet import CenterNet
from centernet_ros.presets import ModelPreset
from training.config import load_config
from training.data.opening import open_measured_samples
from training.data.sample import SampleSet
from training.engine import detector_reader, predict
from training.measuring import headline, measure
from training.sources import DataConfig, StreetSource

LIMIT = 0.005
"""AP that a harmless precision may cost."""

CANDIDATES = {"cpu": ("bfloat16",), "cuda": ("float16", "bfloat16")}
"""Half precisions that are measured, by the kind of device."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line; gives the exit status."""
    options = _parse(arguments)
    try:
        _run(options)
    except (ValueError, OSError) as error:
        print(f"training.precisions: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("training.precisions: interrupted", file=sys.stderr)
        return 130
    return 0


def _run(options: argparse.Namespace) -> None:
    device = choose_device(options.device)
    model, preset = load_model(options.weights)
    data = DataConfig(validation=StreetSource(options.seed, options.images))
    if options.data:
        data = load_config(options.data, ()).data
    samples = open_measured_samples(data, preset.task, preset.class_names)
    full = figure_in("float32", model, preset, samples, device)
    found = {}
    for precision in CANDIDATES[device.type]:
        try:
            found[precision] = figure_in(precision, model, preset, samples, device)
        except BackendError as error:
            print(f"{precision}: {error}")
    harmless = harmless_of(full, found)
    for precision in found:
        print(f"{precision}: {'harmless' if precision in harmless else 'costs too much'}")
    if options.record:
        # What other machines have found stays.
        kept = set(preset.harmless_precisions) - set(found)
        names = tuple(sorted(kept | set(harmless)))
        replace_preset(options.weights, dataclasses.replace(preset, harmless_precisions=names))
        print(f"{options.weights}: harmless_precisions is {', '.join(names) or 'empty'} now")


def figure_in(
    precision: str,
    model: CenterNet,
    preset: ModelPreset,
    samples: SampleSet,
    device: torch.device,
) -> float:
    """The headline figure, of 0 to 1, on the fastest executor in a precision; prints it as well.

    Raises:
        BackendError: This machine has no such precision.
    """
    executor = choose_backend(device)
    read = detector_reader(Detector.from_model(model, preset, device, executor, precision))
    seen, results = predict(read, preset, samples, workers=0)
    metrics = measure(samples.benchmark, seen, results, preset.class_names)
    name, value = headline(metrics, preset.task)
    if samples.benchmark == "kitti":  # which tells percent
        value /= 100
    print(f"{executor} {precision}: {name} {value:.4f} on {len(seen)} images")
    return value


def harmless_of(full: float, found: dict[str, float]) -> list[str]:
    """Precisions whose figure is at most `LIMIT` below that of float32."""
    return [precision for precision, value in found.items() if full - value <= LIMIT]


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m training.precisions",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("weights", type=Path, help="weights file of ours")
    add("--data", type=Path, help="configuration of a run; by default the street world")
    add("--seed", type=int, default=3, help="seed of the street images")
    add("--images", type=int, default=300, help="number of street images")
    add("--record", action="store_true", help="write what is harmless into the weights file")
    add("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
