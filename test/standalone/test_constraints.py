"""With a sourced distribution its numpy stays, and pip still finds versions that go with it."""

from importlib import metadata

import numpy as np
import pytest
from packaging.requirements import Requirement

from standalone import setup_environment

TRIED = setup_environment.HERE / "constraints.txt"


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Writes the constraints for a distribution with a numpy; gives them by the package's name."""
    monkeypatch.setattr(setup_environment, "ROOT", tmp_path)
    (tmp_path / "build").mkdir()

    def write(numpy):
        monkeypatch.setattr(np, "__version__", numpy)
        lines = setup_environment.constraints("jazzy").read_text().splitlines()
        pins = [Requirement(line) for line in lines if line and not line.startswith("#")]
        return {pin.name: pin for pin in pins if pin.marker is None or pin.marker.evaluate()}

    return write


def demands_on(package, pin):
    """What a pinned package wants of another one, as far as it is installed here."""
    try:
        if not pin.specifier.contains(metadata.version(pin.name)):
            return []
        wanted = map(Requirement, metadata.requires(pin.name) or ())
    except metadata.PackageNotFoundError:
        return []
    return [w for w in wanted if w.name == package and (not w.marker or w.marker.evaluate())]


# Those of apt on Humble and on Jazzy.
@pytest.mark.parametrize("numpy", ["1.21.5", "1.26.4"])
def test_no_pinned_package_refuses_the_distributions_numpy(written, numpy):
    pins = written(numpy)
    assert str(pins["numpy"].specifier) == f"=={numpy}"
    demands = {name: demands_on("numpy", pin) for name, pin in pins.items()}
    assert any(demands.values()), "torchvision and others want some numpy"
    for name, wanted in demands.items():
        assert all(demand.specifier.contains(numpy) for demand in wanted), name


def test_what_a_distribution_brings_is_not_pinned_and_the_rest_is(written):
    pins = written("1.26.4")
    assert not [name for name in pins if name.startswith(("ros-", "opencv", "cv-bridge"))]
    assert {"torch", "torchvision", "openvino", "ruff"} <= pins.keys()


def test_without_a_distribution_all_versions_are_those_that_were_tried():
    assert setup_environment.constraints(None) == TRIED
