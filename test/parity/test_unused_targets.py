"""Targets of options that no published network uses; the package has none of them.

What is drawn here differs from the package's targets only in the drawing, so that these numbers
hold places, radii and order of the objects once more.
"""

import numpy as np
import pytest
import torch

from centernet_ros.tasks import build_task
from centernet_ros.tasks.heatmap import IGNORED_PEAK, place


def overlap(shape, column, row, reach):
    """The part of a map within a reach of a cell, and the distances there (x, y)."""
    rows = np.arange(max(0, row - reach), min(shape[0], row + reach + 1))
    columns = np.arange(max(0, column - reach), min(shape[1], column + reach + 1))
    part = np.ix_(rows, columns)
    return part, columns[None] - column, rows[:, None] - row


def draw_wide(heatmap, column, row, sigma):
    """A Gaussian of a given sigma, cut off at three of them."""
    part, x, y = overlap(heatmap.shape, column, row, 3 * sigma)
    kernel = np.exp(-(x**2 + y**2) / (2 * sigma**2))
    heatmap[part] = np.maximum(heatmap[part], kernel)


def draw_dense(values, heatmap, cell, radius, value, *, towards=False):
    """A value at all cells of a Gaussian that no other object's exceeds."""
    part, x, y = overlap(heatmap.shape, *cell, radius)
    # In float64 against a float32 map, which loses ties to rounding, as theirs does.
    kernel = np.exp(-(x**2 + y**2) / (2 * ((2 * radius + 1) / 6) ** 2))
    wins = kernel >= heatmap[part]
    for channel, distance in enumerate((x, y)):
        level = value[channel] - (distance if towards else 0)
        values[channel][part] = np.where(wins, level, values[channel][part])


def cells_of(index, width):
    return [(int(i) % width, int(i) // width) for i in index]


def test_wide_drawing(reference):
    primitives = reference.npz("targets/primitives.npz")
    expected = primitives["draw/msra_sigma_radius_plus_1"]
    drawn = np.zeros_like(expected)
    for (x, y), radius in zip(primitives["draw/centers"], primitives["draw/radii"], strict=True):
        draw_wide(drawn, int(x + 0.5), int(y + 0.5), int(radius) + 1)
    assert drawn == pytest.approx(expected, rel=1e-5, abs=1e-9)


def test_boxes_with_wide_gaussians(reference, cases):
    expected = cases.case_of(reference, "ctdet", "msra")
    targets = cases.encoded_boxes(reference, "train_noflip")
    heatmap = np.zeros(targets["heatmap"].shape, np.float32)
    cells = cells_of(targets["index"][targets["mask"]], heatmap.shape[2])
    annotations = reference.json("targets/annotations.json")["ctdet"]
    labels = [reference.formulas.COCO_IDS.index(item["category_id"]) for item in annotations]
    kept = [label for label, used in zip(labels, expected["reg_mask"], strict=False) if used]
    for label, cell in zip(kept, cells, strict=True):
        draw_wide(heatmap[label], *cell, 3)
    cases.check_map(reference, torch.from_numpy(heatmap), expected, "hm")


def test_poses_with_wide_gaussians(reference, cases):
    expected = cases.case_of(reference, "multi_pose", "msra")
    targets = cases.encoded_poses(reference, "train_noflip")
    heatmap = np.zeros(targets["heatmap"].shape, np.float32)
    joints = np.zeros(targets["joint_heatmap"].shape, np.float32)
    width = heatmap.shape[2]
    # A person without joints has no mask but a place.
    for cell in cells_of(targets["index"][: (targets["size"][:, 0] > 0).sum()], width):
        draw_wide(heatmap[0], *cell, 2)
    slots = targets["joint_mask"].nonzero().flatten().tolist()
    for slot, cell in zip(slots, cells_of(targets["joint_index"][slots], width), strict=True):
        draw_wide(joints[slot % 17], *cell, 2)
    cases.check_map(reference, torch.from_numpy(heatmap), expected, "hm")
    cases.check_map(reference, torch.from_numpy(joints), expected, "hm_hp")


def test_3d_boxes_with_wide_gaussians(reference, cases):
    expected = cases.case_of(reference, "ddd", "msra")
    view = cases.view_of((375, 1242), (384, 1280), (621, 187.5), 1242)
    heatmap = np.zeros((3, *view.grid_size), np.float32)
    for item in reference.json("targets/annotations.json")["ddd"]:
        known = item["category_id"] <= 3
        if not known and item["category_id"] not in cases.IGNORED_CLASS:
            continue
        objects = cases.objects_3d([item]) if known else cases.regions_3d([item])
        for found in place(objects, view, view.grid_size, whole_cells=False):
            for label in range(3) if found.label < 0 else (found.label,):
                # Here they round the centre to the nearest cell, but mark the cell that holds it.
                draw_wide(heatmap[label], *(found.centre + 0.5).int().tolist(), found.radius)
                if not known:
                    heatmap[label, found.cell[1], found.cell[0]] = IGNORED_PEAK
    cases.check_map(reference, torch.from_numpy(heatmap), expected, "hm")


def test_dense_sizes(reference, cases):
    expected = cases.case_of(reference, "ctdet", "densewh")
    annotations = reference.json("targets/annotations.json")["ctdet"]
    view = cases.view_of((240, 320), (256, 320), (160, 120), 320)
    task = build_task("ctdet", 80)
    heatmap = torch.zeros(80, *view.grid_size)
    dense = np.zeros((2, *view.grid_size), np.float32)
    for item in annotations:
        label = reference.formulas.COCO_IDS.index(item["category_id"])
        box = cases.Detections2D(cases.corners_of([item]), torch.ones(1), torch.tensor([label]))
        heatmap = heatmap.maximum(task.encode(box, view, view.grid_size)["heatmap"])
        for found in place(box, view, view.grid_size):
            highest = heatmap.amax(0).numpy()
            draw_dense(dense, highest, found.cell, found.radius, found.size.tolist())
    cases.check_map(reference, torch.from_numpy(dense), expected, "dense_wh")
    mask = heatmap.amax(0).expand(2, -1, -1)
    cases.check_map(reference, mask, expected, "dense_wh_mask")


def test_dense_joints(reference, cases):
    expected = cases.case_of(reference, "multi_pose", "dense")
    targets = cases.encoded_poses(reference, "train_noflip")
    annotations = reference.json("targets/annotations.json")["multi_pose"]
    view = cases.view_of((240, 320), (256, 256), (160, 120), 320)
    grid = view.grid_size
    heatmap = np.zeros(grid, np.float32)
    dense = np.zeros((17, 2, *grid), np.float32)
    mask = np.zeros((17, 2, *grid), np.float32)
    for slot, item in enumerate(annotations):
        box = cases.Detections2D(cases.corners_of([item]), torch.ones(1), torch.zeros(1).long())
        (found,) = place(box, view, grid)
        alone = build_task("ctdet", 1).encode(box, view, grid)["heatmap"][0].numpy()
        for joint in range(17):
            pair = slice(2 * joint, 2 * joint + 2)
            if targets["joints_mask"][slot, 2 * joint]:
                vector = targets["joints"][slot, pair].tolist()
                draw_dense(dense[joint], heatmap, found.cell, found.radius, vector, towards=True)
                mask[joint] = np.maximum(mask[joint], alone)
        heatmap = np.maximum(heatmap, alone)
    cases.check_map(reference, torch.from_numpy(dense.reshape(34, *grid)), expected, "dense_hps")
    cases.check_map(
        reference, torch.from_numpy(mask.reshape(34, *grid)), expected, "dense_hps_mask"
    )
