"""Gaussians, peaks, reading at points and losses, against plain loops and the authors' numbers."""

import itertools
import math
import time

import pytest
import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from centernet_ros.benchmark.timing import measure, speed_up
from centernet_ros.tasks.heatmap import (
    channel_peaks,
    draw_gaussian,
    find_peaks,
    gather,
    gaussian_radius,
    masked_l1,
    neighbourhood_maximum,
)


def random_map(*shape, seed=0, levels=None):
    """Probabilities; few levels make plateaus and ties."""
    values = torch.rand(*shape, generator=torch.Generator().manual_seed(seed))
    return values if levels is None else (values * levels).floor() / levels


# --- gaussian_radius


def cornernet_radius(height, width, overlap=0.7):
    """The three cases of CornerNet, each with the root that the authors' code takes."""
    total, area = height + width, height * width
    cases = [
        (1, total, area * (1 - overlap) / (1 + overlap)),
        (4, 2 * total, (1 - overlap) * area),
        (4 * overlap, -2 * overlap * total, (overlap - 1) * area),
    ]
    return min((b + math.sqrt(b * b - 4 * a * c)) / 2 for a, b, c in cases)


def test_radius_is_the_least_of_three_cases():
    sizes = [0.3, 0.9, *range(1, 40), 57, 80.5, 111, 128, 320, 1000]
    for height, width in itertools.product(sizes, sizes):
        exact = cornernet_radius(height, width)
        if abs(exact - round(exact)) > 1e-9:
            assert gaussian_radius(height, width) == max(0, int(exact)), (height, width)


def test_radius_of_known_boxes():
    # By hand with b = -1.4 (h + w), c = -0.3 h w: (b + sqrt(b^2 - 11.2 c)) / 2.
    assert gaussian_radius(1, 1) == 0
    assert gaussian_radius(10, 10) == 2
    assert gaussian_radius(64, 64) == 17
    assert gaussian_radius(3, 128) == gaussian_radius(128, 3) == 1
    assert isinstance(gaussian_radius(10.5, 20.5), int)


# --- draw_gaussian


def gaussian_by_loop(heatmap, column, row, radius):
    sigma = (2 * radius + 1) / 6
    for y, x in itertools.product(range(heatmap.shape[0]), range(heatmap.shape[1])):
        if abs(x - column) <= radius and abs(y - row) <= radius:
            value = math.exp(-((x - column) ** 2 + (y - row) ** 2) / (2 * sigma**2))
            heatmap[y, x] = max(heatmap[y, x].item(), value)


@pytest.mark.parametrize("radius", [0, 1, 3, 20])
@pytest.mark.parametrize(
    ("column", "row"), [(6, 4), (0, 0), (12, 8), (0, 8), (12, 0), (1, 4), (11, 7)]
)
def test_gaussian_is_cut_at_borders(column, row, radius):
    drawn, expected = torch.zeros(9, 13), torch.zeros(9, 13)
    draw_gaussian(drawn, column, row, radius)
    gaussian_by_loop(expected, column, row, radius)
    torch.testing.assert_close(drawn, expected, rtol=0, atol=1e-7)
    assert drawn[row, column] == 1
    assert drawn.count_nonzero() == expected.count_nonzero()


def test_overlapping_gaussians_keep_the_larger():
    one, other, both = torch.zeros(3, 20, 20).unbind()
    draw_gaussian(one, 8, 8, 6)
    draw_gaussian(other, 12, 10, 3)
    draw_gaussian(both, 8, 8, 6)
    draw_gaussian(both, 12, 10, 3)
    assert torch.equal(both, torch.maximum(one, other))


# --- find_peaks


def peaks_by_loop(heatmap):
    """{(label, index): score} of one (C, H, W) map."""
    channels, height, width = heatmap.shape
    found = {}
    for label, y, x in itertools.product(range(channels), range(height), range(width)):
        around = heatmap[label, max(0, y - 1) : y + 2, max(0, x - 1) : x + 2]
        if heatmap[label, y, x] == around.max():
            found[label, y * width + x] = heatmap[label, y, x].item()
    return found


@settings(
    deadline=None,
    max_examples=60,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],  # a busy machine is no fault of the maps
)
@given(
    shape=st.tuples(*(st.integers(1, n) for n in (2, 3, 6, 7))),
    levels=st.sampled_from([None, 3, 8]),
    count=st.integers(1, 140),
    seed=st.integers(0, 1000),
)
def test_peaks_equal_a_loop(shape, levels, count, seed):
    heatmap = random_map(*shape, seed=seed, levels=levels)
    peaks = find_peaks(heatmap, count)
    expected_count = min(count, heatmap[0].numel())
    assert peaks.scores.shape == peaks.labels.shape == peaks.indices.shape
    assert peaks.scores.shape == (shape[0], expected_count)
    assert peaks.points.shape == (shape[0], expected_count, 2)
    for i, image in enumerate(heatmap):
        expected = peaks_by_loop(image)
        best = sorted(expected.values(), reverse=True)[:expected_count]
        best += [0.0] * (expected_count - len(best))
        assert peaks.scores[i].tolist() == best
        cells = list(zip(peaks.labels[i].tolist(), peaks.indices[i].tolist(), strict=True))
        assert len(set(cells)) == expected_count
        for cell, score in zip(cells, best, strict=True):
            # Where peaks run out, other cells follow with score 0.
            assert score == 0 or expected[cell] == score
        width = shape[3]
        points = [[index % width, index // width] for _, index in cells]
        assert peaks.points[i].tolist() == points


def test_every_cell_of_a_plateau_is_a_peak():
    heatmap = torch.zeros(1, 1, 5, 6)
    heatmap[0, 0, 2, 2:4] = 0.5
    heatmap[0, 0, 4, 5] = 0.4
    peaks = find_peaks(heatmap, 3)
    assert torch.equal(peaks.scores, torch.tensor([[0.5, 0.5, 0.4]]))
    assert sorted(peaks.indices[0, :2].tolist()) == [2 * 6 + 2, 2 * 6 + 3]
    assert peaks.points[0, 2].tolist() == [5, 4]


def test_neighbourhood_maximum_is_pytorchs_but_faster():
    """15 times with COCO's classes when it was made."""
    heatmap = torch.rand(1, 80, 64, 64, generator=torch.Generator().manual_seed(0))

    def pooled():
        return F.max_pool2d(heatmap, 3, stride=1, padding=1)

    assert neighbourhood_maximum(heatmap).equal(pooled())
    runs = {"pooled": pooled, "ours": lambda: neighbourhood_maximum(heatmap)}
    times = measure(runs, 10, clock=time.process_time)
    assert speed_up(times["pooled"], times["ours"]).value > 2


def many_classes(objects, radius, side, seed=0):
    """A (1, 80, side, side) map of background with Gaussians of this radius."""
    generator = torch.Generator().manual_seed(seed)
    heatmap = 0.01 * torch.rand(1, 80, side, side, generator=generator)
    for _ in range(objects):
        label, x, y = (int(torch.randint(n, (), generator=generator)) for n in (80, side, side))
        draw_gaussian(heatmap[0, label], x, y, radius)
    return heatmap


def towers():
    """Five columns, rising from class to class downwards or upwards, before a background."""
    heatmap = many_classes(0, 1, 12)
    for label, top in zip(range(30, 35), (0.6, 0.8, 0.7, 0.65, 0.9), strict=True):
        slope = torch.linspace(0.5, top, 12)
        heatmap[0, label, :, 4] = slope if label % 2 else slope.flip(0)
    return heatmap


@pytest.mark.parametrize(
    "heatmap",
    [
        *(many_classes(objects, 1, 12) for objects in (0, 5, 120)),
        *(many_classes(objects, 30, 12) for objects in (8, 70)),
        towers(),
        many_classes(0, 1, 12).flip(1, 2) + torch.arange(80).view(1, 80, 1, 1) / 100,
    ],
    ids=["background", "some", "crowd", "large", "many large", "towers", "last class"],
)
def test_peaks_of_many_classes_equal_a_loop(heatmap):
    """Also where objects cover so many rows that those looked at first hold too few peaks."""
    heatmap = torch.cat([heatmap, many_classes(3, 2, 12, seed=1)])
    peaks = find_peaks(heatmap, 10)
    for i, image in enumerate(heatmap):
        expected = peaks_by_loop(image)
        assert peaks.scores[i].tolist() == sorted(expected.values(), reverse=True)[:10]
        cells = list(zip(peaks.labels[i].tolist(), peaks.indices[i].tolist(), strict=True))
        assert [expected[cell] for cell in cells] == peaks.scores[i].tolist()
        assert len(set(cells)) == 10


def test_a_plateau_over_many_classes():
    """No row stands out: as many peaks as cells, all equal."""
    peaks = find_peaks(torch.full((1, 80, 32, 32), 0.5), 20)
    assert peaks.scores.eq(0.5).all()
    assert len(set(zip(peaks.labels[0].tolist(), peaks.indices[0].tolist(), strict=True))) == 20


def test_background_costs_little():
    """With COCO's 80 classes at 128x128 eight times less when it was made."""
    heatmap = many_classes(20, 5, 128)

    def everywhere():
        return channel_peaks(heatmap, 100)[0].flatten(1).topk(100)

    times = measure(
        {"everywhere": everywhere, "best rows": lambda: find_peaks(heatmap, 100)},
        10,
        clock=time.process_time,
    )
    assert speed_up(times["everywhere"], times["best rows"]).value > 2


def test_classes_do_not_suppress_each_other():
    heatmap = torch.zeros(1, 2, 4, 4)
    heatmap[0, 0, 1, 1], heatmap[0, 1, 1, 2] = 0.9, 0.8
    peaks = find_peaks(heatmap, 2)
    assert peaks.labels.tolist() == [[0, 1]]
    assert peaks.indices.tolist() == [[5, 6]]


def test_more_peaks_wanted_than_cells():
    assert find_peaks(random_map(1, 2, 2, 3), 100).scores.shape == (1, 12)


# --- gather


def test_gather_reads_each_image_at_its_cells():
    values = torch.arange(2 * 3 * 4 * 5.0).view(2, 3, 4, 5)
    read = gather(values, torch.tensor([[0, 7], [19, 7]]))
    assert read.shape == (2, 2, 3)
    assert read[0].tolist() == [[0, 20, 40], [7, 27, 47]]
    assert read[1].tolist() == [[79, 99, 119], [67, 87, 107]]


# --- masked_l1


def test_l1_is_the_mean_over_objects_and_coordinates():
    values = torch.zeros(1, 2, 2, 2)
    values[0, :, 1, 0] = torch.tensor([3.0, 5.0])
    target = torch.tensor([[[1.0, 1.0], [0.0, 2.0], [99.0, 99.0]]])
    indices, mask = torch.tensor([[2, 3, 0]]), torch.tensor([[True, True, False]])
    # |3-1|, |5-1|, |0-0|, |0-2| over four coordinates.
    assert masked_l1(values, target, indices, mask).item() == pytest.approx(2, rel=1e-4)


def test_l1_weighs_objects_and_not_images():
    values = torch.ones(2, 1, 1, 4)
    target = torch.tensor([[[1.0], [1.0], [1.0]], [[3.0], [0.0], [0.0]]])
    indices = torch.tensor([[0, 1, 2], [3, 0, 0]])
    mask = torch.tensor([[True, True, True], [True, False, False]])
    assert masked_l1(values, target, indices, mask).item() == pytest.approx(2 / 4, rel=1e-4)


def test_l1_without_objects_is_zero():
    values = torch.ones(1, 2, 3, 3, requires_grad=True)
    loss = masked_l1(
        values, torch.ones(1, 4, 2) * 7, torch.zeros(1, 4).long(), torch.zeros(1, 4).bool()
    )
    loss.backward()
    assert loss.item() == 0
    assert not values.grad.any()


def test_l1_reaches_only_the_objects_cells():
    values = torch.zeros(1, 1, 2, 3, requires_grad=True)
    mask = torch.tensor([[True, False]])
    masked_l1(values, torch.tensor([[[-4.0], [9.0]]]), torch.tensor([[4, 5]]), mask).backward()
    assert values.grad[0, 0].tolist() == [[0, 0, 0], [0, pytest.approx(1, rel=1e-3), 0]]
