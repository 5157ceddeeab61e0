"""Soft-NMS, and whole ways from raw maps to results in every testing mode."""

import dataclasses

import numpy as np
import pytest
import torch

from centernet_ros.detector import Detector
from centernet_ros.merging import gaussian_decay, soft_nms
from centernet_ros.presets import PRESETS
from centernet_ros.structures import CameraIntrinsics

NUMBERS = "decode/decode.npz"
OVERLAP = 0.5
"""Overlap from which the decays that are not Gaussian lower a score."""


def hard_decay(limit):
    """The usual non-maximum suppression."""
    return lambda overlaps: (overlaps <= limit).astype(np.float32)


def linear_decay(overlaps):
    return np.where(overlaps > OVERLAP, 1 - overlaps, 1).astype(np.float32)


DECAYS = [hard_decay(OVERLAP), linear_decay, gaussian_decay]
"""Of the authors' methods 0, 1 and 2."""


@pytest.fixture
def boxes(reference):
    """Boxes (60, 4), scores (60,), and the joints (60, 34) that belong to them."""
    rows, joints = map(torch.from_numpy, reference.formulas.nms_boxes(reference.seeds["nms"]))
    return rows[:, :4], rows[:, 4], joints


@pytest.mark.parametrize(("floor", "suffix"), [(0.001, ""), (0.05, "_thr0.05")])
@pytest.mark.parametrize("method", [0, 1, 2])
@pytest.mark.parametrize("columns", ["", "39"])
def test_soft_nms(reference, boxes, columns, method, floor, suffix):
    """All rows, the stale ones too, with and without joints."""
    corners, scores, joints = boxes
    left = soft_nms(corners, scores, decay=DECAYS[method], floor=floor)
    found = torch.cat([corners[left.rows], left.scores.unsqueeze(1)], dim=1)
    if columns:
        found = torch.cat([found, joints[left.companions]], dim=1)
    key = f"soft_nms{columns}/method{method}{suffix}"
    expected = reference.tensors(NUMBERS)
    assert left.count == expected[f"{key}/nkeep"]
    torch.testing.assert_close(found, expected[f"{key}/boxes"], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("limit", ["0.5", "0.3"])
def test_hard_nms(reference, boxes, limit):
    """The kept boxes of the authors' usual NMS, in their order."""
    corners, scores, _ = boxes
    left = soft_nms(corners, scores, decay=hard_decay(float(limit)))
    expected = reference.npz(NUMBERS)[f"nms/keep_{limit}"]
    assert left.rows[: left.count].tolist() == expected.tolist()


# --- whole ways

HEADS = {
    "detection2d": {"heatmap": ("hm", 4), "size": ("wh", 2), "offset": ("reg", 2)},
    "pose": {
        "heatmap": ("hm", 1),
        "size": ("wh", 2),
        "joints": ("hps", 34),
        "offset": ("reg", 2),
        "joint_heatmap": ("hm_hp", 17),
        "joint_offset": ("hp_offset", 2),
    },
    "detection3d": {
        "heatmap": ("hm", 3),
        "depth": ("dep", 1),
        "orientation": ("rot", 8),
        "dimensions": ("dim", 3),
        "size": ("wh", 2),
        "offset": ("reg", 2),
    },
}
SCALES = (0.5, 0.75, 1, 1.25, 1.5)
CASES = {
    "plain": {},
    "flip": {"flip": True},
    "ms": {"scales": SCALES},
    "msflip": {"scales": SCALES[::2], "flip": True},
    "nms": {"nms": True},
    "K200": {"max_detections": 200},
}


class Recorded:
    """A network that answers the raw maps of the formulas, call by call; it reads no picture."""

    def __init__(self, reference, task, shift):
        self.formulas = reference.formulas
        self.seed = reference.seeds["decode"] + shift
        self.heads = HEADS[task]
        self.calls = 0

    def __call__(self, batch):
        seed, grid = self.seed + self.calls, (batch.shape[2] // 4, batch.shape[3] // 4)
        self.calls += 1
        return {
            head: torch.from_numpy(self.formulas.logits(name, seed, len(batch), channels, *grid))
            for head, (name, channels) in self.heads.items()
        }


def sorted_rows(rows):
    """Rows in one order, whatever theirs was: by all their columns, rounded."""
    keys = np.round(np.asarray(rows, np.float64), 2)
    return np.asarray(rows)[np.lexsort(keys.T[::-1])]


def assert_same_rows(found, expected):
    assert found.shape == expected.shape
    assert sorted_rows(found) == pytest.approx(sorted_rows(expected), rel=1e-5, abs=1e-4)


@pytest.mark.parametrize("case", CASES)
def test_boxes(reference, case):
    preset = dataclasses.replace(PRESETS["ctdet_coco_dla_2x"], class_names=tuple("abcd"))
    # However large their K, the authors keep a hundred boxes of an image.
    detector = Detector(
        Recorded(reference, "detection2d", 50), preset, max_results=100, **CASES[case]
    )
    result = detector(np.zeros((120, 150, 3), np.uint8))
    found = [result.labels.unsqueeze(1) + 1, result.boxes, result.scores.unsqueeze(1)]
    expected = reference.npz(NUMBERS)[f"det_ctdet/{case}"]
    assert_same_rows(torch.cat(found, dim=1).numpy(), expected)
    assert result.scores.tolist() == pytest.approx(np.sort(expected[:, 5])[::-1], rel=1e-5)


@pytest.mark.parametrize("case", CASES)
def test_poses(reference, case):
    # The authors' pose detector knows one K only.
    options = CASES[case] if case != "K200" else {}
    detector = Detector(Recorded(reference, "pose", 70), PRESETS["multi_pose_dla_3x"], **options)
    result = detector(np.zeros((120, 150, 3), np.uint8))
    found = [result.boxes, result.scores.unsqueeze(1), result.keypoints.flatten(1)]
    assert_same_rows(torch.cat(found, dim=1).numpy(), reference.npz(NUMBERS)[f"det_mp/{case}"])


@pytest.mark.parametrize(("case", "threshold"), [("before_thresh", 0), ("after_thresh", 0.2)])
def test_3d_boxes(reference, case, threshold):
    recorded = Recorded(reference, "detection3d", 90)

    def backend(batch):
        maps = recorded(batch)
        return {**maps, "heatmap": maps["heatmap"] - 4.1}

    projection = torch.from_numpy(reference.formulas.CALIB_B).double()
    camera = CameraIntrinsics(projection, (375, 1242))
    detector = Detector(backend, PRESETS["ddd_3dop"], score_threshold=threshold)
    result = detector(np.zeros((375, 1242, 3), np.uint8), camera)
    found = [
        result.labels.unsqueeze(1) + 1,
        result.alphas.unsqueeze(1),
        result.boxes,
        result.dimensions,
        result.locations,
        result.yaws.unsqueeze(1),
        result.scores.unsqueeze(1),
    ]
    assert_same_rows(torch.cat(found, dim=1).numpy(), reference.npz(NUMBERS)[f"det_ddd/{case}"])
