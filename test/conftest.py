"""Fixtures that several test files share."""

import importlib.util
import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from centernet_ros.structures import Detections2D, View

# Networks this small gain nothing from a second thread, but on a busy machine threads that wait for
# each other are many times slower. Child processes inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")
torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))

REFERENCE = Path(__file__).parent / "parity" / "reference"


class Reference:
    """Numbers that the authors' code gave, and the formulas of the inputs it was given."""

    def __init__(self, folder):
        self.vectors = folder / "vectors"
        spec = importlib.util.spec_from_file_location("reference_formulas", folder / "formulas.py")
        self.formulas = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(self.formulas)
        self.seeds = self.json("SEEDS.json")
        """Seed of each kind of input: weights, image, decode, targets, losses, ..."""

    def json(self, name):
        return json.loads((self.vectors / name).read_text())

    def npz(self, name):
        with np.load(self.vectors / name) as file:
            return {key: file[key] for key in file.files}

    def weights(self, arch, task):
        """The state dict, in the authors' names, that the networks' numbers were made with."""
        manifest = self.json(f"networks/manifest_{arch}_{task}.json")
        entries = [(name, shape) for name, shape, _ in manifest["state_dict"]]
        state = self.formulas.fill_state_dict(entries, self.seeds["weights"], arch)
        return {name: torch.from_numpy(value) for name, value in state.items()}

    def annotated_image(self, case):
        """Truth and view of a case of `targets/ctdet.npz`: a 240x320 image with 14 boxes."""
        size, input_size = (240, 320), (256, 320)
        annotations = self.json("targets/annotations.json")["ctdet"]
        corners = torch.tensor([box["bbox"] for box in annotations])
        corners[:, 2:] += corners[:, :2]
        labels = [self.formulas.COCO_IDS.index(box["category_id"]) for box in annotations]
        truth = Detections2D(corners, torch.ones(len(labels)), torch.tensor(labels))

        if case == "val_keep":
            input_size = (256, 352)
        # Centre and width of the image's part that fills the input's width.
        (x, y), width = {
            "val_fix": ((160, 120), 320),
            "val_keep": ((160, 120), 352),
            "train_noflip": ((160, 120), 320),
            "train_flip": ((160, 120), 320),
            "crop_s0.7": ((140, 100), 320 * 0.7),
            "crop_s1.3_flip": ((200, 130), 320 * 1.3),
        }[case]
        scale = input_size[1] / width
        down = input_size[0] / 2 - scale * y
        if case.endswith("_flip"):
            # The authors mirror pixels, x -> 319 - x, and take the centre along.
            rows = [[-scale, 0, input_size[1] / 2 + scale * x], [0, scale, down]]
        else:
            rows = [[scale, 0, input_size[1] / 2 - scale * x], [0, scale, down]]
        return truth, View(size, input_size, torch.tensor(rows, dtype=torch.float64))


@pytest.fixture(scope="session")
def reference():
    """The authors' numbers in the repository, or in the folder that CENTERNET_REFERENCE names."""
    return Reference(Path(os.environ.get("CENTERNET_REFERENCE") or REFERENCE))
