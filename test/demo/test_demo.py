"""The whole demo: three real processes over DDS."""

import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import cv2
import pytest
import torch

import demo.session
from centernet_ros.checkpoint import save_checkpoint
from centernet_ros.models import build_model
from centernet_ros.presets import STREET_CLASSES, ModelPreset
from demo.__main__ import main
from demo.records import Received, Sent, Tail, Timed

CHECKOUT = Path(__file__).parents[2]
WEIGHTS = CHECKOUT / "weights/street_detection2d.safetensors"
TIMEOUT = 100


@pytest.fixture(scope="module")
def random_weights(tmp_path_factory):
    """A small and quick network that has learnt nothing."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "random.safetensors"
    preset = ModelPreset("detection2d", "resnet18", STREET_CLASSES, input_size=(32, 64))
    save_checkpoint(path, build_model("resnet18", "detection2d", 3), preset)
    return path


def run_demo(*arguments, marker=""):
    return subprocess.Popen(
        [sys.executable, "-m", "demo", *map(str, arguments)],
        cwd=CHECKOUT,
        env={**os.environ, "DEMO_TEST": marker},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(process):
    try:
        out, err = process.communicate(timeout=TIMEOUT)
    finally:
        process.kill()
    return process.returncode, out, err


def numbers(out):
    """The rows of the table by their names."""
    lines = [line for line in out.splitlines() if line.startswith("  ")]
    return {line[2:20].strip(): line[20:].split()[0] for line in lines}


def records(folder):
    every = [*Tail(folder / "sent.jsonl").new(), *Tail(folder / "received.jsonl").new()]
    return [[r for r in every if isinstance(r, kind)] for kind in (Sent, Received, Timed)]


def test_streets_as_seen_by_an_oracle(random_weights, tmp_path, monkeypatch, capfd):
    """Whatever stands between the truth and the table would lower the precision."""
    oracle = Path(__file__).with_name("oracle_node.py")
    monkeypatch.setattr(demo.session, "package_file", lambda name: oracle)
    status = main(["--seconds", "3", "--weights", str(random_weights), "--out", str(tmp_path)])
    out, err = capfd.readouterr()
    assert (status, err) == (0, ""), out
    table = numbers(out)
    assert float(table["AP"]) > 0.999
    assert table["frames sent"] == "30"
    # A busy machine may drop images; the counts have to agree with the messages all the same.
    sent, received, timed = records(tmp_path)
    answered = {r.stamp_ns for r in received}
    counted = [image for image in sent if image.counted]
    assert int(table["frames processed"]) == sum(i.stamp_ns in answered for i in counted) >= 1
    assert int(table["frames dropped"]) == 30 - int(table["frames processed"])
    assert {r.frame_id for r in received} == {"camera_color_optical_frame"}
    assert {t.stamp_ns for t in timed} == answered <= {image.stamp_ns for image in sent}
    assert 0 < float(table["latency, median"]) <= float(table["latency, 99 %"])
    assert cv2.imread(str(tmp_path / "contact_sheet.png")) is not None
    assert cv2.VideoCapture(str(tmp_path / "demo.webm")).read()[0]
    for name in ("demo.webm", "contact_sheet.png", "received.jsonl"):
        assert str(tmp_path / name) in out.splitlines()


@pytest.mark.skipif(not WEIGHTS.is_file(), reason=f"{WEIGHTS} is not there")
def test_streets_as_seen_by_the_shipped_network(tmp_path):
    status, out, err = finished(run_demo("--seconds", 5, "--out", tmp_path))
    assert (status, err) == (0, ""), out
    assert float(numbers(out)["AP@0.5"]) >= 0.8


def test_a_bag_keeps_its_stamps_and_frame_ids(write_bag, random_weights, tmp_path):
    topics = {
        "/cam/image/compressed": ("CompressedImage", 8),
        "/cam/camera_info": ("CameraInfo", 8),
    }
    bag = write_bag(topics, "mcap", rate=4.0)
    out_folder = tmp_path / "out"
    status, out, err = finished(
        run_demo("--bag", bag, "--weights", random_weights, "--out", out_folder)
    )
    assert (status, err) == (0, ""), out
    table = numbers(out)
    assert (table["frames sent"], table["AP"]) == ("8", "n/a")
    _, received, _ = records(out_folder)
    stamps = {1317013200_000000000 + i * 250_000_000 for i in range(8)}
    answered = {r.stamp_ns for r in received}
    assert len(answered & stamps) == int(table["frames processed"]) >= 1
    assert {r.frame_id for r in received} == {"bag_camera_optical_frame"}
    # The stamps are years old; the latency is not.
    assert 0 < float(table["latency, median"]) < 10_000


def survivors(marker):
    """Processes of this test, by a variable that they inherit."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if marker.encode() in (folder / "environ").read_bytes():
                found.append((folder / "cmdline").read_bytes())
        except OSError:
            continue
    return found


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs Linux's /proc")
def test_an_interruption_ends_all_processes(random_weights, tmp_path):
    marker = uuid.uuid4().hex
    process = run_demo(
        "--seconds", 4, "--weights", random_weights, "--out", tmp_path, marker=marker
    )
    deadline = time.monotonic() + TIMEOUT
    while not any(image.counted for image in records(tmp_path)[0]):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert len(survivors(marker)) == 4
    process.send_signal(signal.SIGINT)
    time.sleep(0.05)
    process.send_signal(signal.SIGINT)  # by an impatient user
    status, _, err = finished(process)
    assert status == 130
    assert err == "demo: interrupted\n"
    assert survivors(marker) == []


def test_a_node_that_cannot_start_is_told(random_weights, tmp_path):
    foreign = tmp_path / "foreign.safetensors"
    foreign.write_bytes(b"these are no weights")
    status, _, err = finished(run_demo("--weights", foreign, "--out", tmp_path / "out"))
    assert status == 1
    assert "the node ended too early" in err
    assert str(foreign) in err
    assert "Traceback" not in err


def test_options_that_cannot_be_used(tmp_path, capsys):
    out = ["--out", str(tmp_path)]
    assert main(["--weights", "nothing.safetensors", *out]) == 2
    assert "nothing.safetensors" in capsys.readouterr().err
    assert main(["--topic", "/x", *out]) == 2
    assert "--bag" in capsys.readouterr().err
    for bad in (["--seconds", "0"], ["--rate", "nan"], ["--task", "juggling"]):
        with pytest.raises(SystemExit) as error:
            main([*bad, *out])
        assert error.value.code == 2
