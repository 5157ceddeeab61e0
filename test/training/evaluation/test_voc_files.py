import pytest
import torch

from centernet_ros.structures import Detections2D
from training.evaluation.voc_files import evaluate_files, result_lines

ANNOTATION = """<annotation><object><name>dog</name><difficult>0</difficult>
<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>100</xmax><ymax>50</ymax></bndbox></object></annotation>
"""
RESULT = "comp4_det_test_dog.txt"


@pytest.fixture
def folders(tmp_path):
    """One image with a dog, and the result that finds it."""
    for part in ("Annotations", "ImageSets/Main", "results"):
        (tmp_path / part).mkdir(parents=True)
    (tmp_path / "Annotations" / "a.xml").write_text(ANNOTATION)
    (tmp_path / "ImageSets" / "Main" / "test.txt").write_text("a\n")
    (tmp_path / "results" / RESULT).write_text("a 0.9 1 1 100 50\n\n")
    return tmp_path


def test_found(folders):
    metrics = evaluate_files(folders, folders / "results")
    assert metrics.ap == {"dog": pytest.approx(1)}
    (folders / "results" / RESULT).write_text("")
    assert evaluate_files(folders, folders / "results").ap == {"dog": 0}


def test_classes_may_be_named(folders):
    (folders / "results" / "comp4_det_test_cat.txt").write_text("a 0.9 1 1 100 50\n")
    metrics = evaluate_files(folders, folders / "results", class_names=("dog", "cat"))
    assert metrics.ap == {"cat": 0, "dog": pytest.approx(1)}
    # Files of others are not looked at.
    metrics = evaluate_files(folders, folders / "results", class_names=("dog",))
    assert metrics.ap == {"dog": pytest.approx(1)}


def test_written_results_are_read_back(folders):
    boxes = torch.tensor([[0.0, 0, 100, 50], [0, 0, 3, 3]])
    results = Detections2D(boxes, torch.tensor([0.75, 0.5]), torch.tensor([3, 4]))
    text = result_lines(["a"], [results], 3)
    assert text == "a 0.750000 1.00 1.00 100.00 50.00\n"
    (folders / "results" / RESULT).write_text(text)
    assert evaluate_files(folders, folders / "results").ap["dog"] == pytest.approx(1)


def test_names_of_images_may_have_folders(folders):
    (folders / "Annotations" / "camera").mkdir()
    (folders / "Annotations" / "camera" / "a.xml").write_text(ANNOTATION)
    (folders / "ImageSets" / "Main" / "test.txt").write_text("camera/a\na\n")
    result = Detections2D(torch.tensor([[0.0, 0, 100, 50]]), torch.ones(1), torch.tensor([0]))
    text = result_lines(["a", "camera/a"], [result, result], 0)
    (folders / "results" / RESULT).write_text(text)
    assert evaluate_files(folders, folders / "results").ap == {"dog": pytest.approx(1)}


def test_annotations_are_read_as_in_training(folders):
    """Some tools write UTF-8 and say that it is something else."""
    text = '<?xml version="1.0" encoding="gbk"?>' + ANNOTATION.replace("dog", "Käfer")
    (folders / "Annotations" / "a.xml").write_bytes(text.encode())
    (folders / "results" / "comp4_det_test_Käfer.txt").write_text("a 0.9 1 1 100 50\n")
    metrics = evaluate_files(folders, folders / "results", class_names=("Käfer",))
    assert metrics.ap == {"Käfer": pytest.approx(1)}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (f"results/{RESULT}", None, r"dog.txt: no such result file \(1 of 1 classes"),
        (
            "results/comp4_det_test_cat.txt",
            "",
            r"cat.txt is of a class that no .*; --classes names",
        ),
        (f"results/{RESULT}", b"\xff\xfe", "dog.txt: not a text file"),
        (
            "Annotations/a.xml",
            "<annotation/>",
            "no annotation of the list test has an object; name",
        ),
        (
            "Annotations/a.xml",
            ANNOTATION.replace(">50<", ">nan<"),
            "a.xml, line 1: .* bndbox/ymax 'nan'",
        ),
        (f"results/{RESULT}", "a 1 1 2 3 4\nb 1 1 2 3 4\n", "dog.txt, line 2: image b is not in"),
        (f"results/{RESULT}", "a 0.9 1 1 100\n", "dog.txt, line 1: expected image, score"),
        (f"results/{RESULT}", "a nan 1 1 100 50\n", "dog.txt, line 1: expected image, score"),
        ("Annotations/a.xml", None, r"Annotations/a.xml: No such file"),
        ("Annotations/a.xml", "<annotation>", r"a.xml: not an XML file: no element found"),
        ("Annotations/a.xml", ANNOTATION.replace("ymax", "y"), r"a.xml, line 1: .* no bndbox/ymax"),
        ("ImageSets/Main/test.txt", None, r"test.txt: No such file"),
    ],
)
def test_bad_files_are_named(folders, name, text, message):
    if text is None:
        (folders / name).unlink()
    elif isinstance(text, bytes):
        (folders / name).write_bytes(text)
    else:
        (folders / name).write_text(text)
    with pytest.raises(ValueError, match=message):
        evaluate_files(folders, folders / "results")
