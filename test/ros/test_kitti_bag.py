"""Node, player and recorder as processes: what the node publishes is what the evaluation finds."""

from pathlib import Path

import pytest

from centernet_ros.kitti import read_objects
from centernet_ros.kitti_bag.__main__ import main as write_bag
from training.data.street import StreetDataset
from training.data.street.export import write_kitti
from training.evaluate import main as evaluate
from training.evaluation.kitti import evaluate_kitti, read_frames

ROOT = Path(__file__).parents[2]
WEIGHTS = ROOT / "weights/street_detection3d.safetensors"
KITTI = ROOT.parent / "shared/data/kitti/training"
PATIENCE = 240.0
"""Seconds that processes may take on a busy machine."""

LAST_DIGIT = 0.0101
"""Numbers that are rounded to two decimals may differ by one in the last one."""

LEAST_SCORE = 0.02
"""Below, many results share a score, and rounding decides their order."""


@pytest.fixture
def record(start_node, tmp_path):
    """Plays a bag to the node: `record(bag, "-p", "image_transport:=compressed")`.

    Gives the folder of the recorder's files.
    """

    def run(bag, *parameters):
        out = tmp_path / "recorded"
        node = (
            *("-p", f"weights:={WEIGHTS}", "-p", "device:=cpu", "-p", "backend:=torch"),
            *("-p", "precision:=float32", "-p", "score_threshold:=0.0"),
            *("-r", "image:=/camera/image"),
            *("-r", "image/compressed:=/camera/image/compressed"),
            *("-r", "camera_info:=/camera/camera_info", *parameters),
        )
        recorder = ["-m", "centernet_ros.ros.kitti_recorder", str(bag), str(out)]
        player = ["-m", "demo.camera", "--lossless", "--bag", str(bag)]
        with (
            start_node(*node, script=["-m", "centernet_ros.ros"]),
            start_node(script=recorder) as recorder,
            start_node(script=player) as player,
        ):
            assert recorder.process.wait(PATIENCE) == 0, recorder.output
            assert player.process.wait(PATIENCE) == 0, player.output
        return out

    return run


def evaluated(folder, frames, tmp_path):
    """The evaluation's own result files of some frames."""
    out = tmp_path / "evaluated"
    options = ["--data", str(folder), "--list", str(frames), "--device", "cpu", "--workers", "0"]
    assert evaluate([str(WEIGHTS), *options, "--results", str(out)]) == 0
    return out


def assert_same_results(recorded, expected, names):
    """The same objects in the same order with the same numbers; gives how many there are."""
    assert sorted(path.name for path in recorded.iterdir()) == [f"{name}.txt" for name in names]
    count = 0
    for name in names:
        found, wanted = (
            [
                item
                for item in read_objects((folder / f"{name}.txt").read_text())
                if item.score >= LEAST_SCORE
            ]
            for folder in (recorded, expected)
        )
        assert [item.kind for item in found] == [item.kind for item in wanted]
        for one, other in zip(found, wanted, strict=True):
            assert numbers(one) == pytest.approx(numbers(other), abs=LAST_DIGIT)
        count += len(found)
    return count


def numbers(item):
    angles = item.alpha, item.yaw
    return [*without_negative_size(item.box), *item.dimensions, *item.location, *angles, item.score]


def without_negative_size(box):
    """A network may answer one for what is no object; messages hold nothing below 0."""
    x1, y1, x2, y2 = box
    width, height = max(0, x2 - x1) / 2, max(0, y2 - y1) / 2
    x, y = (x1 + x2) / 2, (y1 + y2) / 2
    return x - width, y - height, x + width, y + height


@pytest.mark.timeout(600)
def test_the_node_is_as_good_as_the_evaluation_says(record, tmp_path):
    write_kitti(StreetDataset(900_100, 5), tmp_path / "street")
    bag = tmp_path / "bag"
    assert write_bag([str(tmp_path / "street"), str(bag)]) == 0
    recorded = record(bag)
    folder = tmp_path / "street/training"
    expected = evaluated(folder, bag / "frames.txt", tmp_path)
    names = [f"{number:06d}" for number in range(5)]
    assert assert_same_results(recorded, expected, names) > 20
    figures = [
        evaluate_kitti(read_frames(folder / "label_2", results)) for results in (recorded, expected)
    ]
    assert figures[0].to_dict() == figures[1].to_dict()
    assert figures[0].num_truths["Car"][1] > 5
    assert figures[0].entry("Car", "2d", 0.5).r40[1] > 5


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(not KITTI.is_dir(), reason="no KITTI in ../shared/data")
def test_real_frames_of_several_drives(record, tmp_path):
    """With cameras of their own, as the files' own bytes."""
    names = ["000003", "000010", "000024", "000008", "000007"]
    bag = tmp_path / "bag"
    assert write_bag([str(KITTI), str(bag), "--compressed", "--frames", *names]) == 0
    recorded = record(bag, "-p", "image_transport:=compressed")
    expected = evaluated(KITTI, bag / "frames.txt", tmp_path)
    assert assert_same_results(recorded, expected, sorted(names)) > 20
