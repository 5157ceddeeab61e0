import cv2
import numpy as np
import pytest
import torch

from centernet_ros.structures import CameraIntrinsics, Detections2D, Detections3D, Poses
from demo.pictures import (
    GAP,
    MAP_DEPTH,
    STRIP,
    WIDTH,
    Shot,
    contact_sheet,
    draw_shot,
    spread,
    write_pictures,
)

NAMES = ("pedestrian", "car", "cyclist")
BOX = Detections2D(
    torch.tensor([[100.0, 80.0, 300.0, 160.0]]), torch.tensor([0.9]), torch.tensor([1])
)


CAMERA = CameraIntrinsics.pinhole(400.0, (319.5, 95.5), (192, 640))
CAR = Detections3D(
    *(getattr(BOX, name) for name in ("boxes", "scores", "labels")),
    dimensions=torch.tensor([[1.5, 1.6, 4.0]]),
    locations=torch.tensor([[2.0, 1.5, 16.0]]),
    yaws=torch.tensor([0.0]),
    alphas=torch.tensor([0.0]),
)


def shot(value=90, size=(192, 640), truth=None, found=BOX):
    image = np.full((*size, 3), value, np.uint8)
    return Shot(image, "image 3   stamp 12.000000003   latency 41.2 ms", found, truth)


def test_a_sheet_of_twelve_is_three_wide_and_four_high():
    tile = draw_shot(shot(), NAMES)
    assert tile.shape == (216 + STRIP, WIDTH, 3)
    sheet = contact_sheet([tile] * 12, "title")
    assert sheet.shape == (STRIP + GAP + 4 * (238 + GAP), 3 * (WIDTH + GAP) + GAP, 3)
    assert contact_sheet([tile], "title").shape[1] == WIDTH + 2 * GAP


@pytest.mark.parametrize("size", [(192, 640), (375, 1242), (480, 640), (1080, 1920)])
def test_boxes_are_scaled_with_the_image_and_its_aspect_is_kept(size):
    picture = draw_shot(shot(size=size), NAMES)
    height, width = picture.shape[0] - STRIP, picture.shape[1]
    assert width == WIDTH
    assert height % 2 == 0
    assert height == pytest.approx(WIDTH * size[0] / size[1], abs=1.01)
    changed = np.abs(picture[STRIP:].astype(int) - 90).max(axis=2) > 60
    scale = WIDTH / size[1]
    changed[: round(120 * scale)] = False  # the label may be wider than the box
    rows, columns = np.nonzero(changed)
    assert rows.max() == pytest.approx(160 * scale, abs=3)
    assert columns.min() == pytest.approx(100 * scale, abs=3)
    assert columns.max() == pytest.approx(300 * scale, abs=3)


def drawn(picture):
    return np.abs(picture.astype(int) - 90).max(axis=2) > 60


def test_3d_boxes_are_projected_with_the_cameras_scale_and_stand_on_a_map():
    image = np.full((192, 640, 3), 90, np.uint8)
    picture = draw_shot(Shot(image, "caption", CAR, None, CAMERA, in_space=True), NAMES)
    assert picture.shape == (216 + STRIP, WIDTH + 162, 3)
    corners = CAMERA.project(CAR.corners()[0]).numpy()
    expected = (np.concatenate([corners.min(axis=0), corners.max(axis=0)]) + 0.5) * 1.125 - 0.5
    changed = drawn(picture[STRIP:, :WIDTH])
    changed[: round(expected[1])] = False  # the label
    rows, columns = np.nonzero(changed)
    found = [columns.min(), columns.max(), rows.max()]
    assert found == pytest.approx(expected[[0, 2, 3]], abs=2)
    # The car stands 2 m to the right and 16 m ahead, and truth is white.
    scale = 216 / MAP_DEPTH
    place = np.array([81 + 2 * scale, 216 - 16 * scale]).round().astype(int)
    above = picture[STRIP:, WIDTH:]
    colours = above[place[1] - 3 : place[1] + 4, place[0] - 8 : place[0] + 9].reshape(-1, 3)
    assert ((colours[:, 2] > 150) & (colours[:, 0] < 100)).any()
    truth = draw_shot(
        Shot(image, "caption", Detections3D.empty(), CAR, CAMERA, in_space=True), NAMES
    )[STRIP:, WIDTH:]
    rows, columns = np.nonzero((truth > 200).all(axis=2))
    assert rows.mean() == pytest.approx(place[1], abs=1.5)
    assert columns.mean() == pytest.approx(place[0], abs=1.5)
    assert np.ptp(columns) == pytest.approx(4 * scale, abs=2)


def test_a_picture_has_the_same_size_without_places():
    full = Shot(shot().image, "caption", CAR, CAR, CAMERA, in_space=True)
    flat = Shot(shot().image, "caption", BOX, None, None, in_space=True)
    tiles = [draw_shot(each, NAMES) for each in (full, flat)]
    assert tiles[0].shape == tiles[1].shape
    assert contact_sheet(tiles, "title").shape[1] == GAP + 2 * (tiles[0].shape[1] + GAP)


def test_joints_are_scaled_with_the_image():
    joints = torch.tensor([200.0, 120.0]).repeat(1, 17, 1)
    person = Poses(
        BOX.boxes, BOX.scores, BOX.labels * 0, keypoints=joints, keypoint_scores=torch.ones(1, 17)
    )
    picture = draw_shot(shot(found=person), ("person",))[STRIP:]
    rows, columns = np.nonzero(drawn(picture[130:140, 210:240]))
    assert rows.mean() + 130 == pytest.approx(120.5 * 1.125 - 0.5, abs=1)
    assert columns.mean() + 210 == pytest.approx(200.5 * 1.125 - 0.5, abs=1)


def test_truth_is_a_dashed_outline():
    picture = draw_shot(shot(truth=BOX, found=Detections2D.empty()), NAMES)[STRIP:]
    outline = (picture[90, 113:338] == 255).all(axis=1)
    assert 0.4 < outline.mean() < 0.75
    assert not (picture[100:170, 150:300] == 255).any()


def test_long_captions_are_made_to_fit():
    picture = draw_shot(Shot(shot().image, "very long " * 30, BOX, None), NAMES)
    assert not (picture[:STRIP, -5:] > 100).any()


def test_indices_are_spread_evenly():
    assert spread(200) == [8, 25, 41, 58, 75, 91, 108, 125, 141, 158, 175, 191]
    assert spread(3) == [0, 1, 2]
    assert spread(0) == []


def test_the_video_can_be_read_again(tmp_path, capfd):
    shots = [shot(value) for value in (30, 90, 150, 210)]
    files = write_pictures(iter(shots), 4, tmp_path, rate=10.0, title="t", class_names=NAMES)
    assert [path.name for path in files] == ["demo.webm", "contact_sheet.png"]
    film = cv2.VideoCapture(str(files[0]))
    assert film.get(cv2.CAP_PROP_FPS) == pytest.approx(10)
    levels = []
    while True:
        there, image = film.read()
        if not there:
            break
        assert image.shape == (216 + STRIP, WIDTH, 3)
        levels.append(float(image[STRIP + 20 : STRIP + 50].mean()))
    assert levels == pytest.approx([30, 90, 150, 210], abs=8)
    assert cv2.imread(str(files[1])).shape[1] == 3 * (WIDTH + GAP) + GAP
    assert capfd.readouterr() == ("", "")


def test_nothing_to_draw(tmp_path):
    assert write_pictures(iter([]), 0, tmp_path, rate=10.0, title="t", class_names=NAMES) == []
