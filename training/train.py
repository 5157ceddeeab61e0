"""Train a network: `python -m training.train --config config/training/RUN.yaml`.

On several GPUs or machines: `torchrun --nproc-per-node N -m training.train --config ...`.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import shlex
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType

import torch

from centernet_ros.backends import choose_device, has_bfloat16
from centernet_ros.checkpoint import CheckpointError, load_model, load_trunk, load_weights
from centernet_ros.kitti import read_objects, to_truth
from centernet_ros.models import build_model
from centernet_ros.models.centernet import CenterNet
from centernet_ros.presets import ModelPreset
from training.checkpoints import BEST_FILE, STEP_FILES, WEIGHTS_FILE, Checkpoints
from training.config import RunConfig, load_config
from training.data.kitti import KittiSamples
from training.data.labelled import LabelledImages
from training.data.loading import training_batches, training_task
from training.data.opening import FirstSamples, open_training_samples, open_validation_samples
from training.data.sample import DataError, SampleSet
from training.distributed import ALONE, World, joined_world, own_device
from training.engine import StepResult, TrainingError, evaluate, schedule_problems, train
from training.learner import start_learner
from training.logs import LOG_FILE, RunLog, read_log
from training.measuring import Metrics
from training.report import PREVIEW_FILE, write_report
from training.state import STATE_FILE, Progress, load_state, what_decides
from training.strict import ConfigError

LOST = re.compile("closed by peer|reset by peer|remote process")
"""In the text of an error that tells of another process."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line; gives the exit status."""
    options = _parse(arguments)
    try:
        config = load_config(options.config, options.set)
        with joined_world() as world:
            device = choose_device(own_device(options.device, world))
            return run(config, device, resume=options.resume, world=world)
    except (OSError, CheckpointError, TrainingError, ValueError) as error:
        print(f"training.train: {error}", file=sys.stderr)
        return 1
    except RuntimeError as error:
        if not LOST.search(str(error)):
            raise
        # It has told its reason itself.
        print("training.train: another process of the run has ended", file=sys.stderr)
        return 1


def run(
    config: RunConfig, device: torch.device, *, resume: bool = False, world: World = ALONE
) -> int:
    """Train, save and evaluate; gives 0, or 128 + signal when a signal ended the training early."""
    if config.threads:
        torch.set_num_threads(config.threads)
    with world.agreeing() as alike:
        start = _prepare(config, device, world, resume=resume)
        alike.update(start.alike)
    config, samples, preset = start.config, start.samples, start.preset
    task = training_task(config, preset)
    learner = start_learner(start.model, config.optimiser, device, world)
    progress = Progress()
    if start.resumes:
        progress = load_state(config.folder / STATE_FILE, learner, start.decisive)
    steps_per_epoch = _steps_per_epoch(config, len(samples), world)
    total = steps_per_epoch * config.optimiser.epochs
    checkpoints = Checkpoints(
        config,
        learner,
        task,
        preset,
        start.validation,
        steps_per_epoch=steps_per_epoch,
        progress=progress,
        decisive=start.decisive,
        facts={"command": _command(), "seed": config.seed},
    )
    log = RunLog(config, progress.step, total, silent=not world.leads)
    with log, _caught_signals() as caught, _saved_before_bad_data(checkpoints, world):

        def after_step(result: StepResult) -> bool:
            signalled[0] = world.largest(caught[0] if caught else 0)
            log.add(result)
            if world.leads:
                checkpoints.after_step(result.step, last=signalled[0] > 0)
            return not signalled[0]

        signalled = [0]
        pinned = device.type == "cuda"
        done = train(
            learner,
            task,
            batches=training_batches(samples, config, progress.step, world, pinned=pinned),
            preset=preset,
            config=config.optimiser,
            steps_per_epoch=steps_per_epoch,
            first_step=progress.step,
            after_step=after_step,
            world=world,
            names=samples.names,
        )
    if done < total:
        if world.leads:
            print(f"stopped at step {done} of {total}; the same command with --resume goes on")
        return 128 + signalled[0]
    if world.leads:
        _finish(config, checkpoints, device, total, len(samples))
    return 0


@dataclass(frozen=True, eq=False)
class _Start:
    """What a process knows before it works together with others.

    Attributes:
        config: the run, with the precision that `auto` means.
        samples: what is trained on.
        validation: what is measured on.
        preset: that the weights will carry.
        model: the network, with the weights that the run starts from.
        resumes: whether it goes on from a saved state.
    """

    config: RunConfig
    samples: SampleSet
    validation: SampleSet
    preset: ModelPreset
    model: CenterNet
    resumes: bool

    @property
    def decisive(self) -> dict[str, str]:
        """See `what_decides`."""
        return what_decides(self.config, self.samples.class_names, len(self.samples))

    @property
    def alike(self) -> dict[str, str]:
        """What has to be the same in all processes."""
        names = hashlib.sha256("\n".join(self.samples.names).encode()).hexdigest()[:12]
        return {**self.decisive, "the list of images": names, "resuming": str(self.resumes)}


def _prepare(config: RunConfig, device: torch.device, world: World, *, resume: bool) -> _Start:
    """Open everything that a run needs, so that mistakes show at once."""
    resumes = _check_folder(config.folder, resume=resume)
    if resume and not resumes and world.leads:
        told = f"nothing to resume in {config.folder}: the run begins"
        print(f"training.train: {told}", file=sys.stderr)
    world.check_divides(config.optimiser.batch_size, config.optimiser.accumulate)
    config = _with_precision(config, device)
    samples, validation = _opened(config)
    preset = config.preset(samples.class_names)
    model = _network(config, preset, random=resumes)
    return _Start(config, samples, validation, preset, model, resumes)


def _check_folder(folder: Path, *, resume: bool) -> bool:
    """Make the folder of a run, or refuse one that holds another; gives whether there is a state.

    One command serves to begin and to go on, where a cluster starts it again and again: a run that
    is to be resumed begins where there is nothing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / STATE_FILE).exists():
        if resume:
            return True
        raise ConfigError(f"{folder} holds a run already: --resume it or choose another output")
    found = [*folder.glob(WEIGHTS_FILE), *folder.glob(BEST_FILE), *sorted(folder.glob(STEP_FILES))]
    if read_log(folder / LOG_FILE):
        found.append(folder / LOG_FILE)
    if found:
        raise ConfigError(
            f"{folder} holds {found[0].name} of a run that cannot be resumed: choose another "
            "output, or move away what is there"
        )
    return False


def _steps_per_epoch(config: RunConfig, num_images: int, world: World) -> int:
    """Steps of an epoch; tells what of its schedule the run is too short for."""
    steps = config.steps_per_epoch(num_images)
    for problem in schedule_problems(config.optimiser, steps) if world.leads else ():
        print(f"training.train: warning: {problem}", file=sys.stderr)
    return steps


def _opened(config: RunConfig) -> tuple[SampleSet, SampleSet]:
    """What is trained and measured on."""
    samples = open_training_samples(config)
    if not _has_objects(samples):
        classes = ", ".join(samples.class_names)
        raise DataError(
            f"there is no object of the classes {classes} in the training data "
            f"({len(samples)} images): look at data.classes and the labels; crowds and difficult "
            "objects count with data.ignored_as_objects: true only"
        )
    return samples, open_validation_samples(config, samples.class_names)


def _has_objects(samples: SampleSet) -> bool:
    """Whether there is anything to learn, by the labels alone; the street world always has it."""
    count = len(samples)
    if isinstance(samples, FirstSamples):
        samples = samples.samples
    if isinstance(samples, LabelledImages):
        return not samples.ignored[: samples.starts[count]].all()
    if isinstance(samples, KittiSamples):
        texts, names = samples.labels[:count], samples.class_names
        return any(len(to_truth(read_objects(text), names)[0]) > 0 for text in texts)
    return True


@contextmanager
def _saved_before_bad_data(checkpoints: Checkpoints, world: World) -> Iterator[None]:
    """Begin to write, and let an image that cannot be used not cost the steps before it."""
    try:
        if world.leads:
            checkpoints.start()
        yield
    except DataError:
        # A step begins when its images are there: the weights are those of the last whole one.
        if world.leads:
            checkpoints.save()
        raise


def _with_precision(config: RunConfig, device: torch.device) -> RunConfig:
    """The configuration with the precision that `auto` means on a device."""
    precision, fast = config.optimiser.precision, has_bfloat16(device)
    if precision == "bfloat16" and not fast:
        print(
            "training.train: this processor only imitates bfloat16, which takes many times longer: "
            "--set optimiser.precision=float32",
            file=sys.stderr,
        )
    if precision != "auto":
        return config
    chosen = "bfloat16" if fast else "float32"
    return replace(config, optimiser=replace(config.optimiser, precision=chosen))


def _network(config: RunConfig, preset: ModelPreset, *, random: bool) -> CenterNet:
    """The network with the weights that the run starts from, or `random` ones to be replaced."""
    torch.manual_seed(config.seed)
    model = build_model(preset.backbone, preset.task, len(preset.class_names))
    if random:
        return model
    if config.initial_weights:
        load_weights(model, config.initial_weights)
    if config.initial_trunk:
        load_trunk(model, config.initial_trunk)
    return model


def _finish(
    config: RunConfig, checkpoints: Checkpoints, device: torch.device, step: int, num_images: int
) -> None:
    """Write, measure and report the result."""
    path = checkpoints.save_result({})
    metrics = _evaluate_file(path, config, device)
    # The figures go beside the weights that they were measured on.
    checkpoints.save_result({"metrics": metrics.to_dict()})
    if config.evaluate_every:
        checkpoints.keep_best(metrics, step)
    checkpoints.preview(checkpoints.folder / PREVIEW_FILE)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)
    report = write_report(config, metrics, command=_command(), device=name, num_images=num_images)
    print(f"weights: {path}\nreport: {report}\n{metrics.table()}")


def _evaluate_file(path: Path, config: RunConfig, device: torch.device) -> Metrics:
    """Metrics of the weights as stored, on the run's validation images."""
    model, preset = load_model(path)
    samples = open_validation_samples(config, preset.class_names)
    task = training_task(config, preset)
    return evaluate(model.to(device), task, preset, samples, config.data.workers)


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
