"""Train a network: `python -m training.train --config config/training/RUN.yaml`."""

from __future__ import annotations

import argparse
import dataclasses
import json
import shlex
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from tqdm import tqdm

from centernet_ros.backends import choose_device
from centernet_ros.checkpoint import (
    CheckpointError,
    load_model,
    load_trunk,
    load_weights,
    save_checkpoint,
)
from centernet_ros.models import build_model
from training.config import ConfigError, RunConfig, load_config
from training.data.loading import training_batches, training_task
from training.data.opening import open_training_samples, open_validation_samples
from training.engine import StepResult, TrainingError, evaluate, train
from training.measuring import Metrics
from training.state import load_state, save_state

STATE_FILE = "state.pt"
WEIGHTS_FILE = "weights.safetensors"
LOG_FILE = "log.jsonl"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line; gives the exit status."""
    options = _parse(arguments)
    try:
        config = load_config(options.config, options.set)
        device = choose_device(options.device)
        return run(config, device, resume=options.resume)
    except (ConfigError, CheckpointError, TrainingError, ValueError) as error:
        print(f"training.train: {error}", file=sys.stderr)
        return 1


def run(config: RunConfig, device: torch.device, *, resume: bool = False) -> int:
    """Train, save and evaluate; gives 0, or 128 + signal when a signal ended the training early."""
    output = Path(config.output)
    output.mkdir(parents=True, exist_ok=True)
    if not resume and (output / STATE_FILE).exists():
        raise ConfigError(f"{output} holds a run already: --resume it or choose another output")
    if config.threads:
        torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    samples = open_training_samples(config)
    open_validation_samples(
        config, samples.class_names
    )  # so that mistakes show before the training
    steps_per_epoch = config.steps_per_epoch(len(samples))
    preset = config.preset(samples.class_names)
    task = training_task(config, preset)
    model = build_model(preset.backbone, preset.task, len(preset.class_names))
    if config.initial_weights:
        load_weights(model, config.initial_weights)
    if config.initial_trunk:
        load_trunk(model, config.initial_trunk)
    model = model.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = torch.optim.Adam(model.parameters(), config.optimiser.learning_rate)
    first_step = load_state(output / STATE_FILE, model, optimiser, config) if resume else 0

    total = steps_per_epoch * config.optimiser.epochs
    with _caught_signals() as caught, _Progress(config, output, first_step, total) as progress:

        def after_step(result: StepResult) -> bool:
            progress.show(result)
            stop = bool(caught)
            if stop or result.step == total or result.step % config.save_every == 0:
                save_state(output / STATE_FILE, model, optimiser, result.step, config)
            return not stop

        done = train(
            model,
            task,
            optimiser,
            batches=training_batches(samples, config, first_step),
            preset=preset,
            config=config.optimiser,
            steps_per_epoch=steps_per_epoch,
            first_step=first_step,
            after_step=after_step,
        )
    if done < total:
        print(f"stopped at step {done} of {total}; the same command with --resume goes on")
        return 128 + caught[0]

    path = output / WEIGHTS_FILE
    save_checkpoint(path, model, preset, dtype=torch.float16)
    metrics = _evaluate_file(path, config, device)
    # The figures go beside the weights that they were measured on.
    notes = {"command": _command(), "seed": config.seed, "metrics": metrics.to_dict()}
    save_checkpoint(path, model, preset, dtype=torch.float16, notes=notes)
    print(f"weights: {path}\n{metrics.table()}")
    return 0


def _evaluate_file(path: Path, config: RunConfig, device: torch.device) -> Metrics:
    """Metrics of the weights as stored, on the run's validation images."""
    model, preset = load_model(path)
    samples = open_validation_samples(config, preset.class_names)
    task = training_task(config, preset)
    return evaluate(model.to(device), task, preset, samples, config.data.workers)


class _Progress:
    """A progress bar with loss and images per second, and a log with one line per step."""

    def __init__(self, config: RunConfig, output: Path, first_step: int, total: int) -> None:
        self._batch_size = config.optimiser.batch_size
        self._bar = tqdm(total=total, initial=first_step, desc="training", unit="step")
        # A resumed run goes on behind its own lines.
        self._log = (output / LOG_FILE).open("a" if first_step else "w", buffering=1)
        self._last = time.perf_counter()

    def __enter__(self) -> _Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()
        self._log.close()

    def show(self, result: StepResult) -> None:
        """Add one step."""
        now = time.perf_counter()
        speed = self._batch_size / (now - self._last)
        self._last = now
        line: dict[str, Any] = {**dataclasses.asdict(result), "images_per_second": round(speed, 2)}
        self._log.write(json.dumps(line) + "\n")
        self._bar.set_postfix_str(f"loss {result.loss:.3f}, {speed:.1f} images/s", refresh=False)
        self._bar.update()


@contextmanager
def _caught_signals() -> Iterator[list[int]]:
    """Collect SIGTERM and SIGINT, so that a step ends and is saved; a second one ends at once."""
    caught: list[int] = []

    def remember(number: int, _frame: FrameType | None) -> None:
        caught.append(number)
        signal.signal(number, previous[number])

    previous = {int(n): signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)}
    for number in previous:
        signal.signal(number, remember)
    try:
        yield caught
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _command() -> str:
    return shlex.join(["python", "-m", "training.train", *sys.argv[1:]])


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m training.train", description=__doc__)
    parser.add_argument("--config", required=True, help="YAML file of the run")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="override section.key=value"
    )
    parser.add_argument("--resume", action="store_true", help="go on with a stopped run")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
