"""Sets with the values that official evaluators gave for them.

The environment variable CENTERNET_METRICS names another folder of the same form. The sets are found
by listing it, at any depth below a folder with the name of their kind, and every expected value
comes from it. A kind without any set is skipped, and other files are not looked at.
"""

import json
import os
import zipfile
from pathlib import Path

import pytest

REFERENCE = Path(os.environ.get("CENTERNET_METRICS") or Path(__file__).parent / "reference")
KINDS = ("kitti", "voc", "coco")


class ReferenceSet:
    """A folder with archives of labels and results, and the values that belong to them."""

    def __init__(self, folder):
        self.folder = folder

    def json(self, name):
        """Content of a file; a missing file or key fails the test."""
        path = self.folder / name
        if not path.is_file():
            pytest.fail(f"a recorded value is missing: no file {path}", pytrace=False)
        return json.loads(path.read_text())

    def unpack(self, name, target):
        """A folder with the files of an archive."""
        with zipfile.ZipFile(self.folder / name) as archive:
            archive.extractall(target)
        target.mkdir(exist_ok=True)
        return target


def sets_of(kind):
    return sorted(path.parent for path in REFERENCE.glob(f"**/{kind}/**/expected.json"))


@pytest.fixture(scope="session")
def metrics_folder():
    return REFERENCE


def pytest_generate_tests(metafunc):
    """A test with an argument `kitti_set`, `voc_set` or `coco_set` runs for each set."""
    for kind in KINDS:
        if f"{kind}_set" in metafunc.fixturenames:
            sets = [
                pytest.param(ReferenceSet(folder), id=str(folder.relative_to(REFERENCE)))
                for folder in sets_of(kind)
            ]
            skip = pytest.mark.skip(reason=f"{REFERENCE} holds no set of {kind}")
            metafunc.parametrize(f"{kind}_set", sets or [pytest.param(None, marks=skip)])
