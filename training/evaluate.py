"""Measure a weights file: `python -m training.evaluate WEIGHTS --data DATA`.

DATA is the configuration of a run, whose validation images are taken, or the data itself: a JSON
file in COCO's form, a folder in Pascal VOC's or KITTI's. Without it street images are rendered.
Result files are measured by `python -m training.evaluate files KIND ...`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from centernet_ros.backends import TorchBackend, choose_device
from centernet_ros.checkpoint import load_model
from centernet_ros.detector import Detector
from centernet_ros.image import normalise
from centernet_ros.models.centernet import CenterNet
from centernet_ros.presets import ModelPreset
from centernet_ros.structures import Detections2D
from centernet_ros.tasks import build_task
from centernet_ros.tasks.base import Task
from training import evaluate_files
from training.config import load_config
from training.data.loading import EvaluationItem
from training.data.opening import open_measured_samples
from training.data.sample import DataError
from training.engine import Reader, detector_reader, network_reader, predict
from training.evaluation.oracle import decode_with_oracle
from training.measuring import measure
from training.results import check_figures_file, check_results, write_figures, write_results
from training.sources import CocoSource, DataConfig, KittiSource, StreetSource, VocSource

STREET_SEED, STREET_IMAGES = 3, 500

RUNS = (".yaml", ".yml")
"""Endings of a run's configuration."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line; gives the exit status."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    if given[:1] == ["files"]:
        return evaluate_files.main(given[1:])
    options = _parse(given)
    try:
        _run(options)
    except (ValueError, OSError) as error:
        print(f"training.evaluate: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("training.evaluate: interrupted", file=sys.stderr)
        return 130
    return 0


def _run(options: argparse.Namespace) -> None:
    if options.json:
        check_figures_file(options.json)
    _check_data_options(options)
    data = data_of(options)
    device = choose_device(options.device)
    model, preset = load_model(options.weights)
    model.eval()
    samples = open_measured_samples(data, preset.task, preset.class_names)
    ids = None
    if options.results:
        ids = check_results(options.results, data, preset.task, samples.names)
    read = _reader(options, model, preset, device)
    seen, results = predict(read, preset, samples, options.workers)
    results = [result[result.scores >= options.threshold] for result in results]
    metrics = measure(samples.benchmark, seen, results, preset.class_names)
    print(metrics.table())
    if options.results:
        names = [sample.name for sample in seen]
        where = write_results(
            options.results,
            data,
            names,
            results,
            preset.class_names,
            ids=ids,
            score_decimals=preset.score_decimals,
        )
        print(f"results: {where}")
    if options.json:
        write_figures(options.json, metrics)


def _check_data_options(options: argparse.Namespace) -> None:
    """Refuse options that the form of the data has no use for.

    Raises:
        ValueError: There is one.
    """
    suffix = options.data.suffix if options.data else ""
    if options.data and (options.seed is not None or options.images is not None):
        raise ValueError("--seed and --images choose street images: leave them or --data out")
    if options.set and suffix not in RUNS:
        raise ValueError("--set changes a run's configuration: give its YAML as --data")
    if options.folder and (not options.data or suffix in RUNS or options.data.is_dir()):
        raise ValueError("--folder tells where the images of a JSON file lie: give it as --data")
    if options.list and (not options.data or suffix in RUNS):
        raise ValueError("--list chooses images of a folder or JSON file: give it as --data")


def data_of(options: argparse.Namespace) -> DataConfig:
    """The data that the command line names, as `validation`.

    Raises:
        ConfigError: The configuration of a run cannot be read.
        DataError: The path is no data of a known form.
    """
    path: Path | None = options.data
    if path is None:
        seed = STREET_SEED if options.seed is None else options.seed
        images = STREET_IMAGES if options.images is None else options.images
        return DataConfig(validation=StreetSource(seed, images))
    if path.suffix in RUNS:
        return load_config(path, options.set).data
    source: CocoSource | VocSource | KittiSource | None = None
    if path.suffix == ".json":
        list_file = str(path.parent / options.list) if options.list else ""
        source = CocoSource(str(path), str(options.folder or path.parent), list_file)
    elif (path / "Annotations").is_dir():
        source = VocSource((str(path),), options.list)
    for folder in (path, path / "training"):
        if source is None and (folder / "label_2").is_dir():
            source = KittiSource(str(folder), str(path / options.list) if options.list else "")
    if source is None:
        raise DataError(
            f"{path}: expected a run's configuration (YAML), a JSON file in COCO's form, a folder "
            "with Annotations and JPEGImages as Pascal VOC's, or one with label_2, image_2 and "
            "calib as KITTI's"
        )
    return DataConfig(kind=source.KIND, train=source, validation=source)


def _reader(
    options: argparse.Namespace, model: CenterNet, preset: ModelPreset, device: torch.device
) -> Reader:
    """How results are read: plainly, with a testing mode, or with maps of the truth.

    Raises:
        ValueError: The modes exclude each other, or the task has no such mode or head.
    """
    modes = options.flip or options.nms or options.scales != [1.0]
    if options.oracle:
        if modes:
            raise ValueError("--oracle goes with neither --flip, --scales nor --nms")
        task = build_task(preset.task, len(preset.class_names), compat=preset.compat)
        return oracle_reader(model.to(device), task, preset, options.oracle.split(","))
    if not modes:
        task = build_task(preset.task, len(preset.class_names), compat=preset.compat)
        return network_reader(model.to(device), task, preset)
    return detector_reader(
        Detector(
            TorchBackend(model, device),
            preset,
            device=device,
            flip=options.flip,
            scales=options.scales,
            nms=options.nms,
        )
    )


def oracle_reader(
    model: CenterNet, task: Task[Any], preset: ModelPreset, perfect: Sequence[str]
) -> Reader:
    """The network's answer with the maps of some heads as the ground truth has them.

    Raises:
        ValueError: The task has no such head.
    """
    device = next(model.parameters()).device

    def read(items: Sequence[EvaluationItem]) -> list[Detections2D]:
        inputs = torch.stack([item[1] for item in items]).to(device)
        maps = model(normalise(inputs, preset))[-1]
        drawn = [
            task.encode(sample.truth, view, view.grid_size, sample.ignored)
            for sample, _, view in items
        ]
        targets = {name: torch.stack([target[name] for target in drawn]) for name in drawn[0]}
        views = [item[2] for item in items]
        results: list[Detections2D] = decode_with_oracle(
            task, maps, targets, views, perfect=perfect, max_detections=preset.max_detections
        )
        return results

    return read


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m training.evaluate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("weights", help="weights file")
    add("--data", type=Path, help="configuration of a run, or data; by default the street world")
    add("--set", action="append", default=[], metavar="KEY=VALUE", help="override in the YAML")
    add("--folder", type=Path, help="folder of the images of a JSON file")
    add("--list", default="", help="list of the images to measure on, below the data's folder")
    add("--seed", type=int, help=f"seed of the street images (default: {STREET_SEED})")
    add("--images", type=int, help=f"number of street images (default: {STREET_IMAGES})")
    add("--threshold", type=float, default=0.0, help="least score of a result (default: 0)")
    add("--flip", action="store_true", help="average with the mirrored image")
    add("--scales", type=float, nargs="+", default=[1.0], help="look at several scales")
    add("--nms", action="store_true", help="soft-NMS also at one scale")
    add("--oracle", default="", metavar="HEADS", help="heads to take from the truth: size,heatmap")
    add("--results", type=Path, help="folder for result files as the benchmark's server takes them")
    add("--workers", type=int, default=1, help="processes that prepare images")
    add("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    add("--json", type=Path, help="file for the figures")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
