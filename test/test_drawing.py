"""Drawing: boxes where they are, the input untouched, and no crash at any size or place."""

import numpy as np
import pytest
import torch

from centernet_ros.drawing import CLASS_COLOURS, class_colour, draw_detections
from centernet_ros.structures import Detections2D

NAMES = ("pedestrian", "car", "cyclist", "tree")
INF, NAN = float("inf"), float("nan")


def boxes(*rows, labels=None):
    count = len(rows)
    labels = torch.tensor(labels or [1] * count, dtype=torch.int64)
    scores = torch.linspace(0.9, 0.5, count)
    return Detections2D(torch.tensor(rows, dtype=torch.float32).view(-1, 4), scores, labels)


def grey(height=120, width=160):
    return np.full((height, width, 3), 90, np.uint8)


def is_car(pixel):
    # Smoothed lines keep a little of what they cover.
    return pixel.tolist() == pytest.approx(CLASS_COLOURS["car"], abs=30)


def test_edges_get_the_colour_of_the_class():
    drawn = draw_detections(grey(), boxes([40, 50, 100, 90]), NAMES)
    for x, y in [(40, 70), (100, 70), (70, 90)]:
        assert is_car(drawn[y, x]), (x, y)
    # Inside and far outside nothing changes.
    assert (drawn[54:87, 44:97] == 90).all()
    assert (drawn[95:] == 90).all()
    assert (drawn[:, 120:] == 90).all()


def test_label_stands_above_the_box():
    drawn = draw_detections(grey(), boxes([40, 50, 100, 90]), NAMES)
    plate = (drawn[38:48, 42:60] == CLASS_COLOURS["car"]).all(axis=-1)
    assert plate.mean() > 0.3


def test_label_moves_inside_at_the_corner():
    drawn = draw_detections(grey(), boxes([130, -20, 190, 60]), NAMES)
    # The plate of a box that begins above the image lies on the first rows.
    assert (drawn[:10] == CLASS_COLOURS["car"]).all(axis=-1).any()
    assert (drawn[5:10, 90:120] != 90).any()


def test_input_stays_as_it_is():
    image = grey()
    image.flags.writeable = False
    before = image.copy()
    drawn = draw_detections(image, boxes([40, 50, 100, 90]), NAMES)
    assert np.array_equal(image, before)
    assert drawn is not image
    assert drawn.shape == image.shape
    assert drawn.dtype == np.uint8


def test_nothing_found_gives_a_copy():
    image = grey()
    drawn = draw_detections(image, Detections2D.empty(), NAMES)
    assert np.array_equal(drawn, image)
    assert not np.shares_memory(drawn, image)


def test_best_is_on_top():
    over = boxes([40, 50, 100, 90], [40, 50, 100, 90], labels=[1, 0])
    drawn = draw_detections(grey(), over, NAMES)
    assert is_car(drawn[90, 70])


@pytest.mark.parametrize("flipped", [False, True])
def test_unusual_memory_can_be_drawn_on(flipped):
    wide = np.full((120, 200, 3), 90, np.uint8)
    image = wide[:, ::-1, ::-1] if flipped else wide[:, 20:180]
    drawn = draw_detections(image, boxes([40, 50, 100, 90]), NAMES)
    assert (drawn != 90).any()
    assert (wide == 90).all()


@pytest.mark.parametrize(
    "box",
    [
        (-500, -500, -400, -400),
        (1000, 20, 1100, 60),
        (20, 1000, 60, 1100),
        (-50, -50, 5000, 5000),
        (100, 90, 40, 50),
        (50, 50, 50, 50),
        (-1e6, 10, 1e6, 20),
        (-1e12, -1e30, 1e12, 1e30),
        (-INF, 10, INF, 20),
        (NAN, 10, 30, 20),
    ],
)
@pytest.mark.parametrize("size", [(1, 1), (2, 300), (120, 160)])
def test_any_box_on_any_image(box, size):
    image = grey(*size)
    drawn = draw_detections(image, boxes(box, [-2, -2, 1, 1]), NAMES)
    assert drawn.shape == image.shape


def test_boxes_outside_do_not_paint_edges():
    drawn = draw_detections(grey(), boxes([-500, 300, -400, 400]), NAMES)
    assert (drawn[20:100] == 90).all()


def test_a_box_around_the_image_paints_no_edge():
    inside = draw_detections(grey(), boxes([-1e9, -1e9, 1e9, 1e9]), NAMES)
    assert (inside[40:] == 90).all()


def test_a_long_box_crosses_the_image():
    drawn = draw_detections(grey(), boxes([-1e12, 50, INF, 90]), NAMES)
    assert all(is_car(drawn[90, x]) for x in range(5, 155))


def test_lines_grow_with_the_image():
    def width_of_line(height, width):
        drawn = draw_detections(
            grey(height, width), boxes([width / 4, height / 4, width / 2, height / 2]), NAMES
        )
        row = drawn[int(height * 0.4), : width // 2 - 50]
        return int((row != 90).any(axis=-1).sum())

    assert width_of_line(300, 400) < width_of_line(3000, 4000)


def test_classes_keep_their_colours():
    assert class_colour("car", 0) == class_colour("car", 7) == CLASS_COLOURS["car"]
    colours = {class_colour("thing", label) for label in range(80)}
    assert len(colours) == 80
    assert all(0 <= value <= 255 for colour in colours for value in colour)
    assert class_colour("thing", 3) == class_colour("other", 3)
