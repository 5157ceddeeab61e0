"""Soft-NMS and what is left of results of several scales."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from centernet_ros.merging import keep_best, merge, overlaps_with, soft_nms
from centernet_ros.structures import Detections2D, Poses


def detections(*rows):
    """Of (label, score, x1, y1, x2, y2)."""
    values = torch.tensor(rows, dtype=torch.float32).reshape(-1, 6)
    return Detections2D(values[:, 2:], values[:, 1], values[:, 0].long())


def people(*rows):
    """As `detections`, each person's joints at the number of its row."""
    boxes = detections(*rows)
    places = torch.arange(len(rows)).float().view(-1, 1, 1).expand(-1, 17, 2)
    return Poses(boxes.boxes, boxes.scores, boxes.labels, places, places[..., 0])


# --- overlaps


def test_edges_are_pixels_of_the_box():
    box = torch.tensor([0.0, 0, 9, 9]).numpy()
    others = torch.tensor([[0.0, 0, 9, 9], [5, 0, 14, 9], [9, 9, 18, 18], [10, 0, 19, 9]]).numpy()
    # 10x10 pixels each: in common all, 5x10, 1x1 and none.
    expected = [1, 50 / 150, 1 / 199, 0]
    assert overlaps_with(box, others).tolist() == pytest.approx(expected, abs=1e-6)


def test_boxes_without_area_overlap_nothing():
    box = torch.tensor([0.0, 0, 9, 9]).numpy()
    turned = torch.tensor([[8.0, 2, 4, 6], [2, 8, 6, 4]]).numpy()
    assert overlaps_with(box, turned).tolist() == [0, 0]


# --- soft-NMS


def test_score_falls_by_the_gaussian_of_the_overlap():
    result = merge([detections((0, 0.8, 0, 0, 9, 9), (0, 0.6, 5, 0, 14, 9))], keep_stale_rows=False)
    assert result.scores.tolist() == pytest.approx([0.8, 0.6 * math.exp(-((1 / 3) ** 2) / 0.5)])
    assert result.boxes[:, 0].tolist() == [0, 5]


def test_classes_leave_each_other_alone():
    rows = [(0, 0.8, 0, 0, 9, 9), (1, 0.6, 0, 0, 9, 9), (2, 0.7, 1, 0, 10, 9)]
    result = merge([detections(*rows)], keep_stale_rows=False)
    assert result.labels.tolist() == [0, 2, 1]
    assert result.scores.tolist() == pytest.approx([0.8, 0.7, 0.6])


def test_scales_meet():
    parts = [detections((0, 0.6, 0, 0, 9, 9)), detections((0, 0.8, 0, 0, 9, 9))]
    result = merge(parts, keep_stale_rows=False)
    assert result.scores.tolist() == pytest.approx([0.8, 0.6 * math.exp(-2)])


def test_stale_rows_are_the_authors_or_left_out():
    # The second box falls to 0.004 * exp(-2) and is dropped: the third takes its row.
    rows = [(0, 0.9, 0, 0, 9, 9), (0, 0.004, 0, 0, 9, 9), (0, 0.5, 100, 0, 109, 9)]
    clean = merge([people(*rows)], keep_stale_rows=False)
    assert clean.scores.tolist() == pytest.approx([0.9, 0.5])
    assert clean.keypoints[:, 0, 0].tolist() == [0, 2]
    stale = merge([people(*rows)], keep_stale_rows=True)
    # Once more the box that moved, with the joints of the dropped one.
    assert stale.scores.tolist() == pytest.approx([0.9, 0.5, 0.5])
    assert stale.boxes[:, 0].tolist() == [0, 100, 100]
    assert stale.keypoints[:, 0, 0].tolist() == [0, 2, 1]


def test_a_low_score_stays_where_nothing_overlaps():
    rows = [(0, 0.9, 0, 0, 9, 9), (0, 1e-5, 100, 0, 109, 9)]
    assert len(merge([detections(*rows)], keep_stale_rows=False)) == 2


def test_nothing_merges_to_nothing():
    result = merge([Poses.empty(), Poses.empty()], keep_stale_rows=True)
    assert isinstance(result, Poses)
    assert len(result) == 0


numbers = st.floats(0, 50, width=32)
boxes = st.lists(st.tuples(numbers, numbers, numbers, numbers, st.floats(0, 1, width=32)))


@settings(max_examples=60, deadline=None)
@given(boxes)
def test_every_box_is_left_or_dropped(rows):
    values = torch.tensor(rows, dtype=torch.float32).reshape(-1, 5)
    corners = torch.cat([values[:, :2], values[:, :2] + values[:, 2:4]], dim=1)
    left = soft_nms(corners, values[:, 4])
    kept = left.rows[: left.count].tolist()
    assert len(set(kept)) == len(kept)
    assert sorted(left.companions.tolist()) == list(range(len(values)))
    assert left.companions[: left.count].tolist() == kept
    assert (left.scores[: left.count] <= values[kept, 4]).all()
    assert (left.scores[: left.count].diff() <= 0).all()
    # The best one keeps its score.
    if rows:
        assert left.scores[0] == values[:, 4].max()


def test_input_stays_as_it_is():
    given_ = detections((0, 0.9, 0, 0, 9, 9), (0, 0.5, 1, 0, 10, 9))
    before = given_.scores.clone()
    merge([given_], keep_stale_rows=True)
    assert torch.equal(given_.scores, before)


# --- the best of all


def test_best_are_kept_in_order():
    rows = [(0, score, 0, 0, 1, 1) for score in (0.2, 0.9, 0.5, 0.7)]
    kept = keep_best(detections(*rows), 2)
    assert kept.scores.tolist() == pytest.approx([0.9, 0.7])
    assert len(keep_best(detections(*rows), 4)) == 4
    assert len(keep_best(detections(*rows), 0)) == 0


def test_equal_scores_at_the_limit_stay():
    rows = [(0, score, 0, 0, 1, 1) for score in (0.9, 0.5, 0.5, 0.1)]
    assert keep_best(detections(*rows), 2).scores.tolist() == pytest.approx([0.9, 0.5, 0.5])
