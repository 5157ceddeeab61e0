"""Drawing: results where they are, the input untouched, and no crash at any size or place."""

import math

import numpy as np
import pytest
import torch

from centernet_ros import drawing
from centernet_ros.drawing import (
    CLASS_COLOURS,
    SIDE_COLOURS,
    class_colour,
    draw_detections,
    draw_results,
    unscored,
)
from centernet_ros.lettering import place_labels
from centernet_ros.structures import CameraIntrinsics, Detections2D, Detections3D, Poses
from centernet_ros.tasks.pose.joints import JOINT_NAMES, Side

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


def plates(*rows, size=(120, 160)):
    """Plates of labels at these boxes, the best first: x1, y1, x2, y2 of each."""
    labels = place_labels(grey(*size), ["car 0.90"] * len(rows), rows, [(0, 158, 255)] * len(rows))
    return [label.plate for label in labels]


def test_labels_give_way_to_better_ones():
    """Above, else inside the top edge, else below, else a plate higher; all of the same size."""
    box = (40, 60, 100, 90)
    above, inside, below, higher, hidden = plates(*[box] * 5)
    height = above[3] - above[1]
    assert above == hidden == (40, 60 - height, above[2], 60)
    assert inside[1] == 60
    assert below[1] == 90
    assert higher[3] == above[1]
    assert {(right - left, bottom - top) for left, top, right, bottom in (inside, below)} == {
        (above[2] - above[0], height)
    }


def test_labels_of_neighbours_do_not_overlap():
    rows = [(x, 50, x + 20, 100) for x in (10, 30, 50)]
    first, second, third = plates(*rows)
    for one, other in ((first, second), (second, third), (first, third)):
        assert one[2] <= other[0] or one[3] <= other[1] or other[3] <= one[1]


def test_labels_stay_inside_the_image():
    for left, top, right, bottom in plates(*[(120, 5, 158, 118)] * 4):
        assert left >= 0
        assert top >= 0
        assert right <= 160
        assert bottom <= 120


def test_the_best_label_is_on_top_where_all_places_are_taken():
    drawn = draw_detections(grey(), boxes(*[[40, 60, 100, 90]] * 5, labels=[1, 0, 0, 0, 0]), NAMES)
    left, top, right, bottom = plates((40, 60, 100, 90))[0]
    plate = drawn[top + 1 : bottom, left + 1 : right]
    assert (plate == CLASS_COLOURS["car"]).all(axis=-1).mean() > 0.3
    assert not (plate == CLASS_COLOURS["pedestrian"]).all(axis=-1).any()


def test_no_line_strikes_a_text_out():
    """The top edge of a worse box passes through the better one's label."""
    best = [40, 60, 100, 90]
    alone = draw_detections(grey(), boxes(best), NAMES)
    letters = alone.sum(axis=-1) < 200
    assert letters[53].any()
    both = draw_detections(grey(), boxes(best, [20, 53, 150, 110], labels=[1, 0]), NAMES)
    assert (both[letters].sum(axis=-1) < 230).all()
    assert (both[53, 120] != 90).any()


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


FOCAL = 400.0


def camera(height=240, width=320):
    return CameraIntrinsics.pinhole(FOCAL, (width / 2, height / 2), (height, width))


def car(x, z, yaw=0.0, size=(1.5, 1.6, 4.0), below=1.0):
    """A car whose bottom lies so far below the camera; its 2D box is of no matter here."""
    return Detections3D(
        boxes=torch.tensor([[100.0, 150.0, 160.0, 190.0]]),
        scores=torch.tensor([0.875]),
        labels=torch.tensor([1]),
        dimensions=torch.tensor([size]),
        locations=torch.tensor([[x, below, z]]),
        yaws=torch.tensor([yaw]),
        alphas=torch.zeros(1),
    )


def tinted(drawn):
    """Pixels with more of the class's red than the grey background."""
    return drawn[..., 2].astype(int) > 95


def test_a_3d_box_is_drawn_where_its_corners_are_seen():
    box = car(1.0, 12.0, yaw=0.6)
    drawn = draw_results(grey(240, 320), box, NAMES, camera())
    for x, y in camera().project(box.corners())[0].round().int().tolist():
        assert tinted(drawn)[y - 1 : y + 2, x - 1 : x + 2].any(), (x, y)
    left, top = camera().project(box.corners())[0].amin(0).int().tolist()
    right, bottom = camera().project(box.corners())[0].amax(0).int().tolist()
    rows, columns = np.nonzero(tinted(drawn)[top:])
    assert (columns.min(), columns.max()) == pytest.approx((left, right), abs=2)
    assert top + rows.max() == pytest.approx(bottom, abs=2)


@pytest.mark.parametrize(("yaw", "front"), [(0.0, 1), (math.pi, -1)])
def test_the_front_face_is_filled(yaw, front):
    """A car across the road on the other side of its front: its front face is seen aslant."""
    x = -3.2 * front
    drawn = draw_results(grey(240, 320), car(x, 14.0, yaw), NAMES, camera())
    face = car(x, 14.0, yaw).corners()[:, [0, 1, 5, 4]].mean(1)
    column, row = camera().project(face)[0].round().int().tolist()
    assert is_tinted(drawn[row, column])
    rear = car(x, 14.0, yaw).corners()[:, [2, 3, 7, 6]].mean(1)
    column, row = camera().project(rear)[0].round().int().tolist()
    assert not is_tinted(drawn[row, column])


def is_tinted(pixel):
    return 100 < pixel[2] < 200


def test_label_tells_the_distance_of_the_middle():
    assert draw_text(car(0.0, 24.0, below=0.75)) == "car 0.88 24 m"
    # 3, 4 and 12 metres aside, below and ahead are 13 metres.
    assert draw_text(car(3.0, 12.0, below=4.75)) == "car 0.88 13 m"


def test_truth_has_no_score():
    assert draw_text(unscored(boxes((40, 60, 120, 140), labels=[2]))) == "cyclist"
    assert draw_text(unscored(car(0.0, 24.0, below=0.75))) == "car 24 m"


def draw_text(box):
    """The text of the only label that drawing a box writes."""
    texts = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            drawing, "draw_texts", lambda canvas, labels: texts.extend(x.text for x in labels)
        )
        draw_results(grey(240, 320), box, NAMES, camera())
    (text,) = texts
    return text


def test_a_box_that_reaches_behind_the_camera_is_not_smeared_over_the_picture():
    """A parked car on the right, level with the camera: nothing of it is in the left half."""
    beside = car(2.2, 1.0, yaw=-math.pi / 2, below=1.2)
    drawn = draw_results(grey(240, 320), beside, NAMES, camera())
    changed = (drawn != 90).any(axis=-1)
    assert changed[:, 240:].any()
    assert not changed[20:, :200].any()


def test_boxes_that_are_not_seen_leave_no_trace():
    for box in (car(0.0, -10.0), car(200.0, 10.0), car(0.0, 0.0, size=(0.0, 0.0, 0.0))):
        assert (draw_results(grey(240, 320), box, NAMES, camera()) == 90).all()


def test_the_nearest_box_is_on_top():
    far, near = car(0.0, 12.0), car(0.0, 8.0)
    both = Detections3D.concatenate([near, far])
    both.labels[1] = 2
    drawn = draw_results(grey(240, 320), both, NAMES, camera())
    x, y = camera().project(near.corners())[0, 4].round().int().tolist()
    assert is_car(drawn[y, x])


def test_no_front_tints_a_label():
    """A far car's label stands before the front of a near one, whose own label is elsewhere."""
    far, near = car(0.0, 20.0, yaw=math.pi / 2), car(0.0, 6.0, yaw=math.pi / 2)
    far.scores[:], near.scores[:], near.labels[:] = 0.9, 0.5, 2
    drawn = draw_results(
        grey(240, 320), Detections3D.concatenate([far, near]), NAMES, camera(240, 320)
    )
    (label,) = plates(outline(far), size=(240, 320))
    left, top, right, bottom = label
    plate = drawn[top + 1 : bottom, left + 1 : right].reshape(-1, 3)
    assert (plate == CLASS_COLOURS["car"]).all(axis=-1).mean() > 0.4
    assert not (plate == 90).all(axis=-1).any()


def outline(box):
    """x1, y1, x2, y2 in pixels around a 3D box."""
    corners = camera(240, 320).project(box.corners())[0].round().int()
    return (*corners.amin(0).tolist(), *corners.amax(0).tolist())


def test_without_a_camera_a_3d_box_is_drawn_as_its_2d_box():
    drawn = draw_results(grey(240, 320), car(0.0, 12.0), NAMES)
    assert is_car(drawn[170, 100])
    assert is_car(drawn[190, 130])


def person(**places):
    """A person with the named joints at these pixels, all others far below the threshold."""
    keypoints = torch.full((1, 17, 2), 5.0)
    scores = torch.full((1, 17), 0.05)
    for name, place in places.items():
        joint = JOINT_NAMES.index(name)
        keypoints[0, joint] = torch.tensor(place, dtype=torch.float32)
        scores[0, joint] = 0.9
    box = torch.tensor([[30.0, 30.0, 130.0, 230.0]])
    return Poses(box, torch.tensor([0.9]), torch.tensor([0]), keypoints, scores)


def has_colour(drawn, x, y, side):
    near = drawn[y - 1 : y + 2, x - 1 : x + 2].reshape(-1, 3)
    return any(pixel.tolist() == list(SIDE_COLOURS[side]) for pixel in near)


def test_limbs_are_coloured_by_side():
    pose = person(
        left_shoulder=(120, 60), left_elbow=(120, 100), right_shoulder=(60, 60), right_hip=(60, 140)
    )
    drawn = draw_results(grey(240, 320), pose, NAMES)
    assert has_colour(drawn, 120, 80, Side.LEFT)
    assert has_colour(drawn, 60, 100, Side.RIGHT)
    assert has_colour(drawn, 90, 60, Side.MIDDLE)


def test_joints_below_the_threshold_are_left_out():
    sure = person(left_shoulder=(120, 60), left_elbow=(120, 100))
    sure.keypoint_scores[0, JOINT_NAMES.index("left_elbow")] = 0.29
    drawn = draw_results(grey(240, 320), sure, NAMES)
    assert has_colour(drawn, 120, 60, Side.LEFT)
    assert (drawn[70:120, 110:125] == 90).all()


def test_a_limb_is_seen_up_to_the_border_of_the_image():
    pose = person(left_hip=(120, 200), left_knee=(120, 1e7))
    drawn = draw_results(grey(240, 320), pose, NAMES)
    assert has_colour(drawn, 120, 237, Side.LEFT)


@pytest.mark.parametrize("value", [NAN, INF, -INF, 1e30])
@pytest.mark.parametrize("size", [(1, 1), (120, 160)])
def test_no_number_breaks_the_drawing(value, size):
    view = camera(*size)
    for field in ("boxes", "dimensions", "locations", "yaws", "scores"):
        box = car(0.0, 10.0)
        getattr(box, field)[..., :1] = value
        for given in (view, None):
            assert draw_results(grey(*size), box, NAMES, given).shape == (*size, 3)
    pose = person(nose=(value, 20), left_eye=(30, 20))
    assert draw_results(grey(*size), pose, NAMES).shape == (*size, 3)


def test_nothing_found_by_any_task():
    for kind in (Detections2D, Detections3D, Poses):
        assert (draw_results(grey(), kind.empty(), NAMES, camera(120, 160)) == 90).all()


def test_a_grey_image_becomes_a_coloured_one():
    drawn = draw_results(np.full((120, 160), 90, np.uint8), boxes([40, 50, 100, 90]), NAMES)
    assert is_car(drawn[70, 40])
    assert (drawn[100:, :] == 90).all()
