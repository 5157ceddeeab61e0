"""The 2D task: truth -> targets -> ideal maps -> truth."""

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from centernet_ros.image import view_of
from centernet_ros.presets import Fit, ModelPreset
from centernet_ros.structures import Detections2D, View
from centernet_ros.tasks.detection2d import MAX_OBJECTS, Detection2D
from centernet_ros.tasks.focal import focal_loss

IDENTITY = View((64, 96), (64, 96), torch.eye(2, 3, dtype=torch.float64))
GRID = IDENTITY.grid_size  # 16 x 24 cells of 4 pixels


def scene(*objects):
    """Truth of (label, x1, y1, x2, y2) in pixels."""
    rows = torch.tensor(objects, dtype=torch.float32).reshape(-1, 5)
    return Detections2D(rows[:, 1:], torch.ones(len(rows)), rows[:, 0].long())


def found(detections):
    """Everything but the background, sorted by label and place."""
    detections = detections[detections.scores > 0.5]
    rows = torch.cat([detections.labels.unsqueeze(1).double(), detections.boxes.double()], 1)
    return torch.tensor(sorted(rows.tolist())).reshape(-1, 5)


def round_trip(truth, view, ideal_maps, classes=3):
    task = Detection2D(classes)
    maps = ideal_maps(task, task.encode(truth, view, view.grid_size), view.grid_size)
    return task.decode(maps, [view])[0]


# --- the round trip


@st.composite
def views(draw, lay):
    """Any image on any input: by a preset's fit, or as an augmentation lays it."""
    image_size = draw(st.tuples(st.integers(20, 1300), st.integers(20, 1300)))
    steps = draw(st.tuples(st.integers(1, 8), st.integers(1, 10)))
    input_size = (32 * steps[0], 32 * steps[1])
    if isinstance(lay, Fit):
        preset = ModelPreset("detection2d", "resnet18", ("thing",), input_size, lay)
        return view_of(image_size, preset)
    scale = draw(st.floats(0.15, 6))
    shift = draw(st.tuples(*[st.floats(-2000, 2000)] * 2))
    rows = [[-scale if lay == "mirror" else scale, 0, shift[0]], [0, scale, shift[1]]]
    return View(image_size, input_size, torch.tensor(rows, dtype=torch.float64))


@st.composite
def scenes(draw, lay):
    """A view and objects with centres in different cells, their boxes inside the grid."""
    view = draw(views(lay))
    height, width = view.grid_size
    scale_x, _, shift_x = view.to_input[0].tolist()
    _, scale_y, shift_y = view.to_input[1].tolist()
    cells = st.tuples(st.integers(0, height - 2), st.integers(0, width - 2))
    part = st.floats(0.02, 0.98)
    objects = []
    for row, column in draw(st.lists(cells, unique=True, min_size=1, max_size=12)):
        x, y = column + draw(part), row + draw(part)
        # Targets are clipped to the centres of the outermost cells.
        half_width = min(x, width - 1 - x) * draw(part)
        half_height = min(y, height - 1 - y) * draw(part)
        edges_x = sorted((4 * (x + s * half_width) - shift_x) / scale_x for s in (-1, 1))
        edges_y = sorted((4 * (y + s * half_height) - shift_y) / scale_y for s in (-1, 1))
        label = draw(st.integers(0, 2))
        objects.append((label, edges_x[0], edges_y[0], edges_x[1], edges_y[1]))
    return view, scene(*objects)


@pytest.mark.parametrize("lay", [*Fit, "crop", "mirror"])
@settings(
    deadline=None,
    max_examples=40,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],  # a busy machine is no fault of the scenes
)
@given(data=st.data())
def test_decode_reverses_encode(ideal_maps, lay, data):
    view, truth = data.draw(scenes(lay))
    expected, read = found(truth), found(round_trip(truth, view, ideal_maps))
    assert len(read) == len(expected)
    # Sorting may exchange boxes that begin within a rounding error of each other.
    for row in expected:
        same_label = read[read[:, 0] == row[0]]
        assert (same_label[:, 1:] - row[1:]).abs().amax(1).min() < 0.01


@pytest.mark.parametrize("scale", [4, -4])
def test_centres_on_the_borders_of_cells(ideal_maps, scale):
    """Exact integers, where rounding could go either way."""
    rows = [[scale, 0, 0 if scale > 0 else 96], [0, 4, 0]]
    view = View((16, 24), (64, 96), torch.tensor(rows, dtype=torch.float64))
    truth = scene((0, 2, 2, 4, 6), (0, 6, 0, 10, 2), (2, 11, 3, 12, 4), (1, 14, 9, 20, 15))
    assert torch.equal(found(round_trip(truth, view, ideal_maps)), found(truth))


# --- encode


def test_targets_of_one_box_by_hand():
    # Pixels (10, 12)-(43, 33): cells (2.5, 3)-(10.75, 8.25).
    targets = Detection2D(3).encode(scene((1, 10, 12, 43, 33)), IDENTITY, GRID)
    assert targets["mask"].tolist() == [True] + [False] * (MAX_OBJECTS - 1)
    assert targets["index"][0] == 5 * 24 + 6
    assert targets["size"][0].tolist() == [8.25, 5.25]
    assert targets["offset"][0].tolist() == [0.625, 0.625]
    assert targets["heatmap"].shape == (3, 16, 24)
    assert targets["heatmap"][1, 5, 6] == 1
    assert not targets["heatmap"][0].any()
    assert not targets["heatmap"][2].any()
    # ceil(8.25) x ceil(5.25) = 9 x 6 cells give a radius of 1, so sigma is 0.5.
    row = targets["heatmap"][1, 5, 4:9].tolist()
    assert row == pytest.approx([0, 0.1353353, 1, 0.1353353, 0], abs=1e-6)


def test_empty_truth_gives_empty_targets(ideal_maps):
    targets = Detection2D(3).encode(Detections2D.empty(), IDENTITY, GRID)
    assert not any(value.any() for value in targets.values())
    assert len(found(round_trip(Detections2D.empty(), IDENTITY, ideal_maps))) == 0


def test_box_across_the_border_is_clipped(ideal_maps):
    # The grid's last cell centres lie at 23 and 15 cells: pixels 92 and 60.
    result = found(
        round_trip(scene((0, -20, -8, 30, 20), (1, 60, 40, 500, 400)), IDENTITY, ideal_maps)
    )
    assert result.tolist() == [[0, 0, 0, 30, 20], [1, 60, 40, 92, 60]]


@pytest.mark.parametrize(
    "box",
    [
        (-50, 10, -5, 30),
        (97, 10, 140, 30),
        (10, -30, 20, -1),
        (10, 65, 20, 90),
        (30, 10, 30, 20),  # no width
        (30, 20, 60, 20),  # no height
        (float("nan"), 10, 30, 20),
    ],
)
def test_box_without_area_on_the_grid_is_dropped(box):
    task = Detection2D(3)
    targets = task.encode(scene((0, *box), (2, 10, 12, 43, 33)), IDENTITY, GRID)
    alone = task.encode(scene((2, 10, 12, 43, 33)), IDENTITY, GRID)
    assert all(torch.equal(targets[name], alone[name]) for name in alone)


@pytest.mark.parametrize(("compat", "drawn"), [(False, 200), (True, 128)])
def test_objects_beyond_the_slots_are_on_the_heat_map_alone_or_nowhere(compat, drawn):
    view = View((256, 512), (256, 512), torch.eye(2, 3, dtype=torch.float64))
    boxes = [(0, 8 * i + 1, 8 * j + 1, 8 * i + 6, 8 * j + 6) for j in range(10) for i in range(20)]
    # What is not on the grid takes no slot.
    truth = scene((1, -9, -9, -1, -1), *boxes)
    targets = Detection2D(2, compat=compat).encode(truth, view, view.grid_size)
    assert targets["mask"].all()
    assert targets["mask"].sum() == MAX_OBJECTS == 128
    assert (targets["heatmap"] == 1).sum() == drawn
    assert len(set(targets["index"].tolist())) == 128


# --- ignored regions


def test_ignored_region_is_neither_object_nor_background():
    task = Detection2D(3)
    targets = task.encode(Detections2D.empty(), IDENTITY, GRID, ignored=scene((1, 10, 12, 43, 33)))
    heatmap = targets["heatmap"]
    assert heatmap[1, 5, 6].item() == pytest.approx(0.9999)
    assert (heatmap == 1).sum() == 0
    assert not heatmap[0].any()
    assert not targets["mask"].any()
    shouting = torch.full((1, 3, *GRID), -20.0)
    shouting[0, 1, 5, 6] = 20
    for answer in (shouting, torch.full((1, 3, *GRID), -20.0)):
        assert focal_loss(answer, heatmap.unsqueeze(0)).item() < 1e-3
    assert focal_loss(shouting, torch.zeros(1, 3, *GRID)).item() > 5


def test_ignored_label_minus_one_means_every_class():
    targets = Detection2D(3).encode(
        Detections2D.empty(), IDENTITY, GRID, ignored=scene((-1, 10, 12, 43, 33))
    )
    assert targets["heatmap"][:, 5, 6].tolist() == pytest.approx([0.9999] * 3)


def test_ignored_region_never_hides_an_object():
    truth = scene((0, 10, 12, 43, 33), (1, 60, 20, 90, 50))
    ignored = scene((-1, 10, 12, 43, 33), (-1, 0, 0, 96, 64))
    task = Detection2D(2)
    targets = task.encode(truth, IDENTITY, GRID, ignored=ignored)
    plain = task.encode(truth, IDENTITY, GRID)
    assert torch.equal(targets["heatmap"] == 1, plain["heatmap"] == 1)
    assert (targets["heatmap"] >= plain["heatmap"]).all()
    for name in ("index", "mask", "size", "offset"):
        assert torch.equal(targets[name], plain[name])


# --- decode


def maps_with(*peaks, batch=1, classes=2):
    """Raw maps of quiet images; peaks are (image, label, row, column, logit)."""
    maps = {
        "heatmap": torch.full((batch, classes, *GRID), -12.0),
        "size": torch.full((batch, 2, *GRID), 2.0),
        "offset": torch.full((batch, 2, *GRID), 0.5),
    }
    for image, label, row, column, logit in peaks:
        maps["heatmap"][image, label, row, column] = logit
    return maps


def test_best_comes_first():
    maps = maps_with((0, 0, 2, 3, 0), (0, 1, 8, 9, 2), (0, 0, 12, 20, 1), (0, 1, 3, 3, -1))
    result = Detection2D(2).decode(maps, [IDENTITY], 4)[0]
    assert result.scores.tolist() == pytest.approx(torch.tensor([2.0, 1, 0, -1]).sigmoid().tolist())
    assert result.labels.tolist() == [1, 0, 0, 1]
    # Centre (9.5, 8.5), two cells wide.
    assert result.boxes[0].tolist() == [34, 30, 42, 38]
    assert (result.boxes.dtype, result.labels.dtype) == (torch.float32, torch.int64)


@pytest.mark.parametrize("count", [0, 1, 7, 100, 10_000])
def test_at_most_max_detections(count):
    result = Detection2D(2).decode(maps_with(), [IDENTITY], count)[0]
    assert len(result) == min(count, 2 * 16 * 24)


def test_a_hundred_detections_by_default():
    assert len(Detection2D(2).decode(maps_with(), [IDENTITY])[0]) == 100


def test_nothing_is_clipped():
    maps = maps_with((0, 0, 0, 0, 5))
    maps["size"][:] = 40
    maps["offset"][0, 0, 0, 0] = -3
    result = Detection2D(2).decode(maps, [IDENTITY], 1)[0]
    # Centre (-3, 0.5) cells, 40 wide.
    assert result.boxes[0].tolist() == [-92, -78, 68, 82]


def test_negative_sizes_stay_visible():
    maps = maps_with((0, 0, 5, 5, 5))
    maps["size"][:] = -2
    mirror = View((64, 96), (64, 96), torch.tensor([[-1, 0, 96], [0, 1, 0]], dtype=torch.float64))
    for view in (IDENTITY, mirror):
        x1, y1, x2, y2 = Detection2D(2).decode(maps, [view], 1)[0].boxes[0].tolist()
        assert (x2 - x1, y2 - y1) == (-8, -8)


def test_each_image_has_its_own_view():
    maps = maps_with((0, 0, 5, 6, 3), (1, 1, 5, 6, 2), (2, 0, 5, 6, 1), batch=3)
    half = View((32, 48), (64, 96), torch.tensor([[2, 0, 0], [0, 2, 0]], dtype=torch.float64))
    shifted = View((64, 96), (64, 96), torch.tensor([[1, 0, 8], [0, 1, 4]], dtype=torch.float64))
    results = Detection2D(2).decode(maps, [IDENTITY, half, shifted], 1)
    assert [r.boxes[0].tolist() for r in results] == [
        [22, 18, 30, 26],
        [11, 9, 15, 13],
        [14, 14, 22, 22],
    ]
    assert [r.labels.item() for r in results] == [0, 1, 0]


def test_decoding_leaves_the_maps_alone():
    maps = maps_with((0, 0, 5, 6, 3))
    before = {name: value.clone() for name, value in maps.items()}
    Detection2D(2).decode(maps, [IDENTITY])
    assert all(torch.equal(maps[name], before[name]) for name in maps)
