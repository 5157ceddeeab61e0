"""Decoding and post-processing of the three tasks against the authors' numbers."""

import numpy as np
import pytest
import torch

from centernet_ros.structures import CameraIntrinsics, View
from centernet_ros.tasks import build_task
from centernet_ros.tasks.base import mirror
from centernet_ros.tasks.detection3d import metric_depth
from centernet_ros.tasks.detection3d.angle import decode_alpha
from centernet_ros.tasks.heatmap import channel_peaks, find_peaks
from centernet_ros.tasks.pose.joints import unmirror_joint_heatmap, unmirror_joints

CLOSE = {"rtol": 1e-5, "atol": 1e-5}
GRID = (32, 40)
GRID_3D = (96, 320)
BOX_HEADS = {"heatmap": ("hm", 80), "size": ("wh", 2), "offset": ("reg", 2)}
POSE_HEADS = {
    "heatmap": ("hm", 1),
    "size": ("wh", 2),
    "offset": ("reg", 2),
    "joints": ("hps", 34),
    "joint_heatmap": ("hm_hp", 17),
    "joint_offset": ("hp_offset", 2),
}
HEADS_3D = {
    "heatmap": ("hm", 3),
    "depth": ("dep", 1),
    "orientation": ("rot", 8),
    "dimensions": ("dim", 3),
    "size": ("wh", 2),
    "offset": ("reg", 2),
}


def head(reference, name, channels, grid=GRID, shift=0, batch=2):
    """Values of a head of the authors' name, as their decoders take them."""
    seed = reference.seeds["decode"] + shift
    return torch.from_numpy(reference.formulas.head(name, seed, batch, channels, *grid))


def values_of(reference, heads, grid=GRID):
    return {name: head(reference, *of, grid=grid) for name, of in heads.items()}


def on_grid(grid, camera=None):
    """A view whose image has one pixel for each cell, so that results stay on the grid."""
    rows = torch.tensor([[4, 0, 0], [0, 4, 0]], dtype=torch.float64)
    return View(grid, (4 * grid[0], 4 * grid[1]), rows, camera)


def centred(image_size, grid, centre, width, camera=None):
    """A view in which the input's width shows `width` pixels around a centre (c and s)."""
    scale = 4 * grid[1] / width
    rows = [
        [scale, 0, 2 * grid[1] - scale * centre[0]],
        [0, scale, 2 * grid[0] - scale * centre[1]],
    ]
    input_size = (4 * grid[0], 4 * grid[1])
    return View(image_size, input_size, torch.tensor(rows, dtype=torch.float64), camera)


def post_view(case):
    centre, width = {"keep": ((75, 60), 160), "fix": ((320, 213.5), 640)}[case]
    return centred((120, 150), GRID, centre, width)


def columns(*parts):
    return torch.cat([part.reshape(len(part), -1).double() for part in parts], dim=1)


def by_class(rows, labels):
    """The authors' order of results: grouped by class, best first within each."""
    return rows[labels.argsort(stable=True)]


# --- primitives


def test_top_k(reference):
    expected = reference.tensors("decode/decode.npz")
    peaks = find_peaks(head(reference, "hm", 80), 50)
    torch.testing.assert_close(peaks.scores, expected["topk/score"], rtol=0, atol=0)
    assert torch.equal(peaks.indices, expected["topk/ind"])
    assert torch.equal(peaks.labels.int(), expected["topk/cls"])
    assert torch.equal(peaks.points[..., 0].float(), expected["topk/x"])
    assert torch.equal(peaks.points[..., 1].float(), expected["topk/y"])


def test_plateaus_are_peaks(reference):
    expected = reference.npz("decode/decode.npz")
    heatmap = (head(reference, "hm", 80) * 8).floor() / 8
    scores, indices = channel_peaks(heatmap, GRID[0] * GRID[1])
    kept = torch.zeros_like(heatmap).flatten(2).scatter(2, indices, scores).flatten().numpy()
    assert kept.sum(dtype=np.float64) == pytest.approx(expected["nms_plateau/sum"], rel=1e-6)
    assert (kept > 0).sum() == expected["nms_plateau/count"]
    seed = reference.seeds["decode"] + 11
    sample = reference.formulas.sample_index(seed, kept.size, 400)
    assert kept[sample] == pytest.approx(expected["nms_plateau/sample"], rel=1e-6)


def test_depth_of_logits(reference):
    depth = metric_depth(torch.from_numpy(np.linspace(-8, 8, 65)).float())
    torch.testing.assert_close(
        depth, reference.tensors("decode/decode.npz")["depth_from_logit"], **CLOSE
    )


def test_alpha(reference):
    seed = reference.seeds["decode"] + 31
    numbers = torch.from_numpy(
        reference.formulas.R(seed).standard_normal((200, 8)).astype(np.float32)
    )
    expected = reference.tensors("decode/decode.npz")["get_alpha"]
    torch.testing.assert_close(decode_alpha(numbers).double(), expected, **CLOSE)


@pytest.mark.parametrize(
    ("key", "name", "channels", "unmirror", "sample_shift"),
    [
        ("tensor", "hm_hp", 17, mirror, 21),
        ("lr", "hm_hp", 17, unmirror_joint_heatmap, 21),
        ("lr_off", "hps", 34, unmirror_joints, 22),
    ],
)
def test_flips(reference, key, name, channels, unmirror, sample_shift):
    values = head(reference, name, channels, grid=(8, 10), shift=1, batch=1)
    seed = reference.seeds["decode"] + sample_shift
    sample = reference.formulas.R(seed).randint(0, channels * 80, 300)
    expected = reference.tensors("decode/decode.npz")[f"flip/{key}"]
    torch.testing.assert_close(unmirror(values).flatten()[sample], expected, rtol=0, atol=0)


# --- 2D boxes


@pytest.mark.parametrize("count", [100, 7])
@pytest.mark.parametrize("case", ["reg", "noreg"])
def test_boxes(reference, case, count):
    expected = reference.tensors("decode/decode.npz")[f"ctdet/{case}/K{count}"]
    values = values_of(reference, BOX_HEADS)
    if case == "noreg":
        # Without an offset the authors take the middle of the cell.
        values["offset"] = torch.full_like(values["offset"], 0.5)
    results = build_task("ctdet", 80).read(values, [on_grid(GRID)] * 2, count)
    for result, rows in zip(results, expected, strict=True):
        actual = columns(result.boxes, result.scores, result.labels)
        torch.testing.assert_close(actual, rows.double(), **CLOSE)


@pytest.mark.parametrize("count", [100, 7])
def test_boxes_with_a_size_of_each_class(reference, count):
    """The authors' unused option: each class read for itself, then the best of all."""
    expected = reference.tensors("decode/decode.npz")[f"ctdet/catspec/K{count}"]
    values = values_of(reference, {**BOX_HEADS, "size": ("wh_cat", 160)})
    task, parts = build_task("ctdet", 1), [[], []]
    for label in range(80):
        one = {
            "heatmap": values["heatmap"][:, label : label + 1],
            "size": values["size"][:, 2 * label : 2 * label + 2],
            "offset": values["offset"],
        }
        for image, result in enumerate(task.read(one, [on_grid(GRID)] * 2, count)):
            labels = torch.full_like(result.labels, label)
            parts[image].append(columns(result.boxes, result.scores, labels))
    for image, rows in enumerate(expected):
        found = torch.cat(parts[image])
        best = found[found[:, 4].argsort(descending=True, stable=True)][:count]
        torch.testing.assert_close(best, rows.double(), **CLOSE)


@pytest.mark.parametrize("image", [0, 1])
@pytest.mark.parametrize("case", ["keep", "fix"])
def test_boxes_in_pixels(reference, case, image):
    expected = reference.tensors("decode/decode.npz")[f"ctdet_post/{case}/{image}"]
    views = [post_view(case)] * 2
    result = build_task("ctdet", 80).read(values_of(reference, BOX_HEADS), views)[image]
    actual = by_class(columns(result.labels + 1, result.boxes, result.scores), result.labels)
    torch.testing.assert_close(actual, expected.double(), rtol=1e-5, atol=1e-4)


# --- 3D boxes


def read_3d(reference, views, count, missing=None):
    values = values_of(reference, HEADS_3D, GRID_3D)
    if missing == "noreg":
        values["offset"] = torch.full_like(values["offset"], 0.5)
    elif missing == "nowh":
        values["size"] = torch.zeros_like(values["size"])
    return values, build_task("ddd", 3, compat=True).read(values, views, count)


@pytest.mark.parametrize(
    ("case", "count"), [("full", 100), ("full", 10), ("noreg", 10), ("nowh", 10)]
)
def test_3d_values_at_the_peaks(reference, case, count):
    expected = reference.tensors("decode/decode.npz")[f"ddd/{case}/K{count}"].double()
    # The depth of the identity camera is z, and its pixels are cells.
    camera = CameraIntrinsics.pinhole(1, (0, 0), GRID_3D)
    view = on_grid(GRID_3D, camera)
    values, results = read_3d(reference, [view] * 2, count, missing=case)
    for image, (result, rows) in enumerate(zip(results, expected, strict=True)):
        centres = (result.boxes[:, :2] + result.boxes[:, 2:]) / 2
        sizes = result.boxes[:, 2:] - result.boxes[:, :2]
        cells = centres.floor().long()
        torch.testing.assert_close(centres.double(), rows[:, :2], rtol=1e-5, atol=1e-4)
        torch.testing.assert_close(result.scores.double(), rows[:, 2], **CLOSE)
        orientation = values["orientation"][image][:, cells[:, 1], cells[:, 0]].T
        torch.testing.assert_close(orientation.double(), rows[:, 3:11], **CLOSE)
        torch.testing.assert_close(result.alphas, decode_alpha(rows[:, 3:11]).float(), **CLOSE)
        torch.testing.assert_close(result.locations[:, 2].double(), rows[:, 11], **CLOSE)
        torch.testing.assert_close(result.dimensions.double(), rows[:, 12:15], **CLOSE)
        if case != "nowh":
            torch.testing.assert_close(sizes.double(), rows[:, 15:17], rtol=1e-5, atol=1e-4)
        assert result.labels.tolist() == rows[:, -1].tolist()


@pytest.mark.parametrize("image", [0, 1])
@pytest.mark.parametrize("case", ["calibA", "calibB", "calibA_keep"])
def test_3d_boxes_in_metres(reference, case, image):
    expected = reference.tensors("decode/decode.npz")[f"ddd_post/{case}/{image}"].double()
    height, width = (370, 1224) if case == "calibB" else (375, 1242)
    projection = getattr(reference.formulas, "CALIB_B" if case == "calibB" else "CALIB_A")
    camera = CameraIntrinsics(torch.from_numpy(projection).double(), (height, width))
    shown = 1280 if case == "calibA_keep" else width
    view = centred((height, width), GRID_3D, (width / 2, height / 2), shown, camera)
    _, results = read_3d(reference, [view] * 2, 100)
    result = results[image]
    actual = by_class(
        columns(
            result.labels + 1,
            result.alphas,
            result.boxes,
            result.dimensions,
            result.locations,
            result.yaws,
            result.scores,
        ),
        result.labels,
    )
    torch.testing.assert_close(actual, expected, rtol=1e-5, atol=1e-4)


# --- poses


def read_pose(reference, views, count, case="full"):
    values = values_of(reference, POSE_HEADS)
    values["size"] = 2 * values["size"]
    if case == "noreg":
        values["offset"] = torch.full_like(values["offset"], 0.5)
    elif case == "nohpoff":
        values["joint_offset"] = torch.full_like(values["joint_offset"], 0.5)
    elif case == "nohmhp":
        values["joint_heatmap"] = torch.zeros_like(values["joint_heatmap"])
    elif case == "lowhp":
        values["joint_heatmap"] = 0.3 * values["joint_heatmap"]
    return build_task("multi_pose", 1).read(values, views, count)


@pytest.mark.parametrize(
    ("case", "count"),
    [("full", 100), *((case, 12) for case in ("full", "nohpoff", "nohmhp", "noreg", "lowhp"))],
)
def test_poses(reference, case, count):
    expected = reference.tensors("decode/decode.npz")[f"mp/{case}/K{count}"]
    results = read_pose(reference, [on_grid(GRID)] * 2, count, case)
    for result, rows in zip(results, expected, strict=True):
        actual = columns(result.boxes, result.scores, result.keypoints, result.labels)
        torch.testing.assert_close(actual, rows.double(), **CLOSE)


@pytest.mark.parametrize(("case", "image"), [("keep", 0), ("keep", 1), ("fix", 0)])
def test_poses_in_pixels(reference, case, image):
    expected = reference.tensors("decode/decode.npz")[f"mp_post/{case}/{image}"]
    result = read_pose(reference, [post_view(case)] * 2, 100)[image]
    actual = columns(result.boxes, result.scores, result.keypoints)
    torch.testing.assert_close(actual, expected.double(), rtol=1e-5, atol=1e-4)
