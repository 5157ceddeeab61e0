"""3D boxes to `vision_msgs`, held by KITTI labels."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("vision_msgs", reason="ROS is not set up")

from geometry_msgs.msg import TransformStamped
from std_msgs.msg import Header

from centernet_ros.class_names import KITTI_CLASSES
from centernet_ros.kitti import read_objects, read_projection, to_truth
from centernet_ros.ros.markers import to_markers
from centernet_ros.structures import CameraIntrinsics, Detections2D, Detections3D
from centernet_ros.tasks.detection2d.messages import to_messages as to_box_messages
from centernet_ros.tasks.detection3d.messages import (
    OUTPUTS,
    from_box,
    from_messages,
    move,
    to_box,
    to_messages,
)

KITTI = Path(__file__).parents[3].parent / "shared/data/kitti/training"
CALIBRATION = (
    "P2: 7.215377e+02 0.000000e+00 6.095593e+02 4.485728e+01 0.000000e+00 7.215377e+02 "
    "1.728540e+02 2.163791e-01 0.000000e+00 0.000000e+00 1.000000e+00 2.745884e-03"
)
LABELS = """\
Car 0.00 0 1.55 614.24 181.78 727.31 284.77 1.57 1.73 4.15 1.00 1.75 13.22 1.62
Pedestrian 0.00 0 -0.20 712.40 143.00 810.73 307.92 1.89 0.48 1.20 1.84 1.47 8.41 0.01
Cyclist 0.00 0 -1.65 676.60 163.95 688.98 193.93 1.86 0.60 2.02 4.59 1.32 45.84 -1.55
Car 0.88 3 -0.69 0.00 192.37 402.31 374.00 1.60 1.57 3.23 -2.70 1.74 3.68 -1.29
Car 0.00 1 2.04 334.85 178.94 624.50 372.04 1.57 1.50 3.68 -1.17 1.65 7.86 1.90
Car 0.00 0 -3.10 1.00 2.00 3.00 4.00 1.50 1.60 4.00 -9.00 1.70 20.00 3.14
"""
"""Lines of KITTI's form: every quarter of the yaw, near and far, cut off by the image."""


def devkit_corners(item):
    """Corners (8, 3) of a label as KITTI's development kit computes them."""
    height, width, length = item.dimensions
    along = np.array([1, 1, -1, -1, 1, 1, -1, -1]) * length / 2
    down = np.array([0, 0, 0, 0, -1, -1, -1, -1]) * height
    aside = np.array([1, -1, -1, 1, 1, -1, -1, 1]) * width / 2
    cos, sin = math.cos(item.yaw), math.sin(item.yaw)
    turn = np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]])
    return (turn @ np.stack([along, down, aside])).T + item.location


def message_corners(box):
    """Corners (8, 3) of a BoundingBox3D in the same order, by nothing but the message's fields."""
    q = box.center.orientation
    x, y, z, w = q.x, q.y, q.z, q.w
    turn = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )
    signs = np.array(
        [
            [1, 1, -1, -1, 1, 1, -1, -1],
            [1, -1, -1, 1, 1, -1, -1, 1],
            [-1, -1, -1, -1, 1, 1, 1, 1],
        ]
    )
    size = np.array([box.size.x, box.size.y, box.size.z])
    centre = box.center.position
    return (turn @ (signs.T * size / 2).T).T + np.array([centre.x, centre.y, centre.z])


def header():
    header = Header(frame_id="front_camera_optical")
    header.stamp.sec, header.stamp.nanosec = 12, 345
    return header


def project(projection, points):
    homogeneous = points @ projection[:, :3].T + projection[:, 3]
    return homogeneous[:, :2] / homogeneous[:, 2:]


def assert_same_pixels(labels, calibration):
    """Label -> result -> message -> pixels of the corners; gives the number of objects."""
    objects = read_objects(labels)
    projection = read_projection(calibration).numpy()
    truth, _ = to_truth(objects, KITTI_CLASSES)
    array = to_messages(truth, KITTI_CLASSES, header())
    kept = [item for item in objects if item.kind.lower() in KITTI_CLASSES]
    assert len(array.detections) == len(kept)
    for item, detection in zip(kept, array.detections, strict=True):
        assert detection.results[0].hypothesis.class_id == item.kind.lower()
        own, sent = devkit_corners(item), message_corners(detection.bbox)
        np.testing.assert_allclose(sent, own, atol=1e-5)
        before = own[:, 2] > 0.5
        pixels = project(projection, own[before])
        np.testing.assert_allclose(project(projection, sent[before]), pixels, atol=0.1)
    return len(kept)


def test_corners_of_labels_stay_in_place():
    assert assert_same_pixels(LABELS, CALIBRATION) == 6


@pytest.mark.skipif(not KITTI.is_dir(), reason="no KITTI in ../shared/data")
def test_corners_of_real_labels_stay_in_place():
    counts = [
        assert_same_pixels(path.read_text(), (KITTI / "calib" / path.name).read_text())
        for path in sorted((KITTI / "label_2").glob("*.txt"))
    ]
    assert sum(counts) > 100


VALUES = "boxes", "scores", "labels", "dimensions", "locations", "yaws"


def assert_back(labels, calibration):
    """Labels -> messages -> the same labels; gives the differences of the alphas."""
    camera = CameraIntrinsics(read_projection(calibration), (375, 1242))
    truth, _ = to_truth(read_objects(labels), KITTI_CLASSES)
    back = from_messages(
        to_messages(truth, KITTI_CLASSES, header()),
        to_box_messages(truth, KITTI_CLASSES, header()),
        KITTI_CLASSES,
        camera,
    )
    for name in VALUES:
        torch.testing.assert_close(getattr(back, name), getattr(truth, name), rtol=0, atol=5e-5)
    assert (back.alphas.abs() <= math.pi).all()
    return torch.remainder(back.alphas - truth.alphas + math.pi, 2 * math.pi) - math.pi


@pytest.mark.skipif(not KITTI.is_dir(), reason="no KITTI in ../shared/data")
def test_real_labels_come_back():
    alphas = torch.cat(
        [
            assert_back(path.read_text(), (KITTI / "calib" / path.name).read_text())
            for path in sorted((KITTI / "label_2").glob("*.txt"))
        ]
    )
    # KITTI's own alphas are rounded, and reckoned from the scanner's side of the car.
    assert len(alphas) > 100
    assert alphas.abs().median() < 0.02
    assert alphas.abs().max() < 0.2


def test_lines_of_kittis_form_come_back():
    assert_back(LABELS, CALIBRATION)
    assert len(assert_back("", CALIBRATION)) == 0


@pytest.mark.parametrize("yaw", [-3.14, -2.0, -math.pi / 2, 0.0, 1.0, 3.14])
def test_every_yaw_comes_back(yaw):
    dimensions, location, found = from_box(to_box((1.5, 1.8, 4.2), (2.0, 1.6, 20.0), yaw))
    assert found == pytest.approx(yaw)
    assert dimensions == pytest.approx((1.5, 1.8, 4.2))
    assert location == pytest.approx((2.0, 1.6, 20.0))


def test_alphas_are_those_of_the_camera_beside_the_reference():
    """The decoder turns alphas into yaws by the pixel that shows the box's centre."""
    camera = CameraIntrinsics(read_projection(CALIBRATION), (375, 1242))
    solid = detections(locations=[[2.0, 1.6, 4.0]], yaws=[0.5])
    back = from_messages(
        to_messages(solid, KITTI_CLASSES, header()),
        to_box_messages(solid, KITTI_CLASSES, header()),
        KITTI_CLASSES,
        camera,
    )
    column = (721.5377 * 2 + 609.5593 * 4 + 44.85728) / (4 + 0.002745884)
    expected = 0.5 - math.atan2(column - 609.5593, 721.5377)
    assert float(back.alphas) == pytest.approx(expected, abs=1e-6)
    assert float(back.alphas) != pytest.approx(0.5 - math.atan2(2, 4), abs=5e-3)


def test_arrays_of_different_objects_are_refused():
    camera = CameraIntrinsics(read_projection(CALIBRATION), (375, 1242))
    solids = to_messages(detections(), KITTI_CLASSES, header())
    boxes = to_box_messages(detections(), KITTI_CLASSES, header())
    with pytest.raises(ValueError, match="1 3D boxes and 0 2D boxes of one image"):
        from_messages(
            solids, to_box_messages(Detections2D.empty(), (), header()), KITTI_CLASSES, camera
        )
    with pytest.raises(ValueError, match="class 'car' of a detection, known: van"):
        from_messages(solids, boxes, ("van",), camera)
    elsewhere = Header(stamp=header().stamp, frame_id="base_link")
    with pytest.raises(ValueError, match=r"in the frame 'base_link', .* leave target_frame empty"):
        from_messages(
            to_messages(detections(), KITTI_CLASSES, elsewhere), boxes, KITTI_CLASSES, camera
        )


def test_a_box_by_hand():
    """A car that drives away from the camera: its length lies along the optical axis."""
    box = to_box((1.5, 1.8, 4.2), (2.0, 1.6, 20.0), -math.pi / 2)
    centre, q = box.center.position, box.center.orientation
    assert (box.size.x, box.size.y, box.size.z) == (4.2, 1.8, 1.5)
    assert (centre.x, centre.y, centre.z) == pytest.approx((2.0, 0.85, 20.0))
    assert q.x**2 + q.y**2 + q.z**2 + q.w**2 == pytest.approx(1)
    front_left_bottom = message_corners(box)[0]
    # Seen from behind, its left is the camera's left.
    np.testing.assert_allclose(front_left_bottom, (1.1, 1.6, 22.1), atol=1e-9)


def detections(**changes):
    values = {
        "boxes": [[10.0, 20.0, 30.0, 40.0]],
        "scores": [0.75],
        "dimensions": [[1.5, 1.8, 4.2]],
        "locations": [[2.0, 1.6, 20.0]],
        "yaws": [0.5],
        "alphas": [0.4],
        **changes,
    }
    tensors = {name: torch.tensor(value) for name, value in values.items()}
    return Detections3D(labels=torch.tensor([1]), **tensors)


def test_headers_scores_and_names():
    array = to_messages(detections(), KITTI_CLASSES, header())
    assert array.header == header()
    (detection,) = array.detections
    assert detection.header == header()
    assert detection.id == ""
    (result,) = detection.results
    assert result.hypothesis.class_id == "car"
    assert result.hypothesis.score == 0.75
    assert result.pose.pose == detection.bbox.center
    assert not result.pose.covariance.any()


def test_negative_sizes_are_none():
    array = to_messages(detections(dimensions=[[-1.0, 1.8, -0.1]]), KITTI_CLASSES, header())
    size, centre = array.detections[0].bbox.size, array.detections[0].bbox.center.position
    assert (size.x, size.z) == (0, 0)
    assert size.y == pytest.approx(1.8)
    # The bottom face that was given lies half of that height from the centre that was found.
    assert centre.y == pytest.approx(1.6 + 0.5)


@pytest.mark.parametrize(
    "nothing",
    [
        Detections3D.empty(),
        Detections2D(torch.ones(1, 4), torch.ones(1), torch.zeros(1, dtype=torch.int64)),
    ],
    ids=["nothing found", "no calibration"],
)
def test_nothing_gives_an_array_with_a_header(nothing):
    array = to_messages(nothing, KITTI_CLASSES, header())
    assert array.header == header()
    assert array.detections == []


def test_boxes_move_with_their_corners_into_another_frame():
    """To a vehicle's frame (x forward, y left, z up) from a camera that looks half to the left."""
    transform = TransformStamped()
    transform.header.frame_id = "base_link"
    transform.header.stamp.sec = 99
    shift, turn = transform.transform.translation, transform.transform.rotation
    shift.x, shift.y, shift.z = 1.5, 0.2, 1.3
    # About z by 30 degrees, after the optical frame's axes became those of a body.
    half = math.radians(15)
    plus, minus = (math.cos(half) + math.sin(half)) / 2, (math.cos(half) - math.sin(half)) / 2
    turn.x, turn.y, turn.z, turn.w = -plus, minus, -minus, plus
    before = to_messages(detections(), KITTI_CLASSES, header(), ids=["7"])
    after = move(before, transform)
    assert after.header.frame_id == "base_link"
    assert after.header.stamp == before.header.stamp
    (old,), (new,) = before.detections, after.detections
    assert new.header == after.header
    assert new.id == "7"
    assert new.results[0].hypothesis == old.results[0].hypothesis
    assert new.results[0].pose.pose == new.bbox.center
    assert old.header == header(), "the message in the camera's frame stays as it was"
    optical = message_corners(old.bbox)
    body = np.stack([optical[:, 2], -optical[:, 0], -optical[:, 1]], axis=1)
    cos, sin = math.cos(math.radians(30)), math.sin(math.radians(30))
    turned = body @ np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]])
    np.testing.assert_allclose(
        message_corners(new.bbox), turned + np.array([1.5, 0.2, 1.3]), atol=1e-9
    )


def test_the_topics():
    in_space, markers, flat = OUTPUTS
    assert (in_space.topic, in_space.move) == ("detections_3d", move)
    assert (markers.topic, markers.move, markers.show) == ("markers", move, to_markers)
    assert (flat.topic, flat.move) == ("detections_2d", None)
    boxes = flat.to_message(detections(), KITTI_CLASSES, header())
    assert boxes.detections[0].bbox.size_x == 20
