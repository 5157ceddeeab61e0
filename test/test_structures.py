"""Values that cross borders: their shapes, and the geometry of cameras and views."""

import re

import pytest
import torch

from centernet_ros.structures import CameraIntrinsics, Detections2D, Detections3D, Poses, View

# P2 of a KITTI recording: the left colour camera sits 6 cm beside the rig's origin.
KITTI_P2 = torch.tensor(
    [
        [721.5377, 0.0, 609.5593, 44.85728],
        [0.0, 721.5377, 172.854, 0.2163791],
        [0.0, 0.0, 1.0, 0.002745884],
    ],
    dtype=torch.float64,
)
SHAPES = {
    Detections2D: {"boxes": (4,), "scores": (), "labels": ()},
    Detections3D: {
        "boxes": (4,),
        "scores": (),
        "labels": (),
        "dimensions": (3,),
        "locations": (3,),
        "yaws": (),
        "alphas": (),
    },
    Poses: {
        "boxes": (4,),
        "scores": (),
        "labels": (),
        "keypoints": (17, 2),
        "keypoint_scores": (17,),
    },
}


def values(kind, count):
    """Fields of `count` objects that all differ, so that a mix-up shows."""
    generator = torch.Generator().manual_seed(0)
    fields = {n: torch.rand(count, *s, generator=generator) for n, s in SHAPES[kind].items()}
    fields["labels"] = torch.arange(count)
    return fields


def assert_same(result, expected):
    for name, value in expected.items():
        assert torch.equal(getattr(result, name), value), name


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind, fields in SHAPES.items() for name in fields]
)
def test_wrong_shape_is_named(kind, name):
    fields = values(kind, 3)
    fields[name] = fields[name].unsqueeze(-1)
    if name == "scores":  # The number of scores is the number of objects, not their shape.
        message = r"\.scores is \(3, 1\), expected \(3,\)"
    else:
        message = re.escape(f"{kind.__name__}.{name} is {tuple(fields[name].shape)}, expected")
    with pytest.raises(ValueError, match=message):
        kind(**fields)


@pytest.mark.parametrize("kind", SHAPES)
def test_wrong_count_is_refused(kind):
    fields = values(kind, 3)
    fields["boxes"] = fields["boxes"][:2]
    with pytest.raises(ValueError, match=r"boxes is \(2, 4\), expected \(3, 4\)"):
        kind(**fields)


@pytest.mark.parametrize("kind", SHAPES)
@pytest.mark.parametrize(
    "rows",
    [torch.tensor([True, False, True, False]), torch.tensor([3, 0, 0]), [2, 1], slice(1, 3)],
    ids=["mask", "tensor", "list", "slice"],
)
def test_rows_are_selected_in_every_field(kind, rows):
    fields = values(kind, 4)
    selected = kind(**fields)[rows]
    assert type(selected) is kind
    assert_same(selected, {name: value[rows] for name, value in fields.items()})


@pytest.mark.parametrize("kind", SHAPES)
def test_empty_has_shapes_and_types(kind):
    empty = kind.empty()
    assert len(empty) == 0
    for name, shape in SHAPES[kind].items():
        assert getattr(empty, name).shape == (0, *shape)
        assert getattr(empty, name).dtype == (torch.int64 if name == "labels" else torch.float32)


@pytest.mark.parametrize("kind", SHAPES)
def test_concatenate_keeps_order_and_type(kind):
    whole = kind(**values(kind, 5))
    joined = kind.concatenate([whole[:2], kind.empty(), whole[2:]])
    assert type(joined) is kind
    assert_same(joined, values(kind, 5))
    assert joined.labels.dtype == torch.int64
    assert type(kind.concatenate([])) is kind
    assert len(kind.concatenate([])) == 0


def test_to_moves_every_field():
    moved = Poses(**values(Poses, 2)).to("meta")
    assert type(moved) is Poses
    assert {getattr(moved, name).device.type for name in SHAPES[Poses]} == {"meta"}


# --- CameraIntrinsics


def camera(**changes):
    """KITTI's camera with some entries of its matrix changed, e.g. `P00=0`."""
    projection = KITTI_P2.clone()
    for place, value in changes.items():
        projection[int(place[1]), int(place[2])] = value
    return CameraIntrinsics(projection, (375, 1242))


def test_projection_of_a_kitti_point():
    u, v = camera().project(torch.tensor([2.0, 1.0, 10.0])).tolist()
    depth = 10 + 0.002745884
    assert u == pytest.approx((721.5377 * 2 + 609.5593 * 10 + 44.85728) / depth)
    assert v == pytest.approx((721.5377 * 1 + 172.854 * 10 + 0.2163791) / depth)


def test_pinhole_projects_its_axis_to_its_centre():
    pinhole = CameraIntrinsics.pinhole(500, (320, 240), (480, 640))
    points = torch.tensor([[0.0, 0, 7], [1, 0, 5], [0, -1, 5]])
    assert pinhole.project(points).tolist() == [[320, 240], [420, 240], [320, 140]]


def test_unproject_reverses_project():
    points = torch.rand(4, 25, 3, generator=torch.Generator().manual_seed(0)).double()
    points = points * torch.tensor([40, 4, 60]) + torch.tensor([-20, -1, 2])
    kitti = camera()
    # KITTI's depth is the homogeneous coordinate, z + P[2, 3].
    depths = points[..., 2] + KITTI_P2[2, 3]
    back = kitti.unproject(kitti.project(points), depths)
    assert back.shape == (4, 25, 3)
    torch.testing.assert_close(back, points, rtol=0, atol=1e-9)


def test_depth_includes_the_baseline():
    far = camera(P23=0.5).unproject(torch.tensor([[609.5593, 172.854]]), torch.tensor([10.0]))
    assert far[0, 2].item() == pytest.approx(9.5)


@pytest.mark.parametrize("broken", [{"P00": 0}, {"P11": 0}, {"P00": -700}, {"P00": float("nan")}])
def test_uncalibrated_camera_is_refused(broken):
    with pytest.raises(ValueError, match="uncalibrated"):
        camera(**broken)


@pytest.mark.parametrize("broken", [{"P02": float("nan")}, {"P00": float("inf")}])
def test_a_camera_without_finite_numbers_is_refused(broken):
    with pytest.raises(ValueError, match="a number that is not finite"):
        camera(**broken)


def test_projection_of_wrong_shape_is_refused():
    with pytest.raises(ValueError, match=r"projection is \(3, 3\), expected \(3, 4\)"):
        CameraIntrinsics(torch.eye(3, dtype=torch.float64), (10, 10))


# --- View


def view(scale_x=1.5, scale_y=1.5, shift=(-30.25, 17.5)):
    rows = [[scale_x, 0, shift[0]], [0, scale_y, shift[1]]]
    return View((375, 1242), (384, 1280), torch.tensor(rows, dtype=torch.float64))


def test_grid_is_a_quarter_of_the_input():
    assert view().grid_size == (96, 320)


def test_to_grid_by_hand():
    cells = view().to_grid(torch.tensor([100.0, 200.0])).tolist()
    assert cells == [(1.5 * 100 - 30.25) / 4, (1.5 * 200 + 17.5) / 4]


@pytest.mark.parametrize("scale_x", [0.31, 1.5, -1.5])
def test_to_image_reverses_to_grid(scale_x):
    points = torch.rand(3, 20, 2, generator=torch.Generator().manual_seed(0)) * 1000
    there = view(scale_x).to_grid(points)
    assert there.dtype == torch.float64
    torch.testing.assert_close(view(scale_x).to_image(there), points.double(), rtol=0, atol=1e-9)


def test_mirrored_knows_the_sign():
    assert not view(1.5).mirrored
    assert view(-1.5).mirrored


@pytest.mark.parametrize("scale_x", [1.5, -1.5])
def test_boxes_stay_sorted_there_and_back(scale_x):
    boxes = torch.tensor([[10.0, 20, 110, 220], [300, 5, 301, 6]])
    there = view(scale_x, shift=(700, 3)).boxes_to_grid(boxes)
    assert (there[:, 2:] > there[:, :2]).all()
    # A width of 100 pixels, 1.5 input pixels each, 4 of which make a cell.
    assert (there[0, 2:] - there[0, :2]).tolist() == [37.5, 75]
    back = view(scale_x, shift=(700, 3)).boxes_to_image(there)
    torch.testing.assert_close(back, boxes.double(), rtol=0, atol=1e-9)


def test_mirroring_exchanges_left_and_right():
    mirror = view(-4, 4, shift=(400, 0))
    assert mirror.boxes_to_grid(torch.tensor([[10.0, 1, 30, 2]])).tolist() == [[70, 1, 90, 2]]


@pytest.mark.parametrize("scale_x", [1.5, -1.5])
def test_no_box_is_no_box(scale_x):
    assert view(scale_x).boxes_to_grid(torch.zeros(0, 4)).shape == (0, 4)
    assert view(scale_x).boxes_to_image(torch.zeros(0, 4)).shape == (0, 4)
