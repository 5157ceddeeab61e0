"""The 3D task: masks, losses, mirrored views and options."""

import dataclasses
import math
from pathlib import Path

import pytest
import torch

from centernet_ros.image import view_of
from centernet_ros.presets import Fit, ModelPreset
from centernet_ros.structures import CameraIntrinsics, Detections2D, Detections3D, View
from centernet_ros.tasks.detection3d import MAX_OBJECTS, Detection3D, metric_depth
from centernet_ros.tasks.detection3d.angle import decode_alpha, encode_alpha, mirror_alpha, wrap
from centernet_ros.tasks.detection3d.geometry import (
    alpha_to_yaw,
    fit_centres,
    focal_ratio,
    yaw_to_alpha,
)

KITTI = Path(__file__).parents[4] / "shared" / "data" / "kitti" / "training"
EYE = torch.eye(2, 3, dtype=torch.float64)
CAMERA = CameraIntrinsics.pinhole(80, (48, 32), (64, 96))
VIEW = View((64, 96), (64, 96), EYE, CAMERA)
MIRRORED = View((64, 96), (64, 96), torch.tensor([[-1.0, 0, 96], [0, 1, 0]]).double(), CAMERA)
GRID = VIEW.grid_size


def car(**changes):
    values = {
        "boxes": torch.tensor([[10.0, 12, 43, 33]]),
        "scores": torch.ones(1),
        "labels": torch.tensor([1]),
        "dimensions": torch.tensor([[1.5, 1.7, 4.2]]),
        "locations": torch.tensor([[-2.0, 1.5, 12]]),
        "yaws": torch.tensor([0.4]),
        "alphas": torch.tensor([0.6]),
    }
    return Detections3D(**(values | changes))


# --- angles


def test_angle_comes_back_from_eight_numbers():
    angles = torch.linspace(-math.pi, math.pi, 721, dtype=torch.float64)
    encoded = encode_alpha(angles)
    turned = wrap(decode_alpha(encoded) - angles)
    assert turned.abs().max() < 1e-9
    # Every angle lies in one bin or in both.
    inside = encoded[:, 1] + encoded[:, 5]
    assert set(inside.tolist()) == {1.0, 2.0}


def test_wrap_keeps_what_lies_inside():
    angles = torch.tensor([-math.pi, -1.0, 0, 3.0, math.pi, 3.5, -4.0, 7.0], dtype=torch.float64)
    wrapped = wrap(angles)
    assert wrapped[:5].tolist() == angles[:5].tolist()
    assert wrapped[5:].tolist() == pytest.approx(
        [3.5 - 2 * math.pi, 2 * math.pi - 4, 7 - 2 * math.pi]
    )


@pytest.mark.parametrize(
    ("alpha", "mirrored"), [(0, math.pi), (1.2, math.pi - 1.2), (-1, -2.14159)]
)
def test_mirrored_angles(alpha, mirrored):
    """A car that looks to the right looks to the left; one that drives away still does."""
    found = mirror_alpha(torch.tensor([alpha], dtype=torch.float64))
    assert found.item() == pytest.approx(mirrored, abs=1e-5)


# --- corners


def test_corners_by_hand():
    boxes = car(yaws=torch.zeros(1), locations=torch.tensor([[1.0, 2, 10]]))
    corners = boxes.corners()
    assert corners.shape == (1, 8, 3)
    # With yaw 0 the front is at larger x, and left of it lies away from the camera.
    expected = [[3.1, 2, 10.85], [3.1, 2, 9.15], [-1.1, 2, 9.15], [-1.1, 2, 10.85]]
    expected += [[x, 0.5, z] for x, _, z in expected]
    torch.testing.assert_close(
        corners[0], torch.tensor(expected, dtype=torch.float64), rtol=0, atol=1e-6
    )


def test_a_quarter_turn_faces_the_camera():
    """KITTI's rotation_y is positive to the right: pi/2 looks along -z, at the camera."""
    boxes = car(yaws=torch.tensor([math.pi / 2]), locations=torch.tensor([[0.0, 1, 10]]))
    front = boxes.corners()[0, :2].mean(0)
    assert front.tolist() == pytest.approx([0, 1, 10 - 2.1], abs=1e-6)


def test_no_box_has_no_corners():
    assert Detections3D.empty().corners().shape == (0, 8, 3)


# --- encode


def test_targets_of_one_car_by_hand():
    targets = Detection3D(3).encode(car(), VIEW, GRID)
    assert targets["mask"].tolist() == [True] + [False] * (MAX_OBJECTS - 1)
    assert torch.equal(targets["metric_mask"], targets["mask"])
    assert targets["index"][0] == 5 * 24 + 6
    assert targets["size"][0].tolist() == [8.25, 5.25]
    assert targets["offset"][0].tolist() == [0.625, 0.625]
    assert targets["depth"][0].tolist() == [12]
    assert targets["dimensions"][0].tolist() == pytest.approx([1.5, 1.7, 4.2])
    assert targets["heatmap"][1, 5, 6] == 1
    # 0.6 radians lie beyond the reach of the first bin, 30 degrees.
    residual = 0.6 - math.pi / 2
    expected = [0, 0, 0, 1, 0, 1, math.sin(residual), math.cos(residual)]
    assert targets["orientation"][0].tolist() == pytest.approx(expected, abs=1e-6)


def test_without_camera_only_the_metres_are_left_out():
    task = Detection3D(3)
    with_camera = task.encode(car(), VIEW, GRID)
    without = task.encode(car(), View((64, 96), (64, 96), EYE), GRID)
    assert not without.pop("metric_mask").any()
    assert with_camera.pop("metric_mask").sum() == 1
    assert all(torch.equal(without[name], value) for name, value in with_camera.items())


def test_without_camera_metres_get_no_gradient():
    task = Detection3D(3)
    targets = task.encode(car(), View((64, 96), (64, 96), EYE), GRID)
    targets = {name: value.unsqueeze(0) for name, value in targets.items()}
    maps = {h.name: torch.ones(1, h.channels, *GRID, requires_grad=True) for h in task.heads}
    task.total_loss([maps], targets)[0].backward()
    silent = {name for name, value in maps.items() if not value.grad.any()}
    assert silent == {"depth", "dimensions"}


def losses_of(task, *views, truth=None):
    """Losses where every map is 1 everywhere, with their sum's gradient in the orientation."""
    items = [task.encode(car() if truth is None else truth, view, GRID) for view in views]
    targets = {name: torch.stack([item[name] for item in items]) for name in items[0]}
    maps = {h.name: torch.ones(len(views), h.channels, *GRID) for h in task.heads}
    maps["orientation"].requires_grad_()
    losses = task.losses(maps, targets)
    losses["orientation"].backward()
    return {name: loss.item() for name, loss in losses.items()}, maps["orientation"].grad


def test_a_mean_over_objects_is_the_error_of_the_object():
    losses, gradient = losses_of(Detection3D(3, mean_over_objects=True), VIEW)
    assert losses["depth"] == pytest.approx(12 - math.exp(-1), rel=1e-4)
    assert losses["dimensions"] == pytest.approx((0.5 + 0.7 + 3.2) / 3, rel=1e-4)
    assert losses["size"] == pytest.approx((7.25 + 4.25) / 2, rel=1e-4)
    slots, weak = losses_of(Detection3D(3), VIEW)
    for name in ("depth", "dimensions", "size", "offset"):
        assert losses[name] == pytest.approx(MAX_OBJECTS * slots[name], rel=1e-3), name
    assert losses["heatmap"] == slots["heatmap"]
    # Two bins of equal logits. An empty slot adds as much to a mean over slots, and no gradient.
    residuals = losses["orientation"] - 2 * math.log(2)
    assert residuals == pytest.approx(slots["orientation"] - 2 * math.log(2), abs=1e-5)
    bins = [0, 1, 4, 5]
    torch.testing.assert_close(gradient[:, bins], MAX_OBJECTS * weak[:, bins])


def test_a_mean_over_objects_counts_those_of_the_whole_batch():
    task = Detection3D(3, mean_over_objects=True)
    without = View((64, 96), (64, 96), EYE)
    alone, both = losses_of(task, VIEW)[0], losses_of(task, VIEW, without)[0]
    # The second image has no camera: a depth less, and the same angle and size.
    for name in ("depth", "dimensions", "size", "offset", "orientation"):
        assert both[name] == pytest.approx(alone[name], rel=1e-3), name


def test_a_mean_over_no_objects_is_nothing():
    losses, gradient = losses_of(
        Detection3D(3, mean_over_objects=True),
        VIEW,
        truth=car()[torch.tensor([], dtype=torch.long)],
    )
    assert [losses[name] for name in ("depth", "dimensions", "size", "offset")] == [0] * 4
    assert losses["orientation"] == 0
    assert not gradient.any()


def test_mirrored_view_shows_the_mirrored_angle():
    targets = Detection3D(3).encode(car(), MIRRORED, GRID)
    assert decode_alpha(targets["orientation"][0]).item() == pytest.approx(math.pi - 0.6, abs=1e-5)
    assert targets["depth"][0].tolist() == [12]


def test_ignored_regions_never_hide_an_object():
    task = Detection3D(3)
    regions = Detections2D(
        torch.tensor([[10.0, 12, 43, 33], [50, 20, 90, 60]]), torch.ones(2), torch.tensor([1, -1])
    )
    targets = task.encode(car(), VIEW, GRID, ignored=regions)
    assert (targets["heatmap"] == 1).nonzero().tolist() == [[1, 5, 6]]
    assert targets["heatmap"][:, 10, 17].tolist() == pytest.approx([0.9999] * 3)
    assert targets["mask"].sum() == 1


@pytest.mark.parametrize(("compat", "drawn"), [(False, 60), (True, 50)])
def test_objects_beyond_the_slots_are_on_the_heat_map_alone_or_nowhere(compat, drawn):
    view = View((256, 512), (256, 512), EYE, CAMERA)
    truth = Detections3D.concatenate(
        [
            car(boxes=torch.tensor([[8.0 * i, 8.0 * j, 8 * i + 7, 8 * j + 7]]))
            for j in range(6)
            for i in range(10)
        ]
    )
    targets = Detection3D(3, compat=compat).encode(truth, view, view.grid_size)
    assert targets["mask"].sum() == MAX_OBJECTS == 50
    assert (targets["heatmap"] == 1).sum() == drawn


# --- read


def test_without_calibration_there_is_no_3d():
    task = Detection3D(3)
    maps = {head.name: torch.zeros(1, head.channels, *GRID) for head in task.heads}
    with pytest.raises(ValueError, match="detection3d needs a calibration"):
        task.decode(maps, [View((64, 96), (64, 96), EYE)])


def test_depth_is_positive_and_grows_as_the_logit_falls():
    depth = metric_depth(torch.tensor([-20.0, -3, 0, 3, 20]))
    assert depth[2].item() == pytest.approx(1, rel=1e-5)
    assert (depth[:-1] > depth[1:]).all()
    assert depth[0] < 1e6


def test_each_image_is_placed_by_its_own_camera(ideal_maps):
    task = Detection3D(3, fit_centre=False)
    near, far = CAMERA, CameraIntrinsics.pinhole(160, (40, 30), (64, 96))
    targets = task.encode(car(), VIEW, GRID)
    maps = {name: torch.cat([v, v]) for name, v in ideal_maps(task, targets, GRID).items()}
    views = [VIEW, View((64, 96), (64, 96), EYE, far)]
    first, second = (result[:1] for result in task.decode(maps, views))
    middle = torch.tensor([[26.5, 22.5]], dtype=torch.float64)
    for result, camera in ((first, near), (second, far)):
        centre = result.locations.double() - torch.tensor([0, 0.75, 0])
        torch.testing.assert_close(camera.project(centre), middle, rtol=0, atol=1e-4)
        yaw = alpha_to_yaw(camera, result.alphas, middle[:, 0])
        assert result.yaws.item() == pytest.approx(yaw.item(), abs=1e-6)
    assert first.locations[0, 2] == second.locations[0, 2]
    assert first.locations[0, 0] != second.locations[0, 0]


def shifted_camera(p23):
    projection = CAMERA.projection.clone()
    projection[2, 3] = p23
    return CameraIntrinsics(projection, (64, 96))


def test_compat_shifts_box_heights_and_depths_and_keeps_long_angles(ideal_maps):
    """What the options change, one by one."""
    affine = torch.tensor([[1.0, 0, 0], [0, 1, 6]], dtype=torch.float64)
    view = View((64, 96), (64, 96), affine, shifted_camera(0.5))
    truth = car(alphas=torch.tensor([-3.0]))
    own, theirs = Detection3D(3, fit_centre=False), Detection3D(3, compat=True)
    maps = ideal_maps(own, own.encode(truth, view, GRID), GRID)
    mine, compat = (task.decode(maps, [view])[0][:1] for task in (own, theirs))
    assert mine.boxes[0].tolist() == pytest.approx([10, 12, 43, 33], abs=1e-3)
    # The shift of 6 pixels is taken off the height.
    assert compat.boxes[0].tolist() == pytest.approx([10, 15, 43, 30], abs=1e-3)
    assert mine.locations[0, 2].item() == pytest.approx(12, abs=1e-4)
    assert compat.locations[0, 2].item() == pytest.approx(11.5, abs=1e-4)
    assert mine.alphas.item() == pytest.approx(-3, abs=1e-5)
    assert compat.alphas.item() == pytest.approx(2 * math.pi - 3, abs=1e-5)
    assert mine.yaws.item() == pytest.approx(compat.yaws.item(), abs=1e-5)

    named = Detection3D(
        3, compat=True, translate_sizes=False, depth_is_homogeneous=False, wrap_alphas=True
    ).decode(maps, [view])[0][:1]
    for name in ("boxes", "locations", "alphas", "yaws"):
        assert torch.equal(getattr(named, name), getattr(mine, name)), name


def seen_by(camera, locations, yaws):
    """Cars of which the image shows what is inside of it, as boxes drawn around them would be."""
    cars = Detections3D.concatenate([car()] * len(yaws))
    changes = {"locations": torch.tensor(locations), "yaws": torch.tensor(yaws)}
    corners = dataclasses.replace(cars, **changes).corners()
    low, high = (f(camera.project(corners), dim=1) for f in (torch.amin, torch.amax))
    limit = torch.tensor([camera.image_size[1] - 1, camera.image_size[0] - 1])
    boxes = torch.cat([v.clamp(min=0).minimum(limit) for v in (low, high)], dim=1)
    middle = torch.tensor([0, 0.75, 0])
    columns = camera.project(changes["locations"] - middle)[:, 0]
    alphas = yaw_to_alpha(camera, changes["yaws"], columns)
    return dataclasses.replace(cars, boxes=boxes, alphas=alphas, **changes)


def misses_of(truth, view, ideal_maps, *, fit):
    """Metres between the labelled places and those read off ideal maps."""
    task = Detection3D(3, fit_centre=fit)
    maps = ideal_maps(task, task.encode(truth, view, view.grid_size), view.grid_size)
    found = task.decode(maps, [view])[0][: len(truth)]
    order = (found.boxes - truth.boxes.unsqueeze(1)).abs().amax(-1).argmin(1)
    if fit:
        assert wrap(found.yaws[order] - truth.yaws).abs().max() < 0.01
    return (found.locations[order] - truth.locations).norm(dim=1)


def test_fit_finds_the_centre_of_near_and_cut_off_cars(ideal_maps):
    camera = CameraIntrinsics.pinhole(300, (320, 190), (384, 640))
    view = View((384, 640), (384, 640), EYE, camera)
    # Near, far, cut off at the left, and cut off at the right and below.
    places = [[-1.0, 1.6, 7], [5, 1.4, 30], [-7.5, 1.6, 8], [4.5, 2.5, 5]]
    truth = seen_by(camera, places, [0.5, -2.0, 1.3, 1.5])
    assert truth.boxes[2, 0] == 0
    assert truth.boxes[3, 2] == 639
    misses = {fit: misses_of(truth, view, ideal_maps, fit=fit) for fit in (False, True)}
    assert (misses[False][[0, 2, 3]] > 0.1).all()
    assert (misses[True][:3] < 1e-3).all()
    # Where two sides that meet are cut off, the steps grow small before the end.
    assert misses[True][3] < 0.2 * misses[False][3]


@pytest.mark.parametrize("across", [2, -2])
def test_boxes_are_cut_off_where_the_network_sees_no_more(ideal_maps, across):
    """An input that is wider than the image shows a strip of it; also mirrored."""
    camera = CameraIntrinsics.pinhole(300, (320, 240), (480, 640))
    rows = [[across, 0, 0 if across > 0 else 1280], [0, 2, -288]]
    view = View((480, 640), (384, 1280), torch.tensor(rows).double(), camera)
    # Cut off below, at the left and below, and whole.
    truth = seen_by(camera, [[1.0, 1.6, 5], [-5, 1.6, 5], [5, 1.4, 30]], [0.5, 1.3, -2.0])
    assert view.to_grid(truth.boxes[:2, 2:])[:, 1].min() > 96
    misses = {fit: misses_of(truth, view, ideal_maps, fit=fit) for fit in (False, True)}
    assert (misses[False][:2] > 0.2).all()
    assert (misses[True] < 2e-3).all()


@pytest.mark.parametrize("ratio", [0.5, 2.0])
def test_depths_of_another_focal_length_place_boxes_where_they_are(ideal_maps, ratio):
    """Also cut off boxes, whose centre can be found with the right depth only."""
    camera = CameraIntrinsics.pinhole(300, (320, 190), (384, 640))
    view = View((384, 640), (384, 640), EYE, camera)
    truth = seen_by(camera, [[-1.0, 1.6, 7], [5, 1.4, 30], [-7.5, 1.6, 8]], [0.5, -2.0, 1.3])
    task = Detection3D(3)
    maps = ideal_maps(task, task.encode(truth, view, view.grid_size), view.grid_size)
    # A network sees sizes: what it learnt with another lens it takes for nearer or farther.
    maps["depth"] = -(metric_depth(maps["depth"]) / ratio).log()
    task.training_focal_length = 300 / ratio
    found = task.decode(maps, [view])[0][: len(truth)]
    order = (found.boxes - truth.boxes.unsqueeze(1)).abs().amax(-1).argmin(1)
    assert (found.locations[order] - truth.locations).norm(dim=1).max() < 2e-3
    assert wrap(found.yaws[order] - truth.yaws).abs().max() < 1e-3


def test_focal_ratio_counts_on_the_networks_input():
    camera = CameraIntrinsics.pinhole(720, (600, 180), (375, 1242))
    preset = ModelPreset("detection3d", "resnet18", ("car",), (192, 640), Fit.WIDTH)
    view = view_of((375, 1242), preset, camera)
    on_input = 720 * 640 / 1242
    assert focal_ratio(view, on_input) == pytest.approx(1)
    assert focal_ratio(view, on_input / 2) == pytest.approx(2)
    mirrored = dataclasses.replace(view, to_input=view.to_input * torch.tensor([[-1.0], [1]]))
    assert focal_ratio(mirrored, on_input) == pytest.approx(1)


def test_the_authors_form_does_not_look_for_the_centre():
    assert Detection3D(3).fit_centre
    assert not Detection3D(3, compat=True).fit_centre
    assert Detection3D(3, compat=True, fit_centre=True).fit_centre


def test_fit_keeps_the_middle_of_a_box_that_fills_the_image():
    camera = CameraIntrinsics.pinhole(300, (320, 190), (384, 640))
    middle = torch.tensor([[319.5, 191.5]], dtype=torch.float64)
    sizes, angles = torch.tensor([[8.0, 8, 8]]).double(), torch.zeros(1).double()
    visible = torch.tensor([0.0, 0, 639, 383]).double()
    found = fit_centres(
        camera, middle, torch.full((1,), 2.0).double(), sizes, angles, visible=visible
    )
    assert torch.equal(found, middle)
    nothing = fit_centres(camera, middle[:0], angles[:0], sizes[:0], angles[:0], visible=visible)
    assert nothing.shape == (0, 2)
