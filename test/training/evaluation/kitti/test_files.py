import pytest

from training.evaluation.kitti import read_frames

LABEL = "Car 0.00 0 0.30 10 20 90 80 1.5 1.6 3.9 1.0 1.6 10.0 0.4\n"
RESULT = LABEL.replace("\n", " 0.8\n")


@pytest.fixture
def folders(tmp_path):
    """Labels and results of frames 000000 to 000002."""
    for part, text in (("label_2", LABEL), ("results", RESULT)):
        (tmp_path / part).mkdir()
        for index in range(3):
            (tmp_path / part / f"{index:06d}.txt").write_text(text)
    return tmp_path / "label_2", tmp_path / "results"


def test_all_frames_or_those_of_a_list(folders):
    frames = read_frames(*folders)
    assert [frame.name for frame in frames] == ["000000", "000001", "000002"]
    assert frames[0].truths[0].score is None
    assert frames[0].results[0].score == 0.8
    (folders[1] / "000000.txt").unlink()
    assert [f.name for f in read_frames(*folders, ["000002", "000001"])] == ["000002", "000001"]


def test_an_empty_file_is_a_frame_without_objects(folders):
    (folders[1] / "000001.txt").write_text("")
    assert [len(frame.results) for frame in read_frames(*folders)] == [1, 0, 1]


@pytest.mark.parametrize(
    ("side", "name", "text", "message"),
    [
        (1, "000001.txt", None, r"result file .*results/000001.txt is missing \(1 of 3 are\)"),
        (1, "000009.txt", RESULT, r"result file .*results/000009.txt belongs to no frame"),
        (1, "README.txt", "hello", r"result file .*results/README.txt belongs to no frame"),
        (1, "000001.txt", LABEL, r"000001.txt: object 1 has no score; a result has 16 columns"),
        (1, "000001.txt", "Car 1 2 3\n", r"000001.txt: line 1: 4 fields"),
        (0, "000001.txt", LABEL + LABEL.replace("90", "x"), r"label_2/000001.txt: line 2: .*'x'"),
        (1, "000001.txt", b"\xff\xfe", r"000001.txt: .*decode"),
    ],
)
def test_bad_files_are_named(folders, side, name, text, message):
    path = folders[side] / name
    if text is None:
        path.unlink()
    else:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ValueError, match=message):
        read_frames(*folders)


def test_a_listed_frame_needs_a_label(folders):
    with pytest.raises(ValueError, match=r"label file .*label_2/000007.txt is missing"):
        read_frames(*folders, ["000000", "000007"])


def test_folders_without_files_are_named(folders, tmp_path):
    with pytest.raises(ValueError, match="nowhere is not a folder"):
        read_frames(tmp_path / "nowhere", folders[1])
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="empty holds no label file"):
        read_frames(tmp_path / "empty", folders[1])
