"""The whole demo: three real processes over DDS."""

import dataclasses
import itertools
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

import demo.__main__
import demo.session
from centernet_ros.checkpoint import save_checkpoint
from centernet_ros.models import build_model
from centernet_ros.presets import KITTI_CLASSES, ModelPreset
from demo.__main__ import main
from demo.records import Received, Sent, Tail, Timed, match
from demo.report import street_truth, to_results
from demo.session import DemoError
from demo.sources import StreetSource
from demo.tasks import TASKS
from training.data.street_samples import street_classes

CHECKOUT = Path(__file__).parents[2]
WEIGHTS = CHECKOUT / "weights/street_detection2d.safetensors"
TIMEOUT = 100
SLOW = pytest.mark.slow


def write_weights(folder, task):
    """A small and quick network that has learnt nothing."""
    torch.manual_seed(0)
    path = folder / "random.safetensors"
    preset = ModelPreset(task, "resnet18", KITTI_CLASSES, input_size=(32, 64))
    save_checkpoint(path, build_model("resnet18", task, 3), preset)
    return path


@pytest.fixture(scope="module")
def random_weights(tmp_path_factory):
    return write_weights(tmp_path_factory.mktemp("weights"), "detection2d")


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


@pytest.mark.parametrize(
    ("task", "seconds"),
    [
        pytest.param("detection3d", 3, marks=SLOW),
        pytest.param("detection2d", 3, marks=SLOW),
        # People are large enough for labelled joints from the second street on.
        pytest.param("pose", 10, marks=SLOW),
    ],
)
def test_streets_as_seen_by_an_oracle(task, seconds, random_weights, tmp_path, monkeypatch, capfd):
    """Whatever stands between the truth and the table would lower the precision."""
    images = 10 * seconds
    monkeypatch.setenv("ORACLE_TASK", task)
    monkeypatch.setenv("ORACLE_IMAGES", str(images))
    oracle = Path(__file__).with_name("oracle_node.py")
    monkeypatch.setattr(demo.session, "package_file", lambda name: oracle)
    chosen = ["--task", task, "--weights", str(random_weights)]
    status = main(["--seconds", str(seconds), *chosen, "--out", str(tmp_path)])
    out, err = capfd.readouterr()
    assert (status, err) == (0, ""), out
    table = numbers(out)
    assert float(table["AP"]) > 0.999
    assert table["frames sent"] == str(images)
    # A busy machine may drop images; the counts have to agree with the messages all the same.
    sent, received, timed = records(tmp_path)
    answered = {r.stamp_ns for r in received}
    counted = [image for image in sent if image.counted]
    assert int(table["frames processed"]) == sum(i.stamp_ns in answered for i in counted) >= 1
    assert int(table["frames dropped"]) == images - int(table["frames processed"])
    assert {r.frame_id for r in received} == {"camera_color_optical_frame"}
    assert_truth(TASKS[task], match(sent, received)[0], images)
    topics = {topic.name for topic in TASKS[task].topics}
    assert {(r.topic, r.stamp_ns) for r in received} == set(itertools.product(topics, answered))
    assert {t.stamp_ns for t in timed} == answered <= {image.stamp_ns for image in sent}
    assert 0 < float(table["latency, median"]) <= float(table["latency, 99 %"])
    assert cv2.imread(str(tmp_path / "contact_sheet.png")) is not None
    assert cv2.VideoCapture(str(tmp_path / "demo.webm")).read()[0]
    for name in ("demo.webm", "contact_sheet.png", "received.jsonl"):
        assert str(tmp_path / name) in out.splitlines()


def assert_truth(task, exchanges, images):
    """What was recorded is what the oracle said."""
    samples = street_truth(task, StreetSource(images, 10.0, task.name))
    answered = [exchange for exchange in exchanges if exchange.received is not None]
    for exchange in answered:
        truth = samples[exchange.sent.index].truth
        found = to_results(task, exchange, street_classes(task.name))
        assert type(found) is type(truth)
        for field in dataclasses.fields(truth):
            if field.name != "scores":
                values = (getattr(each, field.name) for each in (found, truth))
                torch.testing.assert_close(*values, rtol=0, atol=1e-3)


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


@pytest.mark.slow
@pytest.mark.parametrize("calibrated", [True, False])
def test_3d_boxes_of_a_bag_need_its_camera_info(calibrated, write_bag, tmp_path):
    topics = {"/cam/image": ("Image", 6), "/cam/camera_info": ("CameraInfo", 6)}
    bag = write_bag(dict(list(topics.items())[: 1 + calibrated]), rate=4.0)
    weights = write_weights(tmp_path, "detection3d")
    out_folder = tmp_path / "out"
    status, out, err = finished(
        run_demo("--task=ddd", "--bag", bag, "--weights", weights, "--out", out_folder)
    )
    solids = [r for r in records(out_folder)[1] if r.topic == "detections_3d"]
    assert solids
    if calibrated:
        assert (status, err) == (0, ""), out
        assert all(solid.location[2] > 0 for array in solids for solid in array.detections)
    else:
        assert status == 1
        assert "detections_3d stayed empty" in err
        assert "is the camera calibrated?" in err
    assert any(array.detections for array in solids) == calibrated


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


@pytest.mark.timeout(300)  # it waits twice
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs Linux's /proc")
def test_an_interruption_ends_all_processes(random_weights, tmp_path):
    marker = uuid.uuid4().hex
    process = run_demo(
        "--seconds", 4, "--weights", random_weights, "--out", tmp_path, marker=marker
    )
    try:
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
    finally:
        process.kill()  # its own processes end with it
    assert status == 130
    assert err == "demo: interrupted\n"
    assert survivors(marker) == []


@SLOW
def test_a_node_that_cannot_start_is_told(random_weights, tmp_path):
    foreign = tmp_path / "foreign.safetensors"
    foreign.write_bytes(b"these are no weights")
    status, _, err = finished(run_demo("--weights", foreign, "--out", tmp_path / "out"))
    assert status == 1
    assert "the node ended too early" in err
    assert str(foreign) in err
    assert "Traceback" not in err


def test_pictures_of_an_earlier_demo_do_not_outlive_a_failure(
    random_weights, tmp_path, monkeypatch
):
    def fail(*_):
        raise DemoError("no session")

    monkeypatch.setattr(demo.__main__, "Session", fail)
    for name in ("demo.webm", "demo.mp4", "contact_sheet.png", "notes.txt"):
        (tmp_path / name).touch()
    assert main(["--weights", str(random_weights), "--out", str(tmp_path)]) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_weights_that_do_not_come_with_the_package(tmp_path, monkeypatch, capsys):
    def find_nothing(name):
        raise FileNotFoundError(name)

    monkeypatch.setattr(demo.__main__, "find_file", find_nothing)
    assert main(["--task", "pose", "--out", str(tmp_path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "no weights for pose come with the package:" in line
    assert "config/training/street_pose*.yaml" in line
    assert "make demo TASK=pose WEIGHTS=build/training/street_pose/weights.safetensors" in line


def test_options_that_cannot_be_used(tmp_path, capsys):
    out = ["--out", str(tmp_path)]
    assert main(["--weights", "nothing.safetensors", *out]) == 2
    assert "nothing.safetensors" in capsys.readouterr().err
    assert main(["--topic", "/x", *out]) == 2
    assert "--bag" in capsys.readouterr().err
    for bad, complaint in (
        (["--task", "juggling"], "unknown task 'juggling'; known: detection2d, detection3d, pose"),
        (["--seconds", "0"], "0"),
        (["--rate", "nan"], "nan"),
    ):
        with pytest.raises(SystemExit) as error:
            main([*bad, *out])
        assert error.value.code == 2
        assert complaint in capsys.readouterr().err
