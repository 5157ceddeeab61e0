"""From the command line to the first result, and what stops the node before it."""

from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
import torch
from sensor_msgs.msg import Image
from vision_msgs.msg import Detection2DArray

from centernet_ros.checkpoint import save_checkpoint
from centernet_ros.models import build_model
from centernet_ros.presets import ModelPreset

SCRIPT = Path(__file__).parents[2] / "scripts" / "centernet_node"


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A file of the trainer's format with a network that has learnt nothing."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "untrained.safetensors"
    preset = ModelPreset("detection2d", "resnet18", ("cat", "dog"), input_size=(128, 160))
    save_checkpoint(path, build_model("resnet18", "detection2d", 2), preset, dtype=torch.float16)
    return path


PARAMETER_FILE = """
/**:
  ros__parameters:
    score_treshold: 0.5
"""


@pytest.fixture(scope="module", autouse=True)
def failing(start_node, tmp_path_factory):
    """Processes that cannot start; all at once and early, as each takes seconds."""
    folder = tmp_path_factory.mktemp("start")
    (folder / "wrong_key.yaml").write_text(PARAMETER_FILE)
    (folder / "broken.yaml").write_text("/**:\n  ros__parameters: [")
    cases = {
        "missing": ("-p", "weights:=weights/nowhere.safetensors"),
        "wrong key": ("--params-file", str(folder / "wrong_key.yaml")),
        "broken file": ("--params-file", str(folder / "broken.yaml")),
    }
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(start_node(*arguments, script=["-m", "centernet_ros.ros"]))
            for name, arguments in cases.items()
        }


def test_a_weights_file_to_detections(start_node, peer, weights, image_message):
    image = np.random.default_rng(0).integers(0, 256, (240, 320, 3), np.uint8)
    arguments = ["-p", f"weights:={weights}", "-p", "score_threshold:=0.0", "-p", "threads:=1"]
    with (
        start_node(*arguments, "-p", "max_detections:=5", script=SCRIPT) as child,
        peer.publishing(Image, "image") as camera,
        peer.listening(Detection2DArray, "centernet/detections_2d") as detections,
    ):
        answer = peer.exchange(camera, image_message(image), detections)
        assert len(answer.detections) == 5
        for detection in answer.detections:
            hypothesis = detection.results[0].hypothesis
            assert hypothesis.class_id in ("cat", "dog")
            assert 0 < hypothesis.score < 1
        (line,) = child.output.splitlines()
        for fact in (
            "detection2d with resnet18 on cpu (torch, float32, 1 threads)",
            "input 160x128",
            "classes cat, dog",
            str(weights),
        ):
            assert fact in line
        assert child.stop() == 0


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        ("missing", "file weights/nowhere.safetensors does not exist (looked for /"),
        ("wrong key", "unknown parameter 'score_treshold'; known: weights, device, "),
        ("broken file", "broken.yaml"),
    ],
)
def test_a_failed_start_is_one_line_and_status_1(failing, case, reason):
    assert failing[case].process.wait(90) == 1
    output = failing[case].output.strip()
    assert reason in output
    assert "[FATAL]" in output.splitlines()[-1]
    assert "Traceback" not in output
    if case != "broken file":  # the parser of rcl speaks first
        assert len(output.splitlines()) == 1


def test_the_interpreter_is_the_one_of_the_caller():
    assert SCRIPT.read_text().startswith("#!/usr/bin/env python3\n")
    assert SCRIPT.stat().st_mode & 0o111
