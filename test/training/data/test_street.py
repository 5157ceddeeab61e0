"""The street: what it promises to those who train and measure on it."""

import hashlib
import itertools
import math
import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch

from centernet_ros.structures import CameraIntrinsics
from training.data.street import (
    CLASS_NAMES,
    DEFAULT_CAMERA,
    PEOPLE_CAMERA,
    StreetDataset,
    StreetFrame,
    kitti_camera,
    render_frame,
    render_sequence,
)

CAMERAS = {
    "default": DEFAULT_CAMERA,
    "kitti": kitti_camera((375, 1242)),
    "wide": CameraIntrinsics.pinhole(260.0, (300.0, 110.0), (240, 640)),
    "tele_shifted": CameraIntrinsics.pinhole(760.0, (180.0, 60.0), (192, 512)),
    "portrait": CameraIntrinsics.pinhole(500.0, (119.5, 200.0), (401, 240)),
    "oblong_pixels": CameraIntrinsics(
        torch.tensor([[420.0, 0, 320, -90], [0, 350, 90, 2], [0, 0, 1, 0.01]], dtype=torch.float64),
        (192, 640),
    ),
}


@pytest.fixture(scope="module", params=CAMERAS)
def frames(request: pytest.FixtureRequest) -> list[StreetFrame]:
    return [render_frame(seed, CAMERAS[request.param]) for seed in range(25)]


def limits(frame: StreetFrame) -> np.ndarray:
    """Last pixel centres: x, y."""
    height, width = frame.image.shape[:2]
    return np.array([width - 1, height - 1])


def box_corners(frame: StreetFrame) -> np.ndarray:
    """Corners (N, 8, 3) of the 3D boxes by KITTI's definition, written down independently."""
    rows = []
    objects = frame.objects
    for (height, width, length), location, yaw in zip(
        objects.dimensions.tolist(),
        objects.locations.tolist(),
        objects.yaws.tolist(),
        strict=True,
    ):
        cos, sin = math.cos(yaw), math.sin(yaw)
        turn = np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]])
        for x, y, z in itertools.product((-length / 2, length / 2), (-height, 0), (-1, 1)):
            rows.append(turn @ [x, y, z * width / 2] + location)
    return np.array(rows).reshape(-1, 8, 3)


def digest(frame: StreetFrame) -> str:
    """Of the picture and all of its truth."""
    state = hashlib.sha256(frame.image.tobytes() + frame.instances.tobytes())
    values = [frame.keypoint_visibility, frame.truncations, frame.occlusions, frame.visibilities]
    for part in (frame.objects, frame.poses, frame.ignored):
        values += [getattr(part, name) for name in part.__slots__]
    for value in (*values, frame.objects.boxes, frame.poses.boxes, frame.ignored.boxes, frame.ids):
        state.update(value.numpy().tobytes())
    return state.hexdigest()


def test_default_camera_is_kittis_scaled():
    assert DEFAULT_CAMERA.image_size == (192, 640)
    projection = DEFAULT_CAMERA.projection
    assert float(projection[0, 0]) == pytest.approx(721.5377 * 640 / 1242)
    assert float(projection[1, 2]) == pytest.approx(172.854 * 192 / 375)
    assert float(projection[0, 3]) == pytest.approx(44.85728 * 640 / 1242)
    assert CLASS_NAMES == ("pedestrian", "car", "cyclist")


def test_the_camera_for_people_sees_the_middle_of_kittis_image():
    whole = kitti_camera((375, 1242)).projection.numpy()
    place = np.array([1.0, 0.5, 20.0, 1.0])
    pixel, seen = whole @ place, PEOPLE_CAMERA.projection.numpy() @ place
    offset = (pixel - seen)[:2] / pixel[2]
    assert offset == pytest.approx([301, 27])
    assert seen[2] == pixel[2]


def test_same_seed_same_frame_in_another_process():
    code = (
        "import sys; sys.path.insert(0, 'test/training/data'); import test_street as t;"
        "print(*(t.digest(t.render_frame(s)) for s in (3, 4)))"
    )
    command = [sys.executable, "-c", code]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    # Frames rendered in between must not matter: there is no hidden state.
    render_frame(99)
    assert output.split() == [digest(render_frame(seed)) for seed in (3, 4)]


def test_global_random_state_is_neither_used_nor_changed():
    np.random.seed(0)
    before = np.random.get_state()[1].copy()
    first = digest(render_frame(5))
    assert (np.random.get_state()[1] == before).all()
    np.random.seed(1)
    torch.manual_seed(1)
    assert digest(render_frame(5)) == first


def test_different_seeds_and_places_in_a_dataset_differ():
    dataset = StreetDataset(seed=7, count=4)
    others = StreetDataset(seed=8, count=4)
    frames = [data[index] for data in (dataset, others) for index in range(4)]
    assert len({digest(frame) for frame in frames}) == 8
    assert digest(pickle.loads(pickle.dumps(dataset))[2]) == digest(frames[2])
    assert len(list(dataset)) == len(dataset) == 4
    with pytest.raises(IndexError, match="4 of 4"):
        dataset[4]


def test_all_classes_and_empty_frames_occur():
    frames = [render_frame(seed) for seed in range(60)]
    counts = [len(frame.objects) for frame in frames]
    assert 0 in counts
    assert max(counts) >= 8
    labels = torch.cat([frame.objects.labels for frame in frames])
    assert torch.bincount(labels, minlength=3).min() > 30
    occlusions = torch.cat([frame.occlusions for frame in frames])
    assert torch.bincount(occlusions, minlength=3).min() > 5
    assert any((frame.truncations > 0.2).any() for frame in frames)
    assert any(len(frame.ignored) for frame in frames)


def test_values_are_in_range_and_aligned(frames: list[StreetFrame]):
    for frame in frames:
        count, people = len(frame.objects), len(frame.poses)
        assert frame.image.shape == (*frame.camera.image_size, 3)
        assert frame.image.dtype == np.uint8
        for values in (frame.truncations, frame.occlusions, frame.visibilities, frame.ids):
            assert values.shape == (count,)
        assert people == int((frame.objects.labels != CLASS_NAMES.index("car")).sum())
        assert frame.keypoint_visibility.shape == (people, 17)
        assert ((frame.visibilities >= 0.25) & (frame.visibilities <= 1)).all()
        assert ((frame.truncations >= 0) & (frame.truncations <= 0.8)).all()
        assert ((frame.occlusions >= 0) & (frame.occlusions <= 2)).all()
        assert (frame.objects.yaws.abs() <= math.pi + 1e-6).all()
        assert (frame.objects.scores == 1).all()
        assert len(set(frame.ids.tolist())) == count


def test_boxes_lie_in_the_image(frames: list[StreetFrame]):
    for frame in frames:
        for part in (frame.objects, frame.poses, frame.ignored):
            boxes = part.boxes.numpy()
            assert (boxes[:, :2] >= 0).all()
            assert (boxes[:, 2:] <= limits(frame)).all()
            assert (boxes[:, 2:] >= boxes[:, :2]).all()


def test_3d_boxes_enclose_2d_boxes_and_stand_on_the_ground(frames: list[StreetFrame]):
    checked = 0
    for frame in frames:
        corners = box_corners(frame)
        heights = frame.objects.locations[:, 1]
        assert torch.allclose(heights, heights[:1].expand_as(heights), atol=1e-4)
        for box, corner in zip(frame.objects.boxes.numpy(), corners, strict=True):
            if corner[:, 2].min() < 0.3:
                continue
            pixels = frame.camera.project(torch.from_numpy(corner)).numpy()
            low, high = (np.clip(v, 0, limits(frame)) for v in (pixels.min(0), pixels.max(0)))
            assert (low <= box[:2] + 0.1).all()
            assert (high >= box[2:] - 0.1).all()
            checked += 1
    assert checked > 20


def test_3d_boxes_are_not_much_larger_than_what_is_drawn(frames: list[StreetFrame]):
    tops = []
    for frame in frames:
        pixels = frame.camera.project(torch.from_numpy(box_corners(frame))).numpy()
        whole = (frame.truncations == 0).numpy()
        drawn = frame.objects.boxes.numpy()[whole]
        tops += list((drawn[:, 3] - drawn[:, 1]) / np.ptp(pixels[whole][..., 1], axis=1))
    assert np.median(tops) > 0.93


def test_alpha_is_yaw_minus_the_ray(frames: list[StreetFrame]):
    for frame in frames:
        objects = frame.objects
        rays = torch.atan2(objects.locations[:, 0], objects.locations[:, 2])
        difference = objects.yaws - rays - objects.alphas
        assert torch.allclose(torch.cos(difference), torch.ones(len(objects)), atol=1e-5)
        assert (objects.alphas.abs() <= math.pi + 1e-6).all()


def test_instance_map_agrees_with_boxes(frames: list[StreetFrame]):
    tight = 0
    for frame in frames:
        assert frame.instances.max(initial=0) <= len(frame.objects)
        for row, box in enumerate(frame.objects.boxes.numpy()):
            ys, xs = np.nonzero(frame.instances == row + 1)
            if not len(xs):
                continue
            seen = np.array([xs.min(), ys.min(), xs.max(), ys.max()])
            inside = np.concatenate([seen[:2] - box[:2], box[2:] - seen[2:]])
            assert (inside >= -1.0).all()
            if frame.visibilities[row] == 1:
                assert (inside <= 1.5).all()
                tight += 1
    assert tight > 10


def test_joints_lie_in_their_person(frames: list[StreetFrame]):
    flags = []
    for frame in frames:
        poses = frame.poses
        labelled = frame.keypoint_visibility > 0
        assert torch.equal(poses.keypoint_scores, labelled.float())
        for box, joints, shown in zip(poses.boxes, poses.keypoints, labelled, strict=True):
            assert (joints[shown] >= box[:2] - 1).all()
            assert (joints[shown] <= box[2:] + 1).all()
        flags.append(frame.keypoint_visibility.flatten())
    assert torch.bincount(torch.cat(flags), minlength=3)[1:].min() > 20


def test_left_and_right_are_the_persons_own():
    checked = 0
    for frame in (render_frame(seed) for seed in range(40)):
        people = frame.objects.labels != CLASS_NAMES.index("car")
        for alpha, joints in zip(frame.objects.alphas[people], frame.poses.keypoints, strict=True):
            # alpha pi/2: towards the camera, so that the person's left is on the image's right.
            if abs(math.sin(alpha)) > 0.9:
                shoulders = joints[5, 0] - joints[6, 0]
                assert (shoulders > 0) == (math.sin(alpha) > 0)
                checked += 1
    assert checked > 20


def test_visible_joints_show_their_person():
    for frame in (render_frame(seed) for seed in range(20)):
        people = (frame.objects.labels != CLASS_NAMES.index("car")).nonzero().flatten().tolist()
        for person, row in enumerate(people):
            seen = frame.keypoint_visibility[person] == 2
            x, y = frame.poses.keypoints[person][seen].round().long().T.numpy()
            assert (frame.instances[y, x] == row + 1).all()


def test_an_occluder_is_nearer_than_what_it_hides():
    """Where two objects' boxes overlap and one is hidden, a nearer one must be there to hide it."""
    hidden = nearer = 0
    for frame in (render_frame(seed) for seed in range(60)):
        boxes, depth = frame.objects.boxes, frame.objects.locations[:, 2]
        for row in range(len(boxes)):
            low = torch.maximum(boxes[:, :2], boxes[row, :2])
            high = torch.minimum(boxes[:, 2:], boxes[row, 2:])
            others = (high > low).all(dim=1)
            others[row] = False
            if frame.visibilities[row] < 0.6 and others.any():
                hidden += 1
                nearer += bool((depth[others] < depth[row] + 2.5).any())
    assert hidden > 10
    assert nearer >= 0.9 * hidden


def test_odd_cameras_show_the_same_world():
    """Truth in metres does not depend on the camera, only what of it can be seen does."""
    near, far = render_frame(11), render_frame(11, CAMERAS["kitti"])
    shared = set(near.ids.tolist()) & set(far.ids.tolist())
    assert len(shared) >= 3
    for identity in shared:
        one, other = (frame.objects[frame.ids == identity] for frame in (near, far))
        assert torch.allclose(one.locations, other.locations)
        assert torch.allclose(one.dimensions, other.dimensions, atol=1e-4)


def test_horizon_outside_the_image():
    for centre in (-40.0, 500.0):
        camera = CameraIntrinsics.pinhole(300.0, (100.0, centre), (120, 200))
        assert render_frame(0, camera).image.shape == (120, 200, 3)


def test_tiny_image():
    camera = CameraIntrinsics.pinhole(20.0, (16.0, 8.0), (17, 33))
    assert render_frame(1, camera).image.shape == (17, 33, 3)


@pytest.fixture(scope="module")
def drive() -> list[StreetFrame]:
    return list(render_sequence(4, 40))


def test_sequence_keeps_identities_and_moves_smoothly(drive: list[StreetFrame]):
    steps: dict[int, list[torch.Tensor]] = {}
    for before, after in itertools.pairwise(drive):
        for identity in set(before.ids.tolist()) & set(after.ids.tolist()):
            one, two = (frame.objects[frame.ids == identity] for frame in (before, after))
            assert one.labels == two.labels
            assert torch.allclose(one.dimensions, two.dimensions, atol=0.005)
            steps.setdefault(identity, []).append(two.locations[0] - one.locations[0])
            turn = math.remainder(float(two.yaws - one.yaws), 2 * math.pi)
            assert abs(turn) < 0.05
    assert len(steps) >= 5
    for track in steps.values():
        moves = torch.stack(track)
        # At 10 Hz nothing is faster than 25 m/s seen from the moving camera, and nothing jumps.
        assert moves.norm(dim=1).max() < 2.5
        assert (moves - moves.mean(dim=0)).abs().max() < 0.01


def test_sequence_camera_drives_forward(drive: list[StreetFrame]):
    """Pedestrians, who walk at 1.7 m/s at most either way, come nearer at the camera's 3 to 9."""
    ways = []
    for before, after in itertools.pairwise(drive):
        shared = set(before.ids.tolist()) & set(after.ids.tolist())
        for identity in shared:
            one, two = (frame.objects[frame.ids == identity] for frame in (before, after))
            if one.labels == CLASS_NAMES.index("pedestrian"):
                ways.append(float(one.locations[0, 2] - two.locations[0, 2]))
    assert len(ways) > 20
    assert min(ways) > 0.1
    assert max(ways) < 1.1


def test_walkers_swing_their_legs(drive: list[StreetFrame]):
    strides: dict[int, list[float]] = {}
    for frame in drive:
        people = frame.ids[frame.objects.labels != CLASS_NAMES.index("car")].tolist()
        for identity, joints, box in zip(
            people, frame.poses.keypoints, frame.poses.boxes, strict=True
        ):
            gap = (joints[15] - joints[16]).norm() / (box[3] - box[1])
            strides.setdefault(identity, []).append(float(gap))
    assert max(np.ptp(track) for track in strides.values()) > 0.1


def test_sequence_is_reproducible(drive: list[StreetFrame]):
    again = itertools.islice(render_sequence(4, 40), 3)
    assert [digest(frame) for frame in again] == [digest(frame) for frame in drive[:3]]
