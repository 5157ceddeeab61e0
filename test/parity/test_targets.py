"""Training targets of the three tasks against the authors' numbers."""

import math

import numpy as np
import pytest
import torch

from centernet_ros.structures import CameraIntrinsics, Detections2D, Detections3D, Poses
from centernet_ros.tasks import build_task
from centernet_ros.tasks.heatmap import IGNORED_PEAK, draw_gaussian, gaussian_radius
from training.crop import view_of_piece

IGNORED_CLASS = {4: 1, 5: 1, 6: 0, 9: -1}
"""Label that KITTI's vans, trucks, sitting people and unlabelled regions are ignored as."""


def view_of(image_size, input_size, centre, width, *, flip=False, camera=None):
    """A view in which the input's width shows `width` pixels around a centre.

    With a flip the authors mirror the pixels, x -> width - 1 - x, and take the centre along.
    """
    piece = (centre, width)
    return view_of_piece(image_size, input_size, piece, mirrored=flip, camera=camera)


def corners_of(annotations):
    boxes = torch.tensor([item["bbox"] for item in annotations], dtype=torch.float64)
    boxes = boxes.reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    return boxes


def case_of(reference, file, case):
    """What the authors' data set returns in one case."""
    found = {
        name.removeprefix(f"{case}/"): value
        for name, value in reference.npz(f"targets/{file}.npz").items()
        if name.startswith(f"{case}/")
    }
    if not found:
        pytest.fail(f"no case {case} in targets/{file}.npz")
    return found


def check_map(reference, values, expected, name):
    """Compare a map with the summary of the authors' map."""
    values = values.double().numpy()
    assert list(values.shape) == expected[f"{name}/shape"].tolist()
    assert values.sum() == pytest.approx(expected[f"{name}/sum"], rel=1e-5)
    assert (values**2).sum() == pytest.approx(expected[f"{name}/sumsq"], rel=1e-5)
    assert (values != 0).sum() == expected[f"{name}/nnz"]
    assert (values == 1).sum() == expected[f"{name}/n_one"]
    sample = reference.formulas.sample_index(reference.seeds["targets"] + 9, values.size, 200)
    flat = values.ravel()
    assert flat[sample] == pytest.approx(expected[f"{name}/val"], rel=1e-5, abs=1e-9)
    cells = expected[f"{name}/nz_idx"]
    assert flat[cells] == pytest.approx(expected[f"{name}/nz_val"], rel=1e-5, abs=1e-9)


def check_rows(found, expected, tolerance=1e-5):
    """Compare cells or pixels up to some hundreds, which are float32."""
    found = found.double().numpy()
    assert found.shape == expected.shape
    assert found == pytest.approx(expected.astype(float), rel=1e-5, abs=tolerance)


# --- primitives


def test_radius(reference):
    primitives = reference.npz("targets/primitives.npz")
    for (height, width), exact, whole in zip(
        primitives["gaussian_radius/hw"],
        primitives["gaussian_radius/r"],
        primitives["gaussian_radius/r_ceil"],
        strict=True,
    ):
        assert gaussian_radius(height, width) == max(0, int(exact))
        assert gaussian_radius(math.ceil(height), math.ceil(width)) == whole


@pytest.mark.parametrize("radius", [0, 1, 2, 5])
def test_kernel(reference, radius):
    kernel = reference.tensors("targets/primitives.npz")[f"gaussian2D/r{radius}"]
    drawn = torch.zeros(2 * radius + 1, 2 * radius + 1, dtype=torch.float64)
    draw_gaussian(drawn, radius, radius, radius)
    torch.testing.assert_close(drawn, kernel, rtol=1e-5, atol=1e-12)


def test_drawing(reference):
    primitives = reference.npz("targets/primitives.npz")
    expected = torch.from_numpy(primitives["draw/umich"])
    drawn = torch.zeros_like(expected)
    for (x, y), radius in zip(primitives["draw/centers"], primitives["draw/radii"], strict=True):
        draw_gaussian(drawn, int(x), int(y), int(radius))
    torch.testing.assert_close(drawn, expected, rtol=1e-5, atol=1e-9)


# --- 2D boxes

BOX_VIEWS = {
    "val_fix": ((256, 320), (160, 120), 320, False),
    "val_keep": ((256, 352), (160, 120), 352, False),
    "train_noflip": ((256, 320), (160, 120), 320, False),
    "train_flip": ((256, 320), (160, 120), 320, True),
    "crop_s0.7": ((256, 320), (140, 100), 320 * 0.7, False),
    "crop_s1.3_flip": ((256, 320), (200, 130), 320 * 1.3, True),
    "catspec": ((256, 320), (160, 120), 320, False),
    "noreg": ((256, 320), (160, 120), 320, False),
}


def encoded_boxes(reference, case, input_size=None):
    usual_size, centre, width, flip = BOX_VIEWS[case]
    annotations = reference.json("targets/annotations.json")["ctdet"]
    labels = [reference.formulas.COCO_IDS.index(item["category_id"]) for item in annotations]
    boxes = corners_of(annotations)
    truth = Detections2D(boxes, torch.ones(len(boxes)), torch.tensor(labels))
    view = view_of((240, 320), input_size or usual_size, centre, width, flip=flip)
    return build_task("ctdet", 80).encode(truth, view, view.grid_size)


@pytest.mark.parametrize("case", BOX_VIEWS)
def test_boxes(reference, case):
    expected = case_of(reference, "ctdet", case)
    targets = encoded_boxes(reference, case)
    # The authors leave the slots of skipped boxes empty.
    theirs, mine = expected["reg_mask"].astype(bool), targets["mask"]
    assert expected["reg_mask"].shape == mine.shape
    check_map(reference, targets["heatmap"], expected, "hm")
    assert targets["index"][mine].tolist() == expected["ind"][theirs].tolist()
    assert not targets["index"][~mine].any()
    if case != "noreg":
        check_rows(targets["offset"][mine], expected["reg"][theirs], 1e-4)
    if case == "catspec":
        channels = expected["cat_spec_mask"][theirs].astype(bool)
        assert (channels.sum(1) == 2).all()
        sizes = expected["cat_spec_wh"][theirs][channels].reshape(-1, 2)
        column = targets["heatmap"].flatten(1)[:, targets["index"][mine]] == 1
        assert all(column[first // 2, i] for i, first in enumerate(channels.argmax(1)))
    else:
        sizes = expected["wh"][theirs]
    check_rows(targets["size"][mine], sizes, 1e-4)


# --- poses

POSE_VIEWS = {
    "val": ((160, 120), 320, False),
    "train_noflip": ((160, 120), 320, False),
    "train_flip": ((160, 120), 320, True),
    "crop_s0.8": ((150, 110), 320 * 0.8, False),
    "crop_s1.2_flip": ((170, 125), 320 * 1.2, True),
}


def encoded_poses(reference, case, input_size=(256, 256)):
    centre, width, flip = POSE_VIEWS[case]
    annotations = reference.json("targets/annotations.json")["multi_pose"]
    keypoints = torch.tensor([item["keypoints"] for item in annotations]).reshape(-1, 17, 3)
    boxes = corners_of(annotations)
    truth = Poses(
        boxes,
        torch.ones(len(boxes)),
        torch.zeros(len(boxes), dtype=torch.int64),
        keypoints[..., :2],
        (keypoints[..., 2] > 0).float(),
    )
    view = view_of((240, 320), input_size, centre, width, flip=flip)
    return build_task("multi_pose", 1, compat=True).encode(truth, view, view.grid_size)


@pytest.mark.parametrize("case", POSE_VIEWS)
def test_poses(reference, case):
    expected = case_of(reference, "multi_pose", case)
    targets = encoded_poses(reference, case)
    for mine, theirs in (("heatmap", "hm"), ("joint_heatmap", "hm_hp")):
        check_map(reference, targets[mine], expected, theirs)
    # The authors leave the slots of skipped people empty.
    theirs = expected["wh"][:, 0] > 0
    count = int(theirs.sum())
    for mine, name in (
        ("mask", "reg_mask"),
        ("index", "ind"),
        ("joints_mask", "hps_mask"),
        ("joint_mask", "hp_mask"),
        ("joint_index", "hp_ind"),
    ):
        found, wanted = by_person(targets[mine].int()), by_person(expected[name])
        assert found[:count].tolist() == wanted[theirs].tolist(), mine
        assert not found[count:].any(), mine
    for mine, name in (
        ("size", "wh"),
        ("offset", "reg"),
        ("joints", "hps"),
        ("joint_offset", "hp_offset"),
    ):
        check_rows(by_person(targets[mine])[:count], by_person(expected[name])[theirs], 1e-4)


def by_person(values):
    """Slots of people, or of joints of people, as rows of people."""
    return values.reshape(32, -1)


# --- 3D boxes

VIEWS_3D = {
    "val": (1242, 0, 0),
    "val_keep": (1280, 0, 0),
    "train_noaug": (1242, 0, 0),
    "train_rectmask": (1242, 0, 0),
    "train_aug": (1242 * 1.2, -0.06, 0.09),
    "nobbox": (1242, 0, 0),
}


def objects_3d(annotations):
    return Detections3D(
        boxes=corners_of(annotations),
        scores=torch.ones(len(annotations)),
        labels=torch.tensor([item["category_id"] - 1 for item in annotations]),
        dimensions=torch.tensor([item["dim"] for item in annotations]),
        locations=torch.tensor([[0, 0, item["depth"]] for item in annotations]),
        yaws=torch.tensor([item["rotation_y"] for item in annotations]),
        alphas=torch.tensor([item["alpha"] for item in annotations]),
    )


def regions_3d(annotations):
    labels = torch.tensor([IGNORED_CLASS[item["category_id"]] for item in annotations])
    return Detections2D(corners_of(annotations), torch.ones(len(annotations)), labels)


def encoded_3d(reference, case, input_size=(384, 1280)):
    shown, right, down = VIEWS_3D[case]
    annotations = reference.json("targets/annotations.json")["ddd"]
    # Trams and other kinds are background.
    truth = objects_3d([item for item in annotations if item["category_id"] <= 3])
    ignored = regions_3d([item for item in annotations if item["category_id"] in IGNORED_CLASS])
    camera = CameraIntrinsics(torch.from_numpy(reference.formulas.CALIB_B).double(), (375, 1242))
    centre = (621 + right * 1242, 187.5 + down * 375)
    view = view_of(
        (375, 1242),
        input_size,
        centre,
        shown,
        # Their crop destroys what the image tells about distance.
        camera=None if case == "train_aug" else camera,
    )
    task = build_task("ddd", 3, compat=True)
    if case != "train_rectmask":
        return task.encode(truth, view, view.grid_size, ignored)
    targets = task.encode(truth, view, view.grid_size)
    targets["heatmap"] = heatmap_with_rectangles(task, annotations, view)
    return targets


def heatmap_with_rectangles(task, annotations, view):
    """The authors' unused option: whole ignored boxes, which hide the objects before them."""
    heatmap = torch.zeros(task.num_classes, *view.grid_size)
    limit = torch.tensor([heatmap.shape[2] - 1, heatmap.shape[1] - 1] * 2)
    for item in annotations:
        if item["category_id"] <= 3:
            alone = task.encode(objects_3d([item]), view, view.grid_size)["heatmap"]
            heatmap = heatmap.maximum(alone)
        elif item["category_id"] in IGNORED_CLASS:
            region = regions_3d([item])
            box = view.boxes_to_grid(region.boxes)[0].clamp(min=0).minimum(limit)
            x1, y1, x2, y2 = box.int().tolist()
            label = region.labels.item()
            channels = slice(None) if label < 0 else label
            heatmap[channels, y1 : y2 + 1, x1 : x2 + 1] = IGNORED_PEAK
    return heatmap


@pytest.mark.parametrize("case", VIEWS_3D)
def test_3d_boxes(reference, case):
    expected = case_of(reference, "ddd", case)
    targets = encoded_3d(reference, case)
    theirs, mine = expected["rot_mask"].astype(bool), targets["mask"]
    assert expected["rot_mask"].shape == mine.shape
    check_map(reference, targets["heatmap"], expected, "hm")
    assert targets["index"][mine].tolist() == expected["ind"][theirs].tolist()
    assert targets["metric_mask"][mine].tolist() == expected["reg_mask"][theirs].tolist()
    assert targets["metric_mask"][mine].any() == (case != "train_aug")
    check_rows(targets["depth"][mine], expected["dep"][theirs])
    check_rows(targets["dimensions"][mine], expected["dim"][theirs])
    if case != "nobbox":
        check_rows(targets["size"][mine], expected["wh"][theirs], 1e-4)
        check_rows(targets["offset"][mine], expected["reg"][theirs], 1e-4)
    orientation = targets["orientation"][mine].reshape(-1, 2, 4)
    bins = expected["rotbin"][theirs]
    residuals = expected["rotres"][theirs] * bins
    assert np.array_equal(orientation[..., 1].int(), bins)
    check_rows(orientation[..., 2], np.sin(residuals))
    check_rows(orientation[..., 3], np.cos(residuals))


@pytest.mark.parametrize("case", ["val", "val_keep"])
def test_3d_results_of_the_truth(reference, case):
    """The rows that the authors keep of the truth for the evaluation of a training."""
    rows = case_of(reference, "ddd", case)["meta/gt_det"]
    targets = encoded_3d(reference, case)
    mine = targets["mask"]
    cells = targets["index"][mine]
    centres = torch.stack([cells % 320, cells // 320], dim=-1) + targets["offset"][mine]
    check_rows(centres, rows[:, :2], 1e-4)
    check_rows(targets["orientation"][mine], rows[:, 3:11])
    check_rows(targets["depth"][mine], rows[:, 11:12])
    check_rows(targets["dimensions"][mine], rows[:, 12:15])
    check_rows(targets["size"][mine], rows[:, 15:17], 1e-4)
