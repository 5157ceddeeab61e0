"""From a picture and a weights file to results, as a user goes, against the authors' numbers."""

import dataclasses
import re

import numpy as np
import pytest
import torch

from centernet_ros.detector import Detector
from centernet_ros.presets import PRESETS, Fit
from centernet_ros.structures import CameraIntrinsics

pytestmark = pytest.mark.timeout(600)  # a busy machine takes its time over whole networks

NUMBERS = "e2e/e2e.npz"
SCALES = (0.5, 0.75, 1, 1.25, 1.5)
FILES = {
    "dla_34/ctdet": "ctdet_coco_dla_2x",
    "resdcn_18/ctdet": "ctdet_coco_resdcn18",
    "hourglass/ctdet": "ctdet_coco_hg",
    "dla_34/multi_pose": "multi_pose_dla_3x",
    "dla_34/ddd": "ddd_3dop",
}
"""The authors' names of weights files, which tell how each network is used."""

STREET, SMALL, KITTI = (2, 375, 500), (6, 150, 200), (3, 375, 1242)
"""Shift of the seed and size of the pictures."""

FIXED = dataclasses.replace(PRESETS["ctdet_coco_resdcn18"], fit=Fit.LETTERBOX)
MODES = {
    "ctdet_dla_keep": ("dla_34/ctdet", STREET, {}),
    "ctdet_dla_keep_flip": ("dla_34/ctdet", STREET, {"flip": True}),
    "ctdet_resdcn18_fix512": ("resdcn_18/ctdet", STREET, {"preset": FIXED}),
    "ctdet_resdcn18_multiscale_flip": (
        "resdcn_18/ctdet",
        SMALL,
        {"flip": True, "scales": SCALES},
    ),
    "ctdet_hg_keep": ("hourglass/ctdet", SMALL, {}),
    "mp_dla_keep": ("dla_34/multi_pose", STREET, {}),
    "mp_dla_keep_flip": ("dla_34/multi_pose", STREET, {"flip": True}),
    "ddd_dla": ("dla_34/ddd", KITTI, {}),
}
SLOW = ("ctdet_hg_keep", "mp_dla_keep_flip")
PEAKS = re.compile(r"(hm|hm_hp)\.(2|\d+\.1)\.weight$")
"""Final convolutions of heat maps, whose random weights are made smaller."""

SWAP = 1e-4
"""Results whose scores differ by less may change places."""


@pytest.fixture(scope="module")
def weights_file(reference, tmp_path_factory):
    """Writes the weights of a network, one file at a time, with heat maps that have peaks."""
    folder = tmp_path_factory.mktemp("authors")

    def write(network):
        path = folder / f"{FILES[network]}.pth"
        if not path.exists():
            for other in folder.iterdir():
                other.unlink()
            state = reference.weights(*network.split("/"))
            for name in filter(PEAKS.match, state):
                state[name] = state[name] * 0.2
            content = {f"module.{name}": value for name, value in state.items()}
            torch.save({"epoch": 140, "state_dict": content}, path)
        return path

    return write


def rows_of(result):
    """Results in the authors' columns, the class first."""
    scores = result.scores.unsqueeze(1)
    if hasattr(result, "keypoints"):
        parts = [result.boxes, scores, result.keypoints.flatten(1)]
    elif hasattr(result, "yaws"):
        parts = [
            result.alphas.unsqueeze(1),
            result.boxes,
            result.dimensions,
            result.locations,
            result.yaws.unsqueeze(1),
            scores,
        ]
    else:
        parts = [result.boxes, scores]
    return torch.cat([result.labels.unsqueeze(1) + 1, *parts], dim=1).numpy()


def test_every_case_is_tested(reference):
    assert {key.split("/")[0] for key in reference.npz(NUMBERS)} == set(MODES)


@pytest.mark.parametrize(
    "case", [pytest.param(c, marks=[pytest.mark.slow] if c in SLOW else []) for c in MODES]
)
def test_results(reference, weights_file, case):
    network, (shift, *size), options = MODES[case]
    image = reference.formulas.blocks_image(reference.seeds["preprocess"] + shift, *size)
    camera = None
    if network.endswith("ddd"):
        projection = torch.from_numpy(reference.formulas.CALIB_B).double()
        camera = CameraIntrinsics(projection, (size[0], size[1]))
    detector = Detector.from_checkpoint(weights_file(network), "cpu", **options)
    result = detector(image, camera)

    numbers = reference.npz(NUMBERS)
    assert len(result) == numbers[f"{case}/n"]
    total = result.scores.double().sum().item()
    assert total == pytest.approx(numbers[f"{case}/score_sum"], rel=1e-4)
    score = -1 if network.endswith("ddd") else 5
    assert_best_rows(rows_of(result), numbers[f"{case}/top"], score)


def assert_best_rows(found, best, score):
    """Every row of the authors' best ones is among ours, at its place but for close scores."""
    used = set()
    for place, expected in enumerate(best):
        near = np.flatnonzero(np.abs(found[:, score] - expected[score]) <= SWAP)
        errors = np.abs(found[near] - expected) / (1 + 1e-3 * np.abs(expected))
        assert len(near) > 0, f"no score {expected[score]} for row {place}"
        nearest = errors.max(1).argmin()
        assert errors[nearest].max() <= 5e-3, f"row {place}: {found[near[nearest]]}, {expected}"
        used.add(near[nearest])
    assert len(used) == len(best)
    assert found[: len(best), score] == pytest.approx(best[:, score], abs=SWAP)
