import json

import pytest

from training.evaluation.coco import evaluate_files

TRUTH = {
    "images": [{"id": 7}],
    "categories": [{"id": 3, "name": "car"}],
    # Own data may leave out area and iscrowd.
    "annotations": [{"id": 1, "image_id": 7, "category_id": 3, "bbox": [10, 10, 50, 40]}],
}
RESULT = {"image_id": 7, "category_id": 3, "bbox": [10, 10, 50, 40], "score": 0.9}


def measure(folder, truth, results, **options):
    for name, content in (("truth.json", truth), ("results.json", results)):
        text = content if isinstance(content, str) else json.dumps(content)
        (folder / name).write_text(text)
    return evaluate_files(folder / "truth.json", folder / "results.json", **options)


def test_found(tmp_path, capsys):
    metrics = measure(tmp_path, TRUTH, [RESULT])
    assert metrics.ap == pytest.approx(1)
    assert metrics.per_class_ap50 == {"car": pytest.approx(1)}
    assert measure(tmp_path, TRUTH, []).ap == 0
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("truth", "results", "message"),
    [
        (TRUTH, [{**RESULT, "image_id": 8}], "results.json, result 1: image_id 8 is not among"),
        (TRUTH, [RESULT, {**RESULT, "category_id": 1}], "result 2: category_id 1 is none of 3"),
        (TRUTH, [{"image_id": 7, "category_id": 3, "score": 1}], "result 1: no bbox"),
        (TRUTH, {"results": []}, "results.json: not a list of results"),
        (TRUTH, "[", "results.json is no JSON file"),
        ([], [], "truth.json has no list of images"),
        ({**TRUTH, "annotations": [{"id": 1}]}, [], "truth.json, annotation 1: no image_id"),
        (
            {**TRUTH, "annotations": [{**TRUTH["annotations"][0], "id": 0}]},
            [],
            "annotation 1: id 0; ids start at 1",
        ),
    ],
)
def test_bad_files_are_named(tmp_path, truth, results, message):
    with pytest.raises(ValueError, match=message):
        measure(tmp_path, truth, results)


def test_missing_files_and_missing_joints_are_named(tmp_path):
    with pytest.raises(ValueError, match=r"nowhere.json: No such file"):
        evaluate_files(tmp_path / "nowhere.json", tmp_path / "results.json")
    with pytest.raises(ValueError, match=r"truth.json, annotation 1: no keypoints"):
        measure(tmp_path, TRUTH, [], keypoints=True)
