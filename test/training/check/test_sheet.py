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


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--sheet", "."), "--sheet .: this is a folder"),
        (("--sheet", "sheet"), "--sheet sheet: expected the ending of a picture"),
        (("--sheet", "no.png/sheet.png"), "no.png/sheet.png: cannot write a picture there"),
        (("--samples", "-1"), "--samples -1: expected 0 or more"),
    ],
)
def test_a_sheet_that_cannot_be_is_told_in_one_line(
    voc, tmp_path, monkeypatch, capsys, arguments, message
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "no.png").write_bytes(b"")

    assert main([str(voc.folder), *arguments]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


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
