"""The tables of docs/node.md are those that the code gives."""

import pytest

from centernet_ros.ros.parameters import RULES
from centernet_ros.ros.reference import UntoldError, described, table
from centernet_ros.ros.reference import __main__ as reference


def test_the_page_is_what_the_code_gives():
    text = reference.DOCUMENT.read_text()
    assert reference.renewed(text) == text, "run python -m centernet_ros.ros.reference"


@pytest.fixture
def page(tmp_path, monkeypatch):
    """A page with the parameters only, which need no node."""
    monkeypatch.setattr(reference, "TABLES", {"parameters": reference.parameters})
    page = tmp_path / "node.md"
    page.write_text("Before.\n<!-- begin parameters -->\nold\n<!-- end parameters -->\nAfter.\n")
    return page


def test_a_page_is_checked_and_renewed(page, capsys):
    old = page.read_text()
    assert reference.main(["--check", "--document", str(page)]) == 1
    assert page.read_text() == old
    error = capsys.readouterr().err
    assert str(page) in error
    assert "run python -m centernet_ros.ros.reference" in error
    assert reference.main(["--document", str(page)]) == 0
    assert reference.main(["--check", "--document", str(page)]) == 0
    first, *_, last = lines = page.read_text().splitlines()
    assert (first, last) == ("Before.", "After.")
    rows = [line for line in lines if line.startswith("| `")]
    assert len(rows) == len(RULES)
    (row,) = (row for row in rows if "score_threshold`" in row)
    assert row == (
        "| `score_threshold` | double | `0.3` | 0 to 1 | always "
        "| Least score of a published result. |"
    )


def test_a_page_without_a_place_is_refused(page):
    page.write_text("<!-- begin parameters -->\nnever ends")
    with pytest.raises(ValueError, match="no <!-- begin parameters --> with its <!-- end param"):
        reference.main(["--document", str(page)])


@pytest.mark.parametrize("texts", [{"a": "first"}, {"a": "first", "b": "second", "c": "third"}])
def test_what_nobody_tells_of_is_named(texts):
    with pytest.raises(UntoldError, match=r"topics without a sentence .*\['[bc]'\]"):
        described("topics", {"a": 1, "b": 2}, texts)


def test_entries_keep_the_order_of_their_sentences():
    assert described("topics", {"a": 1, "b": 2}, {"b": "second", "a": "first"}) == [
        ("b", 2, "second"),
        ("a", 1, "first"),
    ]


def test_a_bar_does_not_end_a_cell():
    assert table(("x", "y"), [("a|b", "c")]) == "| x | y |\n| --- | --- |\n| a\\|b | c |"
