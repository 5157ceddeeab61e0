"""Several processes train exactly what one process trains."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from centernet_ros.models import build_model
from training.data.sample import DataError
from training.distributed import (
    ALONE,
    SharedBatchNorm2d,
    World,
    has_unused_parameters,
    own_device,
)
from training.strict import ConfigError

ROOT = Path(__file__).parents[2]
# Rounding multiplies from step to step in whatever precision; in this one it stays small.
TOY = """
backbone: resnet18_pyramid
input_size: [32, 96]
seed: 3
threads: 1
save_every: 2
data: {train: {seed: 5, images: 16}, validation: {seed: 6, images: 1}, workers: 0}
optimiser: {batch_size: 4, epochs: 2, warmup_steps: 2, learning_rate: 1e-3, precision: float64}
"""


def start(folder, processes, *changes, resume=False):
    config = folder.with_suffix(".yaml")
    config.write_text(f"output: {folder}\n{TOY}")
    command = ["-m", "training.train", "--config", str(config), "--device", "cpu"]
    command += [text for change in changes for text in ("--set", change)]
    command += ["--resume"] if resume else []
    if processes > 1:
        count = str(processes)
        launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", count]
        command = [*launcher, *command]
    return subprocess.Popen(
        [sys.executable, *command],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(process, status=0):
    output = process.communicate(timeout=100)[0]
    assert process.returncode == status, output
    return output


def losses(folder):
    lines = [json.loads(line) for line in (folder / "log.jsonl").open()]
    assert [line["step"] for line in lines] == list(range(1, len(lines) + 1))
    return [line["loss"] for line in lines]


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """Folder of a run of one process."""
    folder = tmp_path_factory.mktemp("alone") / "run"
    finish(start(folder, 1))
    return folder


def test_two_processes_have_the_loss_curve_of_one(tmp_path, alone):
    finish(start(tmp_path / "run", 2))

    assert losses(tmp_path / "run") == pytest.approx(losses(alone), rel=1e-5)
    assert len(losses(alone)) == 8
    assert (tmp_path / "run" / "report.md").exists()


@pytest.mark.slow
def test_a_signal_to_one_process_stops_both_at_a_step_from_which_one_goes_on(tmp_path, alone):
    folder = tmp_path / "run"
    process = start(folder, 2)
    log = folder / "log.jsonl"
    deadline = time.monotonic() + 80
    while not log.exists() or log.read_text().count("\n") < 3:
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(int(children[-1]), signal.SIGTERM)
    output = finish(process, status=1)

    assert "the same command with --resume goes on" in output
    stopped = torch.load(folder / "state.pt", weights_only=True)["step"]
    assert stopped == len(losses(folder))

    finish(start(folder, 1, resume=True))
    assert losses(folder) == pytest.approx(losses(alone), rel=1e-5)


def test_a_batch_that_cannot_be_shared_evenly_is_refused():
    message = (
        r"6 images in 2 parts cannot be shared evenly by 2 processes, but by 1, 3; .* 4 images"
    )
    with pytest.raises(ConfigError, match=message):
        World(0, 2).check_divides(6, 2)
    with pytest.raises(
        ConfigError, match=r"but by 1, 2, 3, 6, 19, 38, 57, 114; .* 4 has 112 images"
    ):
        World(0, 4).check_divides(114, 1)
    World(0, 2).check_divides(8, 2)


class WithBrokenNeighbour(World):
    """The first of two processes; the other one has met an image that cannot be used."""

    def largest(self, number):
        return max(number, 1)

    def gathered(self, items):
        return [*items, "b.jpg is broken"]


def test_an_image_that_one_process_cannot_use_ends_all():
    with pytest.raises(DataError, match=r"b\.jpg is broken"):
        next(WithBrokenNeighbour(0, 2).together(iter("ab")))
    assert list(ALONE.together(iter("ab"))) == ["a", "b"]


@pytest.fixture
def neighbour(monkeypatch):
    """The first of two processes; the other one fails with this text, or differs in these facts."""

    def with_neighbour(problem="", **different):
        def gather(answers, own):
            answers[:] = [own, (problem, own[1] | different)]

        monkeypatch.setattr("torch.distributed.all_gather_object", gather)
        return World(0, 2)

    return with_neighbour


def test_processes_agree_before_they_begin(neighbour):
    for world in (neighbour(), ALONE):
        with world.agreeing() as alike:
            alike.update(seed="3", images="a1b2")
    message = "images is a1b2 in process 0, but c3d4 in process 1: all need the same"
    with pytest.raises(ConfigError, match=message), neighbour(images="c3d4").agreeing() as alike:
        alike.update(seed="3", images="a1b2")


def test_who_cannot_begin_is_not_waited_for(neighbour):
    with (
        pytest.raises(ConfigError, match=r"process 1 cannot begin: no image b\.jpg"),
        neighbour("no image b.jpg").agreeing(),
    ):
        pass
    for world in (neighbour(), neighbour("no image b.jpg"), ALONE):
        with pytest.raises(DataError, match=r"no image a\.jpg"), world.agreeing():
            raise DataError("no image a.jpg")


def test_one_process_has_all_sums_already():
    values = {"a": torch.tensor(3), "b": torch.tensor([1.5, 2.5])}
    totals = ALONE.totals(values)

    assert totals["a"].dtype == torch.int64
    assert {name: value.tolist() for name, value in totals.items()} == {"a": 3, "b": [1.5, 2.5]}
    assert (ALONE.largest(7), ALONE.gathered(["x"])) == (7, ["x"])


def test_layers_without_influence_are_known():
    model = build_model("resnet18_pyramid", "detection2d", 1)
    assert not has_unused_parameters(model)
    model.spare = torch.nn.Linear(1, 1)
    assert has_unused_parameters(model)


def test_one_process_keeps_the_device_that_was_asked_for():
    assert own_device("auto", ALONE) == "auto"
    assert own_device("cpu", World(1, 2)) == "cpu"


def test_shared_statistics_serve_as_those_of_a_plain_layer():
    plain = torch.nn.BatchNorm2d(3)
    with torch.no_grad():
        plain.running_mean.copy_(torch.tensor([1.0, 2, 3]))
    shared = SharedBatchNorm2d.like(plain).eval()
    image = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))

    assert torch.equal(shared(image), plain.eval()(image))
    assert shared.state_dict().keys() == plain.state_dict().keys()
    assert shared.weight is plain.weight
