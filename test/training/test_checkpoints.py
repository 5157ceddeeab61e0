"""What a run has learnt outlives images that cannot be used, and kills at any place."""

import json
from types import SimpleNamespace

import pytest
import torch

from centernet_ros.checkpoint import read_checkpoint
from centernet_ros.models import build_model
from training import checkpoints
from training.checkpoints import Checkpoints
from training.config import RunConfig
from training.state import Progress
from training.train import main

CONFIG = """
backbone: resnet18_pyramid16
input_size: [32, 32]
threads: 1
evaluate_every: 1
optimiser: {batch_size: 1, epochs: 2, warmup_steps: 1}
"""


def spoil(path):
    content = path.read_bytes()
    path.write_bytes(b"no picture")
    return content


def start(folder, root, *options):
    """Exit status of a run on the two images of a VOC folder."""
    config = folder / "run.yaml"
    source = "{folders: [.]}"
    data = f"{{kind: voc, root: {root}, train: {source}, validation: {source}, workers: 0}}"
    config.write_text(f"output: {folder / 'run'}\ndata: {data}\n{CONFIG}")
    return main(["--config", str(config), "--device", "cpu", *options])


def state(folder):
    return torch.load(folder / "run" / "state.pt", weights_only=True)


def measured(folder):
    return [json.loads(line)["step"] for line in (folder / "run/measurements.jsonl").open()]


@pytest.fixture
def whole(tmp_path_factory, voc):
    """Folder of an undisturbed run on the same images."""
    folder = tmp_path_factory.mktemp("whole")
    assert start(folder, voc.folder) == 0
    return folder


def assert_same(folder, whole):
    for name in ("weights.safetensors", "best.safetensors"):
        found = read_checkpoint(folder / "run" / name)
        expected = read_checkpoint(whole / "run" / name)
        assert all(torch.equal(value, expected[0][key]) for key, value in found[0].items())
        assert found[2]["metrics"] == expected[2]["metrics"]
    assert measured(folder) == measured(whole) == [2, 4]


def test_a_broken_validation_image_costs_no_step_and_no_measurement(
    tmp_path, voc, whole, monkeypatch, capsys
):
    image = voc.folder / "JPEGImages" / "two.jpg"
    evaluate = checkpoints.evaluate

    # Both parts are the same images: broken while they are measured alone.
    def spoilt(*arguments):
        content = spoil(image)
        try:
            return evaluate(*arguments)
        finally:
            image.write_bytes(content)

    with monkeypatch.context() as patch:
        patch.setattr("training.checkpoints.evaluate", spoilt)
        assert start(tmp_path, voc.folder) == 1
    assert "two.jpg" in capsys.readouterr().err
    assert (state(tmp_path)["step"], state(tmp_path)["validated"]) == (2, False)

    assert start(tmp_path, voc.folder, "--resume") == 0
    assert_same(tmp_path, whole)


def test_a_broken_training_image_costs_no_step(tmp_path, voc, whole, monkeypatch, capsys):
    image = voc.folder / "JPEGImages" / "two.jpg"
    content = image.read_bytes()

    # Of the two images of the second epoch this one is the last.
    def add(log, result):
        if result.step == 3:
            spoil(image)

    with monkeypatch.context() as patch:
        patch.setattr("training.train.RunLog.add", add)
        assert start(tmp_path, voc.folder) == 1
    assert "two.jpg" in capsys.readouterr().err
    assert state(tmp_path)["step"] == 3
    image.write_bytes(content)

    assert start(tmp_path, voc.folder, "--resume") == 0
    assert_same(tmp_path, whole)


def test_what_a_killed_run_left_is_cleared_away(tmp_path, voc):
    folder = tmp_path / "run"
    folder.mkdir()
    partial = ["state.pt.12.partial", "weights.safetensors.3.partial", "best.safetensors.3.partial"]
    foreign = ["notes.partial", "state.pt.partial", "film.mp4.12.partial"]
    for name in partial + foreign:
        (folder / name).touch()
    (folder / "measurements.jsonl").write_text('{"step": 1, "mAP": 0.9}\n')
    (folder / "log.jsonl").write_text('{"step": 1')

    assert start(tmp_path, voc.folder) == 0
    assert sorted(path.name for path in folder.glob("*.partial")) == sorted(foreign)
    assert measured(tmp_path) == [2, 4]
    steps = [json.loads(line)["step"] for line in (folder / "log.jsonl").open()]
    assert steps == [1, 2, 3, 4]


def test_weights_beyond_half_precision_are_stored_in_full(tmp_path, caplog):
    config = RunConfig(backbone="resnet18_pyramid16", output=str(tmp_path))
    model = build_model(config.backbone, config.task, 1)
    writer = Checkpoints(
        config,
        SimpleNamespace(result=model),
        task=None,
        preset=config.preset(("cup",)),
        validation=None,
        steps_per_epoch=1,
        progress=Progress(),
        decisive={},
        facts={},
    )

    def stored():
        return read_checkpoint(writer.save_result({}))[0]

    assert {v.dtype for v in stored().values() if v.is_floating_point()} == {torch.float16}
    name, value = next(iter(model.named_parameters()))
    value.data.flatten()[0] = 1e5
    for _ in range(2):
        assert torch.equal(stored()[name], value)
    assert len(caplog.records) == 1
    assert "some weights are too large for float16" in caplog.text
