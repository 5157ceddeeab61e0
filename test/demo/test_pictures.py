import cv2
import numpy as np
import pytest
import torch

from centernet_ros.structures import Detections2D
from demo.pictures import (
    GAP,
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
