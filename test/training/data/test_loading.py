"""Batches follow from the seed and the step alone."""

import dataclasses
import multiprocessing
import os
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from centernet_ros.presets import ModelPreset
from centernet_ros.ros.processes import child_process
from training.config import LossConfig, OptimiserConfig, RunConfig
from training.data.loading import (
    ShuffledSteps,
    TrainingSet,
    compact,
    evaluation_batches,
    expand,
    training_batches,
    training_task,
)
from training.data.sample import DataError
from training.data.street_samples import StreetSamples
from training.sources import DataConfig, StreetSource

ROOT = Path(__file__).parents[3]
CONFIG = RunConfig(
    input_size=(64, 192),
    data=DataConfig(train=StreetSource(5, 6), workers=0),
    optimiser=OptimiserConfig(batch_size=2, epochs=2),
)
SAMPLES = StreetSamples(seed=5, count=6)


def test_every_epoch_sees_every_image_once_in_another_order():
    keys = [key for batch in ShuffledSteps(CONFIG, 6, 0) for key in batch]

    first, second = ([i for epoch, i in keys if epoch == e] for e in (0, 1))
    assert sorted(first) == sorted(second) == list(range(6))
    assert first != second


def test_an_incomplete_last_batch_is_left_out():
    config = RunConfig(optimiser=OptimiserConfig(batch_size=2, epochs=1))

    assert [len(batch) for batch in ShuffledSteps(config, 7, 0)] == [2, 2, 2]


@pytest.mark.parametrize("first_step", [1, 3, 4])
def test_a_resumed_run_sees_the_batches_that_are_left(first_step):
    whole = list(training_batches(SAMPLES, CONFIG, 0))
    rest = list(training_batches(SAMPLES, CONFIG, first_step))

    assert len(rest) == 6 - first_step
    for expected, batch in zip(whole[first_step:], rest, strict=True):
        for name, value in expected.items():
            torch.testing.assert_close(batch[name], value, rtol=0, atol=0)


def test_worker_processes_change_nothing():
    config = RunConfig(
        input_size=CONFIG.input_size,
        data=DataConfig(train=StreetSource(5, 6), workers=2),
        optimiser=CONFIG.optimiser,
    )

    for here, there in zip(
        training_batches(SAMPLES, CONFIG, 0), training_batches(SAMPLES, config, 0), strict=True
    ):
        for name, value in here.items():
            torch.testing.assert_close(there[name], value, rtol=0, atol=0)


def test_targets_are_those_of_the_augmented_image():
    batch = expand(next(iter(training_batches(SAMPLES, CONFIG, 0))), torch.device("cpu"))

    assert batch["image"].shape == (2, 64, 192, 3)
    assert batch["image"].dtype == torch.uint8
    assert batch["heatmap"].shape == (2, 3, 16, 48)
    peaks = batch["heatmap"].amax(1).flatten(1).gather(1, batch["index"])
    assert (peaks[batch["mask"]] == 1).all()


def test_maps_travel_without_their_zeros():
    items = [
        {"heatmap": torch.zeros(2, 3, 4), "size": torch.rand(5, 2), "image": torch.ones(8, 8, 3)}
        for _ in range(3)
    ]
    items[0]["heatmap"][1, 2, 3], items[2]["heatmap"][0, 0, 0] = 0.25, 1
    batch = compact(items)

    assert batch["heatmap.values"].tolist() == [0.25, 1]
    whole = expand(batch, torch.device("cpu"))
    assert list(whole) == ["size", "image", "heatmap"]
    for name, value in whole.items():
        assert value.equal(torch.stack([item[name] for item in items])), name


def test_a_run_chooses_its_losses():
    preset = CONFIG.preset("abc")
    plain = training_task(CONFIG, preset)
    heavy = training_task(dataclasses.replace(CONFIG, loss=LossConfig(0.2, "smooth_l1")), preset)
    batch = expand(next(iter(training_batches(SAMPLES, CONFIG, 0))), torch.device("cpu"))
    maps = {head.name: torch.zeros(2, head.channels, 16, 48) for head in plain.heads}
    batch["size"].fill_(4)

    assert [head.loss_weight for head in heavy.heads] == [1, 0.2, 1]
    assert [head.loss_weight for head in plain.heads] == [1, 0.1, 1]
    assert plain.losses(maps, batch)["size"] == pytest.approx(4, rel=1e-4)
    # Half a cell less, and a sum over width and height.
    assert heavy.losses(maps, batch)["size"] == pytest.approx(7, rel=1e-4)


def test_evaluation_images_come_in_order_with_the_detectors_view():
    preset = ModelPreset("detection2d", "resnet18", ("a", "b", "c"), (64, 192))
    samples = StreetSamples(seed=9, count=3)

    items = [item for batch in evaluation_batches(samples, preset, 2, 0) for item in batch]

    assert [item[0].name for item in items] == [samples[i].name for i in range(3)]
    for i, (sample, image, view) in enumerate(items):
        np.testing.assert_array_equal(sample.image, samples[i].image)
        assert image.shape == (64, 192, 3)
        assert view.image_size == sample.image.shape[:2]


LEFT_UNREAD = """
from training.config import OptimiserConfig, RunConfig
from training.sources import DataConfig, StreetSource
from training.data.loading import training_batches
from training.data.street_samples import StreetSamples

if __name__ == "__main__":
    data, optimiser = DataConfig(train=StreetSource(5, 6), workers=1), OptimiserConfig(batch_size=1)
    config = RunConfig(input_size=(64, 192), data=data, optimiser=optimiser)
    batches = iter(training_batches(StreetSamples(seed=5, count=6), config, 0))
    next(batches)
"""


def test_a_program_that_leaves_batches_unread_ends(tmp_path):
    program = tmp_path / "unread.py"
    program.write_text(LEFT_UNREAD)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with child_process([sys.executable, program], environment, tmp_path / "log") as child:
        assert child.process.wait(60) == 0, child.output


def test_the_workers_of_a_killed_program_end(tmp_path):
    program = tmp_path / "killed.py"
    told = "    print(multiprocessing.active_children()[0].pid, flush=True)\n"
    killed = "    os.kill(os.getpid(), 9)\n"
    program.write_text("import multiprocessing, os\n" + LEFT_UNREAD + told + killed)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with child_process([sys.executable, program], environment, tmp_path / "log") as child:
        assert child.process.wait(60) == -9, child.output
        worker = Path("/proc") / child.output.split()[0]
    deadline = time.monotonic() + 20
    while worker.exists():
        assert time.monotonic() < deadline, "the worker waits for ever"
        time.sleep(0.1)


def test_a_worker_that_was_killed_is_told_in_one_line():
    """As by a system that is short of memory."""
    config = dataclasses.replace(CONFIG, data=dataclasses.replace(CONFIG.data, workers=1))
    batches = training_batches(SAMPLES, config, 0)
    next(batches)
    (worker,) = multiprocessing.active_children()
    os.kill(worker.pid, signal.SIGKILL)
    with pytest.raises(
        DataError, match=r"ended from outside, mostly for want of memory: set data\."
    ):
        list(batches)


def test_so_many_images_are_kept_as_the_memory_holds(monkeypatch):
    config = dataclasses.replace(CONFIG, data=dataclasses.replace(CONFIG.data, cache=True))
    size = SAMPLES[0].image.nbytes
    monkeypatch.setattr("training.data.loading._cache_size", lambda workers: 2 * size + 1)
    training_set, read = TrainingSet(SAMPLES, config), []
    monkeypatch.setattr(StreetSamples, "__getitem__", read_and_note(read))
    for epoch in range(2):
        for index in range(4):
            training_set[epoch, index]
    assert read == [0, 1, 2, 3, 2, 3]


def read_and_note(read):
    whole = StreetSamples.__getitem__

    def getitem(samples, index):
        read.append(index)
        return whole(samples, index)

    return getitem
