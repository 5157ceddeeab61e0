"""Another way of writing boxes than the form's is named, and one other box does not hide it."""

from pathlib import Path

import numpy as np
import pytest

from training.check.habits import habits
from training.check.records import RawImage, RawObject, Scan

SIDES = np.array([640.0, 400.0])
WHOLE = np.hstack([SIDES, SIDES])
ONE = np.array([1.0, 1.0, 0.0, 0.0])


def sound_boxes():
    """Boxes all over the image as x, y, width, height, (40, 4); some begin at 0."""
    random = np.random.default_rng(0)
    low = random.integers(0, SIDES - 20, (40, 2))
    low[:4, 0] = 0
    return np.hstack([low, random.integers(9, SIDES - low)]).astype(float)


def corners(boxes):
    return np.hstack([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]])


def centres(boxes):
    return np.hstack([boxes[:, :2] + boxes[:, 2:] / 2, boxes[:, 2:]])


def from_one(boxes):
    return boxes + ONE


def habits_of(form, written):
    """Findings of one image with boxes that are written like this, as kind and is_error."""
    boxes = corners(written) if form == "coco" else written - ONE * (form == "voc")
    objects = tuple(
        RawObject(f"box {i}", "cup", tuple(row), tuple(box))
        for i, (row, box) in enumerate(zip(written.tolist(), boxes.tolist(), strict=True))
    )
    size = (int(SIDES[1]), int(SIDES[0]))
    image = RawImage("image", Path("a.jpg"), size, objects)
    found = habits(Scan(form, ("cup",), (image,), ()), [size])
    return [(finding.kind, finding.is_error) for finding in found]


def test_sound_boxes_have_no_habit():
    assert habits_of("coco", sound_boxes()) == []
    assert habits_of("voc", corners(sound_boxes()) + ONE) == []
    assert habits_of("kitti", corners(sound_boxes())) == []


@pytest.mark.parametrize(
    ("form", "write", "kind"),
    [
        ("coco", lambda boxes: boxes / WHOLE, "normalised coordinates"),
        ("coco", lambda boxes: centres(boxes) / WHOLE, "normalised coordinates"),
        ("kitti", lambda boxes: corners(boxes) / WHOLE, "normalised coordinates"),
        ("coco", lambda boxes: 100 * boxes / WHOLE, "coordinates in percent"),
        ("coco", corners, "wrong box format"),
        ("voc", from_one, "wrong box format"),
        ("coco", centres, "boxes outside"),
    ],
)
def test_one_other_box_does_not_hide_a_habit(form, write, kind):
    written = write(sound_boxes())
    found = [habits_of(form, written)]
    for other in ([9, 9, 0, 0], [5, 5, SIDES[0] + 30, 9]):
        written[7] = other
        found.append(habits_of(form, written))

    # Boxes that stand out may be meant.
    assert found == [[(kind, kind != "boxes outside")]] * 3


def test_boxes_at_one_are_counted_from_one_and_an_error_where_others_end_behind_the_image():
    written = from_one(sound_boxes())
    inside = np.minimum(written, np.hstack([written[:, :2], SIDES - written[:, :2]]))
    written[9, 2] = SIDES[0] + 1 - written[9, 0]
    with_zero = written.copy()
    with_zero[:2, 0] = 0

    assert habits_of("coco", inside) == [("1-based coordinates", False)]
    assert habits_of("coco", written) == [("1-based coordinates", True)]
    assert habits_of("coco", with_zero) == []


def test_a_few_boxes_in_a_corner_are_no_percent():
    assert habits_of("coco", np.minimum(sound_boxes(), [40, 30, 30, 30])) == []
