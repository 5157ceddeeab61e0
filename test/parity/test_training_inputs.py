"""Inputs that belong to the training targets, and the truth as the authors keep it to evaluate."""

import numpy as np
import pytest
import torch

from centernet_ros.image import normalise, warp
from centernet_ros.presets import PRESETS

UNUSED = {"msra": "train_noflip", "densewh": "train_noflip", "dense": "train_noflip"}
"""Cases of unused options, which look at the picture as others do."""

PRESET = {"ctdet": "ctdet_coco_dla_2x", "multi_pose": "multi_pose_dla_3x", "ddd": "ddd_3dop"}
PICTURES = {"ctdet": (1, 240, 320), "multi_pose": (11, 240, 320), "ddd": (21, 375, 1242)}
"""Shift of the seed and size of each task's picture."""

BOXES_AND_POSES = [("ctdet", "val_fix"), ("ctdet", "val_keep"), ("multi_pose", "val")]


def view_of_case(cases, task, case):
    """How the input of a case shows the picture."""
    if task == "ctdet":
        input_size, centre, width, flip = cases.BOX_VIEWS[UNUSED.get(case, case)]
        return cases.view_of((240, 320), input_size, centre, width, flip=flip)
    if task == "multi_pose":
        centre, width, flip = cases.POSE_VIEWS[UNUSED.get(case, case)]
        return cases.view_of((240, 320), (256, 256), centre, width, flip=flip)
    width, right, down = cases.VIEWS_3D["train_noaug" if case == "msra" else case]
    centre = (621 + right * 1242, 187.5 + down * 375)
    return cases.view_of((375, 1242), (384, 1280), centre, width)


def names_of(reference, task):
    return sorted({key.split("/")[0] for key in reference.npz(f"targets/{task}.npz")})


@pytest.mark.parametrize("task", PICTURES)
def test_inputs(reference, cases, task):
    shift, *size = PICTURES[task]
    seed = reference.seeds["targets"]
    image = reference.formulas.blocks_image(seed + shift, *size)
    preset = PRESETS[PRESET[task]]
    names = names_of(reference, task)
    assert names
    for name in names:
        expected = cases.case_of(reference, task, name)
        view = view_of_case(cases, task, name)
        tensor = normalise(torch.from_numpy(warp(image, view)).unsqueeze(0), preset)[0]
        assert list(tensor.shape) == expected["input/shape"].tolist()
        sample = reference.formulas.sample_index(seed + 9, tensor.numel(), 200)
        miss = np.abs(tensor.flatten()[sample].numpy() - expected["input/val"])
        # Another OpenCV of the fourth generation may round a grey level differently.
        channels = sample // (tensor.shape[1] * tensor.shape[2])
        assert (miss <= 1 / 255 / np.array(preset.std)[channels] + 1e-6).all(), name
        spread = tensor.double().abs().sum().item()
        total = tensor.double().sum().item()
        assert total == pytest.approx(expected["input/sum"], abs=1e-3 * spread), name


@pytest.mark.parametrize(("task", "case"), BOXES_AND_POSES)
def test_truth_as_results(reference, cases, task, case):
    """Boxes and joints on the grid, which the authors keep for the evaluation of a training."""
    expected = cases.case_of(reference, task, case)
    view = view_of_case(cases, task, case)
    encode = cases.encoded_boxes if task == "ctdet" else cases.encoded_poses
    targets = encode(reference, case)
    rows = torch.from_numpy(expected["meta/gt_det"]).double()
    placed = targets["size"][:, 0] > 0
    assert placed.sum() == len(rows)
    cells = torch.stack(
        [targets["index"] % view.grid_size[1], targets["index"] // view.grid_size[1]], dim=-1
    )
    cells, half = cells[placed].double(), targets["size"][placed].double() / 2
    centres = cells + targets["offset"][placed]
    boxes = torch.cat([centres - half, centres + half], dim=1)
    torch.testing.assert_close(boxes, rows[:, :4], rtol=1e-5, atol=1e-4)
    if task == "ctdet":
        peaks = targets["heatmap"].flatten(1)[rows[:, 5].long(), targets["index"][placed]]
        assert (peaks == 1).all()
    else:
        known = targets["joints_mask"][placed]
        joints = targets["joints"][placed] + cells.repeat(1, 17)
        wanted = rows[:, 5:39][known]
        torch.testing.assert_close(joints[known].double(), wanted, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize(
    ("task", "case"),
    [*BOXES_AND_POSES, ("ddd", "val"), ("ddd", "val_keep")],
)
def test_piece_that_the_input_shows(reference, cases, task, case):
    expected = cases.case_of(reference, task, case)
    view = view_of_case(cases, task, case)
    middle = view.to_grid(torch.from_numpy(expected["meta/c"]).double())
    assert middle.tolist() == pytest.approx([view.grid_size[1] / 2, view.grid_size[0] / 2])
    shown = view.input_size[1] / view.to_input[0, 0].item()
    assert shown == pytest.approx(np.atleast_1d(expected["meta/s"])[0])
