"""Numbers that stay with their objects: made scenes, and drives down the street with noise."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from centernet_ros.structures import Detections2D, Detections3D
from centernet_ros.tracking import MAX_GAP, REACH_ACROSS, Tracks, track

STEP = 0.1


def boxes(*centres, label=0, side=20.0, labels=None):
    """Square boxes around pixels."""
    points = torch.tensor(centres, dtype=torch.float32).reshape(-1, 2)
    return Detections2D(
        torch.cat([points - side / 2, points + side / 2], dim=1),
        torch.ones(len(points)),
        torch.tensor(labels or [label] * len(points), dtype=torch.int64),
    )


def cars(*places):
    """Cars on the ground at x, z in metres; their boxes in the image are all the same."""
    count = len(places)
    return Detections3D(
        boxes=torch.tensor([[0.0, 0, 20, 20]]).repeat(count, 1),
        scores=torch.ones(count),
        labels=torch.zeros(count, dtype=torch.int64),
        dimensions=torch.tensor([[1.5, 1.7, 4.2]]).repeat(count, 1),
        locations=torch.tensor([[x, 1.6, z] for x, z in places]).reshape(-1, 3),
        yaws=torch.zeros(count),
        alphas=torch.zeros(count),
    )


def follow(*scenes, memory=1.0, step=STEP, tracks=None):
    """The numbers of each scene's results, one scene a step."""
    tracks, found = tracks or Tracks.none(), []
    for i, scene in enumerate(scenes):
        tracks, ids = track(tracks, scene, i * step, memory=memory)
        found.append(ids)
    return found


def test_numbers_start_at_one_and_stay_whatever_the_order():
    scenes = boxes((50, 50), (90, 50)), boxes((91, 50), (51, 50)), boxes((52, 50), (92, 50))
    assert follow(*scenes) == [[1, 2], [2, 1], [1, 2]]


def test_no_result_is_no_trouble():
    assert follow(boxes(), boxes((5, 5)), boxes(), boxes((5, 5))) == [[], [1], [], [1]]
    assert follow(cars(), cars((0, 10)), cars()) == [[], [1], []]


def test_a_new_object_gets_a_new_number():
    assert follow(boxes((50, 50)), boxes((200, 50), (50, 50))) == [[1], [2, 1]]


def test_classes_are_never_mixed():
    assert follow(boxes((50, 50), label=0), boxes((50, 50), label=1)) == [[1], [2]]
    both = boxes((50, 50), (52, 50), labels=[0, 1])
    assert follow(both, boxes((52, 50), (50, 50), labels=[1, 0])) == [[1, 2], [2, 1]]


def test_a_box_of_another_size_is_another_object():
    assert follow(boxes((50, 50), side=20), boxes((50, 50), side=60)) == [[1], [2]]


def test_objects_that_cross_keep_their_numbers():
    """Two boxes pass through each other with 30 pixels a step: the nearest would be the other."""
    scenes = [boxes((15 * i, 50), (300 - 15 * i, 50)) for i in range(21)]
    assert follow(*scenes) == [[1, 2]] * 21


def test_cars_that_cross_in_space():
    scenes = [cars((-10 + i, 20.0), (10 - i, 22.0)) for i in range(21)]
    assert follow(*scenes) == [[1, 2]] * 21


def test_a_hidden_object_is_expected_where_its_motion_takes_it():
    """Hidden for 0.7 s it moves seven times its own side."""
    hidden = range(6, 13)
    scenes = [boxes() if i in hidden else boxes((20 * i, 50)) for i in range(16)]
    assert follow(*scenes) == [[] if i in hidden else [1] for i in range(16)]
    assert follow(*scenes, memory=0.5)[13:] == [[2]] * 3


def test_a_depth_that_wavers_is_no_motion():
    """At 40 m it wavers by up to 3 m, more than the reach across the line of sight."""
    noise = np.random.default_rng(3).normal(0, 0.03, 60)
    assert 40 * abs(noise).max() > REACH_ACROSS
    scenes = [cars((0.0, 40 * (1 + error)), (3.5, 42 * (1 - error))) for error in noise]
    assert follow(*scenes) == [[1, 2]] * 60


def test_a_step_back_in_time_makes_all_new_and_reuses_no_number():
    tracks, ids = track(Tracks.none(), boxes((50, 50)), 10.0, memory=1.0)
    tracks, again = track(tracks, boxes((50, 50)), 9.9, memory=1.0)
    assert (ids, again) == ([1], [2])
    assert track(tracks, boxes((50, 50)), 10.0, memory=1.0)[1] == [2]


def test_a_long_gap_makes_all_new():
    scene = boxes((50, 50))
    assert follow(scene, scene, step=MAX_GAP, memory=0.1) == [[1], [1]]
    assert follow(scene, scene, step=MAX_GAP + 0.1, memory=100.0) == [[1], [2]]


def test_images_of_one_stamp_are_followed_without_motion():
    assert follow(boxes((50, 50)), boxes((55, 50)), boxes((60, 50)), step=0.0) == [[1]] * 3


def test_results_that_lose_their_place_in_space_begin_anew():
    assert follow(cars((0, 20)), boxes((10, 10)), boxes((10, 10)), cars((0, 20))) == [
        [1],
        [2],
        [2],
        [3],
    ]


def test_forgotten_objects_cost_nothing():
    tracks = Tracks.none()
    for i in range(50):
        tracks, _ = track(tracks, boxes((100 * i, 50)), i * STEP, memory=0.45)
    assert len(tracks.ids) == 5
    assert tracks.ids.max() == 50


@pytest.fixture(scope="module")
def drive():
    """What is seen of true objects on a drive, with their true numbers."""
    from training.data.street import kitti_camera, render_sequence

    frames = render_sequence(4, 40, kitti_camera((96, 320)))
    return [(frame.objects, torch.as_tensor(frame.ids)) for frame in frames]


@pytest.mark.parametrize(
    ("in_space", "missed", "allowed"),
    [(False, 0.0, 3), (False, 0.2, 5), (True, 0.0, 1), (True, 0.2, 2)],
)
def test_numbers_on_a_drive_with_noise(drive, in_space, missed, allowed):
    """Edges waver by 4 % of a box's size, depths by 4 %, and some of the detections are missed."""
    rng = np.random.default_rng(7)
    tracks, last, switches, seen = Tracks.none(), {}, 0, 0
    for i, (objects, true_ids) in enumerate(drive):
        count = len(objects)
        sides = (objects.boxes[:, 2:] - objects.boxes[:, :2]).prod(dim=1).sqrt()
        edges = torch.from_numpy(rng.normal(0, 0.04, (count, 4))).float() * sides[:, None]
        depths = torch.from_numpy(rng.normal(1, 0.04, count)).float()
        noisy = dataclasses.replace(
            objects, boxes=objects.boxes + edges, locations=objects.locations * depths[:, None]
        )
        kept = torch.from_numpy(rng.random(count) >= missed)
        results = noisy[kept]
        if not in_space:
            results = Detections2D(results.boxes, results.scores, results.labels)
        tracks, ids = track(tracks, results, i * STEP, memory=1.0)
        assert len(set(ids)) == len(ids)
        for true_id, found in zip(true_ids[kept].tolist(), ids, strict=True):
            seen += 1
            switches += last.setdefault(true_id, found) != found
            last[true_id] = found
    assert seen > 60
    assert len(last) >= 5
    assert switches <= allowed
    assert math.isfinite(tracks.places.sum() + tracks.velocities.sum())
