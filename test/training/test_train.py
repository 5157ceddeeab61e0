"""Training learns, stops cleanly, and resumes to the weights of the uninterrupted run."""

import importlib.util
import json
import os
import resource
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from centernet_ros.checkpoint import read_checkpoint, save_checkpoint
from centernet_ros.detector import Detector
from centernet_ros.models import build_model
from centernet_ros.presets import ModelPreset
from training.config import RunConfig, load_config
from training.engine import TrainingError
from training.strict import ConfigError
from training.train import main

ROOT = Path(__file__).parents[2]
TOY = """
input_size: [64, 192]
seed: 3
threads: 1
save_every: 4
data: {train: {seed: 5, images: 16}, validation: {seed: 6, images: 4}, workers: 0}
optimiser: {batch_size: 2, epochs: 1, warmup_steps: 2, learning_rate: 1e-3}
"""


def write_config(folder, name, text=TOY):
    path = folder / f"{name}.yaml"
    path.write_text(f"output: {folder / name}\n{text}")
    return path


def command(config, *more):
    return [
        sys.executable,
        "-m",
        "training.train",
        "--config",
        str(config),
        "--device",
        "cpu",
        *more,
    ]


def weights(folder):
    return read_checkpoint(folder / "weights.safetensors")[0]


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory):
    """Folder of an uninterrupted toy run, with what it said in `said`."""
    folder = tmp_path_factory.mktemp("whole")
    # As a cluster starts a run, the first time as all others.
    whole = command(write_config(folder, "run"), "--resume")
    done = subprocess.run(whole, cwd=ROOT, check=False, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 0, done.stderr
    (folder / "run" / "said").write_text(done.stderr)
    return folder / "run"


@contextmanager
def running(config, **options):
    """A run that does not outlive the block."""
    process = subprocess.Popen(command(config), cwd=ROOT, **options)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def wait_for_steps(log, count, process):
    deadline = time.monotonic() + 60
    while not log.exists() or log.read_text().count("\n") < count:
        assert process.poll() is None, "training ended before it was interrupted"
        assert time.monotonic() < deadline, "training does not get on"
        time.sleep(0.01)


@pytest.mark.timeout(300)  # three runs
@pytest.mark.parametrize(
    "number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)]
)
def test_an_interrupted_and_resumed_run_ends_with_the_same_weights(tmp_path, whole_run, number):
    config = write_config(tmp_path, "run")
    with running(config, stdout=subprocess.PIPE, text=True) as process:
        wait_for_steps(tmp_path / "run" / "log.jsonl", 3, process)
        process.send_signal(number)
        output = process.communicate(timeout=60)[0]

    assert process.returncode == 128 + number
    assert "--resume goes on" in output
    assert not (tmp_path / "run" / "weights.safetensors").exists()

    subprocess.run(command(config, "--resume"), cwd=ROOT, check=True)

    steps = [json.loads(line)["step"] for line in (tmp_path / "run/log.jsonl").open()]
    assert steps == list(range(1, 9))
    resumed, expected = weights(tmp_path / "run"), weights(whole_run)
    assert resumed.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.equal(resumed[name], value), name


@pytest.mark.slow
def test_a_signal_to_the_whole_process_group_ends_the_run_as_cleanly(tmp_path):
    config = write_config(tmp_path, "run", TOY.replace("workers: 0", "workers: 1"))
    with running(config, start_new_session=True) as process:
        wait_for_steps(tmp_path / "run" / "log.jsonl", 2, process)
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(timeout=60) == 128 + signal.SIGINT
    assert (tmp_path / "run" / "state.pt").exists()


@pytest.mark.slow
def test_a_killed_run_goes_on_from_its_last_saved_state(tmp_path, whole_run):
    config = write_config(tmp_path, "run")
    with running(config) as process:
        wait_for_steps(tmp_path / "run" / "log.jsonl", 6, process)

    subprocess.run(command(config, "--resume"), cwd=ROOT, check=True)

    expected = weights(whole_run)
    for name, value in weights(tmp_path / "run").items():
        assert torch.equal(value, expected[name]), name


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_run_killed_ten_times_ends_with_the_same_weights(tmp_path, whole_run):
    config = write_config(tmp_path, "run", TOY.replace("save_every: 4", "save_every: 1"))
    log = tmp_path / "run" / "log.jsonl"
    random = np.random.default_rng(0)
    for kill in range(10):
        resume = ["--resume"] if (tmp_path / "run" / "state.pt").exists() else []
        process = subprocess.Popen(command(config, *resume), cwd=ROOT)
        # At random: while it starts, within a step or while it writes.
        if kill % 2:
            wait_for_steps(log, min(7, kill), process)
        time.sleep(random.uniform(0, 0.5))
        process.kill()
        process.wait()
        for path in (tmp_path / "run").glob("state.pt"):
            assert torch.load(path, weights_only=True)["step"] <= 8

    resume = ["--resume"] if (tmp_path / "run" / "state.pt").exists() else []
    subprocess.run(command(config, *resume), cwd=ROOT, check=True)
    steps = [json.loads(line)["step"] for line in log.open()]
    assert steps == list(range(1, 9))
    expected = weights(whole_run)
    for name, value in weights(tmp_path / "run").items():
        assert torch.equal(value, expected[name]), name


def test_a_run_can_be_resumed_from_its_first_moment(tmp_path, whole_run, monkeypatch):
    def killed(*_, **__):
        raise TrainingError("the first step")

    config = write_config(tmp_path, "run")
    with monkeypatch.context() as patch:
        patch.setattr("training.train.train", killed)
        assert main(["--config", str(config), "--device", "cpu"]) == 1
    assert main(["--config", str(config), "--device", "cpu"]) == 1, "it holds a run"
    assert main(["--config", str(config), "--device", "cpu", "--resume"]) == 0
    expected = weights(whole_run)
    for name, value in weights(tmp_path / "run").items():
        assert torch.equal(value, expected[name]), name


def test_a_run_leaves_a_report_previews_and_the_best_weights(tmp_path):
    config = write_config(tmp_path, "run")
    changes = ["evaluate_every=1", "optimiser.epochs=2"]
    changes += ["optimiser.average=0.9", "data.train.images=4", "data.validation.images=2"]
    changes += ["keep_every=3", "preview_every=3", "input_size=[32, 96]"]
    options = [option for change in changes for option in ("--set", change)]
    assert main(["--config", str(config), *options, "--device", "cpu"]) == 0

    folder = tmp_path / "run"
    report = (folder / "report.md").read_text()
    for text in (
        "training.train",
        "| seed | 3 |",
        "all classes",
        "torch 2",
        "batch_size: 2",
        "waiting for",
    ):
        assert text in report
    for name in ("loss.png", "preview.jpg", "preview-00000003.jpg"):
        assert cv2.imread(str(folder / name)) is not None, name
    best = read_checkpoint(folder / "best.safetensors")[2]
    assert best["metrics"].keys() >= {"ap", "ap50"}
    assert read_checkpoint(folder / "step-00000003.safetensors")[2]["step"] == 3
    assert (folder / "measurements.jsonl").read_text().count("step") == 2
    # The running mean is what is written, not the last weights.
    learner = torch.load(folder / "state.pt", weights_only=True)["learner"]
    name = "heads.heatmap.2.weight"
    assert torch.equal(weights(folder)[name], learner["average"][name].half())
    assert not torch.equal(learner["model"][name], learner["average"][name])


@pytest.mark.parametrize("fast", [True, False])
def test_the_precision_follows_the_machine_and_a_slow_one_is_told(
    tmp_path, monkeypatch, capsys, fast
):
    monkeypatch.setattr("training.train.has_bfloat16", lambda device: fast)
    changes = ["optimiser.batch_size=1", "data.train.images=1", "data.validation.images=1"]
    options = [
        option for change in [*changes, "input_size=[64, 64]"] for option in ("--set", change)
    ]
    said = {}
    for precision in ("auto", "bfloat16"):
        config = write_config(tmp_path, precision)
        choice = ["--set", f"optimiser.precision={precision}"]
        assert main(["--config", str(config), *options, *choice, "--device", "cpu"]) == 0
        said[precision] = "only imitates bfloat16" in capsys.readouterr().err
    chosen = "bfloat16" if fast else "float32"
    assert f"precision: {chosen}" in (tmp_path / "auto" / "report.md").read_text()
    assert said == {"auto": False, "bfloat16": not fast}


def test_a_run_too_short_for_its_schedule_says_so_once(tmp_path, monkeypatch, capsys):
    def stop(*_, **__):
        raise ConfigError("far enough")

    monkeypatch.setattr("training.train.Checkpoints", stop)
    config = write_config(tmp_path, "short")

    assert main(["--config", str(config), "--device", "cpu"]) == 1
    assert "warning" not in capsys.readouterr().err
    options = ("--set", "optimiser.warmup_steps=9")
    assert main(["--config", str(config), "--device", "cpu", *options]) == 1
    error = capsys.readouterr().err
    assert error.count("warning: optimiser.warmup_steps: the 8 steps of the run end before") == 1


@pytest.mark.skipif(importlib.util.find_spec("tensorboard") is not None, reason="it is installed")
def test_absent_tensorboard_is_one_line(tmp_path, capsys):
    config = write_config(tmp_path, "run")

    assert main(["--config", str(config), "--set", "tensorboard=true", "--device", "cpu"]) == 1
    assert "pip install tensorboard" in capsys.readouterr().err


def test_the_weights_carry_command_seed_and_metrics(whole_run):
    _, preset, notes = read_checkpoint(whole_run / "weights.safetensors")

    assert preset.input_size == (64, 192)
    assert preset.class_names == ("pedestrian", "car", "cyclist")
    assert "training.train --config" in notes["command"]
    assert notes["seed"] == 3
    assert "ap50" in notes["metrics"]


def test_the_detector_takes_the_weights(whole_run):
    detector = Detector.from_checkpoint(whole_run / "weights.safetensors", device="cpu")
    image = torch.zeros(192, 640, 3, dtype=torch.uint8).numpy()

    assert len(detector(image)) == 100


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("seed=99", "another configuration: seed was 3 and is 99 now"),
        ("data.train.images=15", "data.train.images was 16 and is 15"),
        ("augment.scale=[1, 2]", r"augment.scale was (0.8, 1.2) and is (1.0, 2.0)"),
        ("optimiser.precision=bfloat16", "--set optimiser.precision=float32, or choose"),
    ],
)
def test_only_the_same_run_can_be_resumed(
    tmp_path, monkeypatch, whole_run, capsys, change, message
):
    monkeypatch.chdir(tmp_path)
    config = write_config(tmp_path, "other")
    options = ["--set", f"output={whole_run}", "--set", change, "--resume", "--device", "cpu"]

    assert main(["--config", str(config), *options]) == 1
    assert message in capsys.readouterr().err


def test_a_run_that_is_to_be_resumed_begins_where_there_is_nothing(whole_run):
    assert f"nothing to resume in {whole_run}: the run begins" in (whole_run / "said").read_text()


def allow_files_of_ten_megabytes():
    # Python ignores the signal, so that writing more fails as it does where the disk is full.
    resource.setrlimit(resource.RLIMIT_FSIZE, (10**7, 10**7))


def test_a_state_that_cannot_be_written_ends_the_run_with_one_line(tmp_path):
    config = write_config(tmp_path, "run", TOY.replace("save_every: 4", "save_every: 1"))
    done = subprocess.run(
        command(config),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=allow_files_of_ten_megabytes,
    )

    assert done.returncode == 1
    (line,) = (row for row in done.stderr.splitlines() if "training.train:" in row)
    assert f"cannot write {tmp_path / 'run' / 'state.pt'}" in line
    assert "MB are free there" in line
    assert "no state was saved before: make room" in line
    assert "Traceback" not in done.stderr
    assert not list((tmp_path / "run").glob("*.partial"))
    assert not (tmp_path / "run" / "state.pt").exists()


def test_a_wrong_key_ends_with_one_line(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text("optimiser: {speed: 3}\n")
    done = subprocess.run(command(path), cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "unknown key optimiser.speed" in done.stderr
    assert "run.yaml" in done.stderr


def test_foreign_initial_weights_are_refused(tmp_path, capsys):
    config = load_config(write_config(tmp_path, "run"))
    path = tmp_path / "foreign.safetensors"
    save_checkpoint(path, torch.nn.Linear(2, 2), config.preset("abc"))
    options = ["--config", str(tmp_path / "run.yaml"), "--set", f"initial_weights={path}"]

    assert main([*options, "--device", "cpu"]) == 1
    assert "foreign.safetensors does not fit the network" in capsys.readouterr().err


def test_another_tasks_backbone_is_where_a_run_starts_from(tmp_path):
    path = tmp_path / "boxes.safetensors"
    backbone = "resnet18_pyramid"
    boxes = build_model(backbone, "detection2d", 3)
    save_checkpoint(path, boxes, ModelPreset("detection2d", backbone, ("a", "b", "c")))
    changes = ["task=pose", f"backbone={backbone}", f"initial_trunk={path}"]
    changes += ["optimiser.learning_rate=1e-12", "data.train.images=2", "data.validation.images=1"]
    options = [option for change in changes for option in ("--set", change)]

    assert main(["--config", str(write_config(tmp_path, "run")), *options, "--device", "cpu"]) == 0

    found = weights(tmp_path / "run")
    for name, value in boxes.backbone.named_parameters():
        torch.testing.assert_close(found[f"backbone.{name}"].float(), value, rtol=1e-3, atol=1e-5)


def test_initial_weights_and_trunk_exclude_each_other():
    with pytest.raises(ConfigError, match="initial_trunk: initial_weights are given too"):
        RunConfig(initial_weights="a", initial_trunk="b")


def test_a_run_is_resumed_without_the_weights_that_it_began_with(tmp_path):
    config = write_config(tmp_path, "run", TOY.replace("images: 16", "images: 2"))
    first = tmp_path / "first.safetensors"
    preset = load_config(config).preset(("pedestrian", "car", "cyclist"))
    save_checkpoint(first, build_model("resnet18", "detection2d", 3), preset)
    options = ["--config", str(config), "--set", f"initial_weights={first}", "--device", "cpu"]
    assert main(options) == 0
    first.unlink()

    assert main([*options, "--resume"]) == 0
