"""A report can be written wherever a training can run."""

from importlib.metadata import PackageNotFoundError, version
from types import SimpleNamespace

from training.config import RunConfig
from training.report import write_report


def test_a_machine_without_torchvision_has_a_report(tmp_path, monkeypatch):
    def absent(name):
        if name == "torchvision":
            raise PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr("training.report.version", absent)
    metrics = SimpleNamespace(table=lambda: "AP 0.5")
    config = RunConfig(output=str(tmp_path))
    path = write_report(config, metrics, command="train", device="cpu", num_images=1)

    assert "no torchvision, OpenCV" in path.read_text()
