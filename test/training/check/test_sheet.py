"""The contact sheet shows every label, each class in one colour."""

import cv2
import numpy as np
import pytest

from training.check.__main__ import main


@pytest.fixture
def sheet(tmp_path, capsys):
    """Run the command; gives the contact sheet, (H, W, 3) int."""

    def run(*arguments):
        path = tmp_path / "sheet.png"
        main([*map(str, arguments), "--sheet", str(path)])
        return cv2.imread(str(path)).astype(int)

    return run


def test_labels_are_drawn_where_they_are(sheet, coco):
    sheets = []
    for box in ([8, 8, 40, 30], [20, 20, 10, 10]):
        coco.content["annotations"][0]["bbox"] = box
        coco.write()
        sheets.append(sheet(coco.annotations, "--images", coco.images))

    assert np.abs(sheets[0] - sheets[1]).max() > 100


def test_a_class_has_the_same_colour_in_every_image(sheet, voc):
    # The second image shows a dog alone, which is the second class.
    with_names = sheet(voc.folder, "--classes", "cat,dog")

    assert np.array_equal(sheet(voc.folder), with_names)
