"""Result files measured from the command line."""

import json
import zipfile
from pathlib import Path

import pytest

from training import evaluate

REFERENCE = Path(__file__).parent / "evaluation" / "reference"


def unpack(archive, target):
    with zipfile.ZipFile(REFERENCE / archive) as file:
        file.extractall(target)
    return str(target)


@pytest.fixture
def kitti(tmp_path):
    labels = unpack("kitti/carsonly30/label_2.zip", tmp_path / "label_2")
    return labels, unpack("kitti/carsonly30/det.zip", tmp_path / "results")


def test_kitti(kitti, tmp_path, capsys):
    figures = tmp_path / "figures.json"
    assert evaluate.main(["files", "kitti", *kitti, "--json", str(figures)]) == 0
    expected = json.loads((REFERENCE / "kitti/carsonly30/expected.json").read_text())
    recorded = expected["results"]["Car"]["0.70"]["aos"]["R40"]
    measured = json.loads(figures.read_text())["Car"]["aos@0.70"]["R40"]
    assert list(measured.values()) == pytest.approx(recorded, abs=1e-6)
    assert f"{recorded[1]:.2f}" in capsys.readouterr().out

    (tmp_path / "list.txt").write_text("000000\n")
    assert evaluate.main(["files", "kitti", *kitti, "--list", str(tmp_path / "list.txt")]) == 1
    assert "000001.txt belongs to no frame" in capsys.readouterr().err


def test_figures_that_cannot_be_written_are_refused_before_the_work(tmp_path, capsys):
    missing = tmp_path / "missing"
    for path, message in ((missing / "a.json", "does not exist; make it"), (tmp_path, "a folder")):
        assert evaluate.main(["files", "runs", str(missing), "--json", str(path)]) == 1
        assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("overlap", "titles"),
    [("strict", {"2d@0.70", "2d@0.50"}), ("loose", {"2d@0.50", "2d@0.25"})],
)
def test_kitti_overlaps(kitti, capsys, overlap, titles):
    assert evaluate.main(["files", "kitti", *kitti, "--overlap", overlap]) == 0
    words = capsys.readouterr().out.split()
    assert {word for word in words if word.startswith("2d@")} == titles


def test_voc(tmp_path, capsys):
    folder = unpack("voc/edge12/annotations.zip", tmp_path / "voc")
    results = unpack("voc/edge12/det.zip", tmp_path / "results")
    assert evaluate.main(["files", "voc", folder, results]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["dog", "0.909", "0.917", "3"] in lines
    assert evaluate.main(["files", "voc", folder, results, "--split", "val"]) == 1
    assert "val.txt" in capsys.readouterr().err


@pytest.mark.parametrize(("name", "options"), [("bbox50", []), ("keypoints50", ["--keypoints"])])
def test_coco(tmp_path, name, options):
    unpack(f"coco/{name}/gt_det.zip", tmp_path)
    figures = tmp_path / "figures.json"
    files = [str(tmp_path / "gt.json"), str(tmp_path / "det.json")]
    assert evaluate.main(["files", "coco", *files, *options, "--json", str(figures)]) == 0
    expected = json.loads((REFERENCE / f"coco/{name}/expected.json").read_text())["stats"]
    assert json.loads(figures.read_text())["ap"] == pytest.approx(expected["AP"], abs=1e-9)


def test_runs(tmp_path, capsys):
    paths = []
    for index, value in enumerate((0.2, 0.4)):
        paths.append(str(tmp_path / f"{index}.json"))
        Path(paths[-1]).write_text(json.dumps({"ap": value}))
    assert evaluate.main(["files", "runs", *paths]) == 0
    assert capsys.readouterr().out.split() == ["2", "runs", "ap", "0.3", "±", "0.1414"]
    assert evaluate.main(["files", "runs", str(tmp_path / "x.json")]) == 1
    assert "x.json: No such file" in capsys.readouterr().err
