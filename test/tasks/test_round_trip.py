"""Truth -> targets -> ideal maps -> truth, for 3D boxes and poses in any view of any camera."""

import math

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from centernet_ros.image import view_of
from centernet_ros.presets import Fit, ModelPreset
from centernet_ros.structures import CameraIntrinsics, Detections3D, Poses, View
from centernet_ros.tasks import build_task
from centernet_ros.tasks.detection3d.geometry import locate, yaw_to_alpha

EXAMPLES = settings(
    deadline=None, max_examples=50, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
KINDS = ("fit", "crop", "mirrored crop")
PART = st.floats(0.02, 0.98)
"""Where in its cell a point lies; off the border, where rounding could go either way."""


@st.composite
def cameras(draw, image_size):
    """A camera of one's own, or one of a stereo rig as KITTI's."""
    height, width = image_size
    focal = draw(st.floats(0.5, 2)) * width
    centre = [draw(st.floats(0.2, 0.8)) * side for side in (width, height)]
    if draw(st.booleans()):
        return CameraIntrinsics.pinhole(focal, tuple(centre), image_size)
    baseline = [draw(st.floats(*limits)) for limits in ((-400, 60), (-1, 3), (-0.005, 0.005))]
    rows = [[focal, 0, centre[0]], [0, focal * draw(st.floats(0.9, 1.1)), centre[1]], [0, 0, 1]]
    projection = torch.tensor([[*row, b] for row, b in zip(rows, baseline, strict=True)])
    return CameraIntrinsics(projection.double(), image_size)


@st.composite
def views(draw, kind, with_camera=True):
    """Any image on any input: by a preset's fit, or as an augmentation lays it."""
    image_size = draw(st.tuples(st.integers(20, 1300), st.integers(20, 1300)))
    steps = draw(st.tuples(st.integers(1, 8), st.integers(1, 10)))
    input_size = (32 * steps[0], 32 * steps[1])
    camera = draw(cameras(image_size)) if with_camera else None
    if kind == "fit":
        fit = draw(st.sampled_from(Fit))
        preset = ModelPreset("detection2d", "resnet18", ("thing",), input_size, fit)
        return view_of(image_size, preset, camera)
    # The input's middle shows a point of the image, at most three times enlarged or reduced.
    scale = draw(st.floats(0.33, 3)) * input_size[1] / image_size[1]
    sign = -1 if kind == "mirrored crop" else 1
    x, y = (draw(st.floats(0.1, 0.9)) * side for side in reversed(image_size))
    rows = [
        [sign * scale, 0, input_size[1] / 2 - sign * scale * x],
        [0, scale, input_size[0] / 2 - scale * y],
    ]
    return View(image_size, input_size, torch.tensor(rows, dtype=torch.float64), camera)


@st.composite
def boxes_in_cells(draw, view):
    """Boxes (N, 4) in pixels, inside the grid and with their centres in different cells."""
    height, width = view.grid_size
    cells = st.tuples(st.integers(0, height - 2), st.integers(0, width - 2))
    rows = []
    count = draw(st.integers(0, 10))
    for row, column in draw(st.lists(cells, unique=True, min_size=count, max_size=count)):
        x, y = column + draw(PART), row + draw(PART)
        half_width = min(x, width - 1 - x) * draw(PART)
        half_height = min(y, height - 1 - y) * draw(PART)
        rows.append([x - half_width, y - half_height, x + half_width, y + half_height])
    return view.boxes_to_image(torch.tensor(rows, dtype=torch.float64).reshape(-1, 4))


@st.composite
def scenes_3d(draw, kind):
    """A view and objects whose centres appear in the middle of their 2D boxes."""
    view = draw(views(kind))
    boxes = draw(boxes_in_cells(view))
    numbers = [
        [draw(st.floats(*limits)) for limits in ((1, 80), (-math.pi, math.pi), *[(0.3, 8)] * 3)]
        for _ in boxes
    ]
    z, yaws, height, width, length = (
        torch.tensor(numbers, dtype=torch.float64).reshape(-1, 5).unbind(1)
    )
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    labels = [draw(st.integers(0, 2)) for _ in boxes]
    truth = Detections3D(
        boxes=boxes,
        scores=torch.ones(len(boxes)),
        labels=torch.tensor(labels, dtype=torch.int64),
        dimensions=torch.stack([height, width, length], dim=1),
        locations=locate(view.camera, centres, z + view.camera.projection[2, 3], height),
        yaws=yaws,
        alphas=yaw_to_alpha(view.camera, yaws, centres[:, 0]),
    )
    return view, truth


@st.composite
def people(draw, kind):
    """A view and people with some labelled joints, no two in one cell: they share one offset."""
    view = draw(views(kind, with_camera=False))
    boxes = draw(boxes_in_cells(view))
    random = torch.Generator().manual_seed(draw(st.integers(0, 2**31 - 1)))
    parts = torch.rand(len(boxes), 17, 2, generator=random, dtype=torch.float64)
    # Every second joint lies in its person's box, the others anywhere on the grid.
    corners = view.boxes_to_grid(boxes).unsqueeze(1)
    points = corners[..., :2] + parts * (corners[..., 2:] - corners[..., :2])
    points[:, 1::2] = (parts * torch.tensor(view.grid_size[::-1]))[:, 1::2]
    points = points.floor() + (points - points.floor()).clamp(0.02, 0.98)
    labelled = torch.rand(len(boxes), 17, generator=random) < 0.8
    taken = set()
    for person, joint in labelled.nonzero().tolist():
        cell = tuple(points[person, joint].long().tolist())
        labelled[person, joint] = cell not in taken
        taken.add(cell)
    truth = Poses(
        boxes=boxes,
        scores=torch.ones(len(boxes)),
        labels=torch.zeros(len(boxes), dtype=torch.int64),
        keypoints=view.to_image(points),
        keypoint_scores=labelled.float(),
    )
    return view, truth


def round_trip(task, truth, view, ideal_maps):
    """What is read off the ideal maps, in the order of the truth, which is all there is."""
    maps = ideal_maps(task, task.encode(truth, view, view.grid_size), view.grid_size)
    (found,) = task.decode(maps, [view])
    found = found[found.scores > 0.5]
    assert len(found) == len(truth)
    if len(truth) == 0:
        return found
    distances = (found.boxes.double() - truth.boxes.unsqueeze(1)).abs().amax(-1)
    distances[truth.labels.unsqueeze(1) != found.labels] = math.inf
    order = distances.argmin(1)
    assert sorted(order.tolist()) == list(range(len(truth)))
    return found[order]


def assert_within(found, expected, tolerance):
    assert ((found.double() - expected).abs() <= tolerance).all()


def assert_angles(found, expected):
    turned = torch.remainder(found.double() - expected + math.pi, 2 * math.pi) - math.pi
    assert (turned.abs() < 1e-3).all()


@pytest.mark.parametrize("kind", KINDS)
@EXAMPLES
@given(data=st.data())
def test_3d_boxes(ideal_maps, kind, data):
    view, truth = data.draw(scenes_3d(kind))
    found = round_trip(build_task("detection3d", 3, fit_centre=False), truth, view, ideal_maps)
    assert_within(found.boxes, truth.boxes, 0.01)
    assert_within(found.dimensions, truth.dimensions, 1e-3)
    assert_within(found.locations, truth.locations, 1e-3)
    assert_angles(found.yaws, truth.yaws)
    assert_angles(found.alphas, truth.alphas)
    for angles in (found.yaws, found.alphas):
        assert (angles.abs() <= math.pi + 1e-6).all()


@pytest.mark.parametrize("kind", KINDS)
@EXAMPLES
@given(data=st.data())
def test_poses(ideal_maps, kind, data):
    view, truth = data.draw(people(kind))
    found = round_trip(build_task("pose", 1), truth, view, ideal_maps)
    labelled = truth.keypoint_scores > 0
    assert_within(found.boxes, truth.boxes, 0.01)
    assert_within(found.keypoints[labelled], truth.keypoints[labelled], 0.01)
    assert (found.keypoint_scores[labelled] > 0.99).all()
    assert ((found.keypoint_scores >= 0) & (found.keypoint_scores <= 1)).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("strategy", [scenes_3d, people])
def test_scenes_are_worth_testing(strategy, kind):
    drawn = []

    @EXAMPLES
    @given(strategy(kind))
    def collect(view_and_truth):
        drawn.append(view_and_truth)

    collect()
    # What is drawn changes with every constant in the project; a handful is always there.
    assert sum(len(truth) >= 4 for _, truth in drawn) > 4
    assert all(view.mirrored == (kind == "mirrored crop") for view, _ in drawn)
    if strategy is people:
        assert sum((truth.keypoint_scores > 0).sum() > 20 for _, truth in drawn) > 4
    else:
        rigs = [view for view, truth in drawn if len(truth) and view.camera.projection[0, 3] != 0]
        assert len(rigs) > 2
