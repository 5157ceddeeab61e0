"""The authors' numbers: where they lie, and how a test looks them up.

The environment variable CENTERNET_REFERENCE names another folder of the same form, with other
seeds and numbers; the tests take every seed and every expected number from the folder.
"""

import importlib.util
import json
import os
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

REFERENCE = Path(__file__).parent / "reference"


class Reference:
    """Numbers that the authors' code gave, and the formulas of the inputs it was given."""

    def __init__(self, folder):
        self.folder = Path(folder)
        spec = importlib.util.spec_from_file_location(
            "parity_formulas", self._existing(self.folder / "formulas.py")
        )
        self.formulas = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(self.formulas)
        self.seeds = self.json("SEEDS.json")
        """Seed of each kind of input: weights, image, index, decode, targets, losses, ..."""
        # A file is opened once, however many tests read from it.
        self.npz = cache(self._npz)

    def json(self, name):
        """Content of `vectors/<name>`."""
        return json.loads(self._existing(self.folder / "vectors" / name).read_text())

    def _npz(self, name):
        """Arrays of `vectors/<name>`; a name that is missing in it fails the test as a KeyError."""
        with np.load(self._existing(self.folder / "vectors" / name)) as file:
            return {key: file[key] for key in file.files}

    def tensors(self, name):
        """The same as tensors."""
        return {key: torch.from_numpy(np.asarray(v)) for key, v in self.npz(name).items()}

    def manifest(self, arch, task):
        """State dict, parameter counts and unused parameters of a network of the authors."""
        return self.json(f"networks/manifest_{arch}_{task}.json")

    def weights(self, arch, task):
        """The state dict, in the authors' names, that the networks' numbers were made with."""
        entries = [(name, shape) for name, shape, _ in self.manifest(arch, task)["state_dict"]]
        state = self.formulas.fill_state_dict(entries, self.seeds["weights"], arch)
        return {name: torch.from_numpy(value) for name, value in state.items()}

    def image(self, batch, height, width):
        """The network input (batch, 3, height, width) float32 that the numbers were made with."""
        return torch.from_numpy(self.formulas.image(self.seeds["image"], batch, height, width))

    @staticmethod
    def _existing(path):
        if not path.is_file():
            pytest.fail(f"reference numbers are missing: no file {path}", pytrace=False)
        return path


@pytest.fixture(scope="session")
def cases():
    """The encoders of annotated pictures, which the test of the targets holds."""
    path = Path(__file__).with_name("test_targets.py")
    spec = importlib.util.spec_from_file_location("parity_cases", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def reference():
    """The folder of CENTERNET_REFERENCE, by custom the copy in the repository."""
    return Reference(os.environ.get("CENTERNET_REFERENCE") or REFERENCE)
