"""The pose task: joints, their mirror images, and the pull to joint heat maps."""

import pytest
import torch

from centernet_ros.structures import Detections2D, Poses, View
from centernet_ros.tasks.heatmap import Values
from centernet_ros.tasks.pose import MAX_OBJECTS, Pose
from centernet_ros.tasks.pose.joints import (
    MIRROR_ORDER,
    snap,
    unmirror_joint_heatmap,
    unmirror_joints,
)

VIEW = View((64, 96), (64, 96), torch.eye(2, 3, dtype=torch.float64))
MIRRORED = View((64, 96), (64, 96), torch.tensor([[-1.0, 0, 96], [0, 1, 0]]).double())
GRID = VIEW.grid_size  # 16 x 24 cells of 4 pixels
LEFT_WRIST, RIGHT_WRIST = 9, 10


def person(joints=(), box=(10, 12, 43, 33)):
    """A person with labelled joints {index: (x, y) in pixels}."""
    keypoints, scores = torch.zeros(1, 17, 2), torch.zeros(1, 17)
    for joint, point in dict(joints).items():
        keypoints[0, joint] = torch.tensor(point)
        scores[0, joint] = 1
    boxes = torch.tensor([box], dtype=torch.float32)
    return Poses(boxes, torch.ones(1), torch.zeros(1, dtype=torch.int64), keypoints, scores)


# --- mirror images


def test_left_and_right_change_places_and_back():
    order = list(MIRROR_ORDER)
    assert [order[i] for i in order] == list(range(17))
    assert [i for i in range(17) if order[i] == i] == [0]
    assert order[LEFT_WRIST] == RIGHT_WRIST


def test_unmirror_joints_by_hand():
    values = torch.zeros(1, 34, 2, 3)
    values[0, 2 * RIGHT_WRIST : 2 * RIGHT_WRIST + 2, 1, 0] = torch.tensor([5.0, 7])
    found = unmirror_joints(values)
    assert found[0, 2 * LEFT_WRIST : 2 * LEFT_WRIST + 2, 1, 2].tolist() == [-5, 7]
    assert found.count_nonzero() == 2
    heat = torch.zeros(1, 17, 2, 3)
    heat[0, RIGHT_WRIST, 1, 0] = 1
    assert unmirror_joint_heatmap(heat)[0, LEFT_WRIST, 1, 2] == 1


def test_mirrored_view_exchanges_joints_and_puts_them_back(ideal_maps):
    truth = person({LEFT_WRIST: (14, 20), RIGHT_WRIST: (37, 30)})
    task = Pose(1)
    targets = task.encode(truth, MIRRORED, GRID)
    # At x = 96 - 14 = 82 pixels the input shows what looks like a right wrist.
    assert targets["joint_heatmap"][RIGHT_WRIST, 5, 20] == 1
    found = task.decode(ideal_maps(task, targets, GRID), [MIRRORED])[0][:1]
    for joint in (LEFT_WRIST, RIGHT_WRIST):
        torch.testing.assert_close(found.keypoints[0, joint], truth.keypoints[0, joint])


# --- encode


def test_targets_of_one_joint_by_hand():
    targets = Pose(1).encode(person({LEFT_WRIST: (14, 21)}), VIEW, GRID)
    # Centre in cell (6, 5); the wrist at (3.5, 5.25) cells.
    assert targets["index"][0] == 5 * 24 + 6
    pair = slice(2 * LEFT_WRIST, 2 * LEFT_WRIST + 2)
    assert targets["joints"][0, pair].tolist() == [-2.5, 0.25]
    assert targets["joints_mask"].nonzero().tolist() == [[0, 18], [0, 19]]
    assert targets["joint_index"][LEFT_WRIST] == 5 * 24 + 3
    assert targets["joint_offset"][LEFT_WRIST].tolist() == [0.5, 0.25]
    assert targets["joint_mask"].nonzero().tolist() == [[LEFT_WRIST]]
    assert targets["joint_heatmap"].amax((1, 2)).nonzero().tolist() == [[LEFT_WRIST]]
    # As wide as the person's own Gaussian.
    heat = targets["joint_heatmap"][LEFT_WRIST, 5, 1:6]
    assert torch.equal(heat, targets["heatmap"][0, 5, 4:9])


@pytest.mark.parametrize("point", [(-1, 20), (20, -1), (96, 20), (20, 64), (float("nan"), 20)])
def test_joint_outside_the_grid_is_left_out(point):
    targets = Pose(1).encode(person({0: point}), VIEW, GRID)
    assert not targets["joint_mask"].any()
    assert not targets["joints_mask"].any()
    assert not targets["joint_heatmap"].any()
    assert targets["mask"].sum() == 1


def test_person_without_joints_keeps_the_box_but_in_compat():
    own, theirs = (Pose(1, compat=c).encode(person(), VIEW, GRID) for c in (False, True))
    assert own["mask"].tolist()[0] is True
    assert not theirs["mask"].any()
    assert own["heatmap"][0, 5, 6] == theirs["heatmap"][0, 5, 6] == 1
    named = Pose(1, compat=True, skip_unlabelled=False).encode(person(), VIEW, GRID)
    assert torch.equal(named["mask"], own["mask"])


def test_ignored_crowds_leave_people_and_joints_alone():
    crowd = Detections2D(torch.tensor([[40.0, 8, 92, 60]]), torch.ones(1), torch.zeros(1).long())
    truth = person({0: (20, 20)})
    targets = Pose(1).encode(truth, VIEW, GRID, ignored=crowd)
    plain = Pose(1).encode(truth, VIEW, GRID)
    assert targets["heatmap"][0, 8, 16].item() == pytest.approx(0.9999)
    assert all(
        torch.equal(targets[name], value) for name, value in plain.items() if name != "heatmap"
    )


@pytest.mark.parametrize(("compat", "drawn"), [(False, 50), (True, 32)])
def test_people_beyond_the_slots_are_on_the_heat_maps_alone_or_nowhere(compat, drawn):
    view = View((256, 512), (256, 512), torch.eye(2, 3, dtype=torch.float64))
    truth = Poses.concatenate(
        [
            person({0: (9 * i + 1, 9 * j + 1)}, box=(9 * i, 9 * j, 9 * i + 8, 9 * j + 8))
            for j in range(5)
            for i in range(10)
        ]
    )
    targets = Pose(1, compat=compat).encode(truth, view, view.grid_size)
    assert targets["mask"].sum() == MAX_OBJECTS == 32
    assert targets["joint_mask"].sum() == 32
    for name in ("heatmap", "joint_heatmap"):
        assert (targets[name] == 1).sum() == drawn


# --- the pull to joint heat maps


def pulled(regressed, *peaks, box=(0, 0, 10, 10), joint=0):
    """Place and score of one joint, given peaks (x, y, score) of its heat map, in cells."""
    values = {"joint_heatmap": torch.zeros(1, 17, *GRID), "joint_offset": torch.zeros(1, 2, *GRID)}
    for x, y, score in peaks:
        column, row = int(x), int(y)
        values["joint_heatmap"][0, joint, row, column] = score
        values["joint_offset"][0, :, row, column] = torch.tensor([x - column, y - row])
    joints = torch.full((1, 1, 17, 2), 50.0)
    joints[0, 0, joint] = torch.tensor(regressed)
    boxes = torch.tensor([[box]], dtype=torch.float32)
    found, scores = snap(joints, boxes, Values(values), 100)
    return found[0, 0, joint].tolist(), scores[0, 0, joint].item()


def test_a_joint_goes_to_the_nearest_peak():
    found, score = pulled((4.0, 4.0), (5.5, 4.25, 0.6), (8.0, 8.0, 0.9))
    assert found == [5.5, 4.25]
    assert score == pytest.approx(0.6)


@pytest.mark.parametrize(
    ("peak", "box"),
    [
        ((6.0, 4.0, 0.1), (0, 0, 10, 10)),  # too faint
        ((6.0, 4.0, 0.9), (0, 0, 5, 10)),  # outside the box
        ((7.5, 4.0, 0.9), (0, 0, 10, 10)),  # farther than 0.3 of the longer side
    ],
)
def test_a_joint_stays_where_it_was_regressed(peak, box):
    found, _ = pulled((4.0, 4.0), peak, box=box)
    assert found == [4.0, 4.0]


def test_the_longer_side_counts():
    assert pulled((4.0, 4.0), (7.5, 4.0, 0.9), box=(0, 0, 10, 12))[0] == [7.5, 4.0]


def test_a_farther_peak_does_not_step_in_for_an_unfit_nearest():
    found, _ = pulled((4.0, 4.0), (5.0, 4.0, 0.9), (4.0, 6.0, 0.9), box=(0, 0, 4.5, 10))
    assert found == [4.0, 4.0]


def test_score_of_a_joint_that_stays_is_read_at_its_place():
    # In the cell of a faint peak, beside it, and outside the map.
    assert pulled((4.4, 4.2), (4.0, 4.0, 0.08))[1] == pytest.approx(0.08)
    assert pulled((6.4, 4.2), (4.0, 4.0, 0.08))[1] == 0
    assert pulled((-3.0, 4.2), (4.0, 4.0, 0.08))[1] == 0


def test_one_peak_serves_two_people():
    values = {"joint_heatmap": torch.zeros(1, 17, *GRID), "joint_offset": torch.zeros(1, 2, *GRID)}
    values["joint_heatmap"][0, 3, 5, 5] = 0.9
    joints = torch.tensor([[4.0, 5.0], [6.0, 5.0]]).view(1, 2, 1, 2).expand(-1, -1, 17, -1)
    boxes = torch.tensor([[[0.0, 0, 10, 10], [1, 1, 11, 11]]])
    found, scores = snap(joints, boxes, Values(values), 7)
    assert found[0, :, 3].tolist() == [[5, 5], [5, 5]]
    assert scores[0, :, 3].tolist() == pytest.approx([0.9, 0.9])
    assert torch.equal(found[0, :, 4], joints[0, :, 4])


@pytest.mark.parametrize("count", [0, 1, 3, 1000])
def test_at_most_max_detections(count):
    task = Pose(1)
    maps = {head.name: torch.zeros(2, head.channels, *GRID) for head in task.heads}
    found = task.decode(maps, [VIEW] * 2, count)
    assert [len(result) for result in found] == [min(count, 16 * 24)] * 2
    assert found[0].keypoints.shape == (len(found[0]), 17, 2)
