"""Lists of samples: one name on each line, blanks and VOC's marks included."""

import pytest

from training.data.lists import read_names
from training.data.sample import DataError


def names_in(folder, text):
    path = folder / "list.txt"
    path.write_text(text)
    return read_names(path)


def test_names_may_have_blanks(tmp_path):
    assert names_in(tmp_path, "a frame\n\n my  photo 12 \n") == ["a frame", "my  photo 12"]


def test_marks_of_vocs_class_lists_are_no_part_of_a_name(tmp_path):
    text = "2007_000027 -1\n2007_000032  0\n2007_000033\t1\na frame 1\n1\n"

    expected = ["2007_000027", "2007_000032", "2007_000033", "a frame", "1"]
    assert names_in(tmp_path, text) == expected


def test_stamps_of_a_bag_are_no_part_of_a_name(tmp_path):
    assert names_in(tmp_path, "000003 1316995200000000000\n") == ["000003"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a frame\nb\na frame 1\n", r"list\.txt, line 3: a frame is listed on line 1 too"),
        (" \n", r"list\.txt: the list is empty"),
    ],
)
def test_a_list_that_cannot_be_used_is_named(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        names_in(tmp_path, text)
