import json
import math

import pytest

from training.evaluation.coco import evaluate_files

# Own data may leave out area and iscrowd.
ANNOTATION = {"id": 1, "image_id": 7, "category_id": 3, "bbox": [10, 10, 50, 40]}
TRUTH = {
    "images": [{"id": 7}],
    "categories": [{"id": 3, "name": "car"}],
    "annotations": [ANNOTATION],
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
        (TRUTH, [{"image_id": 7, "category_id": 3, "score": 1}], "result 1: has no bbox"),
        (
            TRUTH,
            [{"image_id": 7, "category_id": 3, "caption": "a"}],
            "result 1: has the score None, expected",
        ),
        (TRUTH, [RESULT, None], "results.json, result 2: is None, expected keys and values"),
        (TRUTH, [{**RESULT, "image_id": "7"}], "result 1: has the image_id '7', expected an int"),
        (TRUTH, [{**RESULT, "category_id": True}], "has the category_id True, expected an int"),
        (TRUTH, [{**RESULT, "score": None}], "has the score None, expected a finite number"),
        (TRUTH, [{**RESULT, "score": math.nan}], "has the score nan, expected a finite number"),
        (TRUTH, [{**RESULT, "score": True}], "has the score True, expected a finite number"),
        (
            TRUTH,
            [RESULT, {**RESULT, "bbox": [1, 2, 3]}],
            "result 2: has 3 numbers in bbox",
        ),
        (TRUTH, [{**RESULT, "bbox": None}], "result 1: has the bbox None, expected 4 numbers"),
        (TRUTH, [{**RESULT, "bbox": [1, 2, 3, "4"]}], "result 1: has '4' in bbox, expected finite"),
        (TRUTH, [{**RESULT, "bbox": [1, 2, 3, 10**400]}], "has 10+ in bbox, expected finite"),
        (TRUTH, {"results": []}, "results.json: not a list of results"),
        (TRUTH, "[", "results.json is no JSON file"),
        ([], [], "truth.json has no list of images"),
        ({**TRUTH, "annotations": [{"id": 1}]}, [], "truth.json, annotation 1: has no image_id"),
        ({**TRUTH, "annotations": [3]}, [], "annotation 1: is 3, expected keys and values"),
        ({**TRUTH, "images": [{"id": 7}] * 2}, [], "truth.json, image 2: id 7 is used twice"),
        ({**TRUTH, "images": [{}]}, [], "truth.json, image 1: has no id"),
        ({**TRUTH, "images": [{"id": 8}]}, [], "annotation 1: image_id 7 is not among the images"),
        ({**TRUTH, "categories": [{"id": 3}]}, [], "truth.json, category 1: has no name"),
        ({**TRUTH, "categories": []}, [], "annotation 1: category_id 3 is not among the categ"),
        (
            {**TRUTH, "categories": [{"id": 3, "name": "car"}, {"id": 4, "name": "car"}]},
            [],
            "truth.json: two categories have one name; there are car, car",
        ),
    ],
)
def test_bad_files_are_named(tmp_path, truth, results, message):
    with pytest.raises(ValueError, match=message):
        measure(tmp_path, truth, results)


def test_what_is_left_empty_is_as_what_is_left_out(tmp_path):
    """As in training; some tools write null for what nobody filled in."""
    empty = {**ANNOTATION, "area": None, "iscrowd": None}
    found = measure(tmp_path, {**TRUTH, "annotations": [empty]}, [RESULT])
    assert found == measure(tmp_path, TRUTH, [RESULT])


@pytest.mark.parametrize("ids", [(0, 1), (5, 5), ("a", None)])
def test_ids_of_annotations_mean_nothing(tmp_path, ids):
    """Label Studio counts from 0, which pycocotools takes for no match."""
    rows = [{**ANNOTATION, "id": ids[0]}, {**ANNOTATION, "id": ids[1], "bbox": [70, 10, 20, 20]}]
    results = [{**RESULT, "bbox": row["bbox"]} for row in rows]
    assert measure(tmp_path, {**TRUTH, "annotations": rows}, results).ap == pytest.approx(1)


def test_a_category_that_only_groups_others_may_have_the_name_of_one(tmp_path):
    groups = [{"id": 9, "name": "car"}, {"id": 1, "name": "things"}]
    cars = {"id": 3, "name": "car", "supercategory": "car"}
    bikes = {"id": 4, "name": "bike", "supercategory": "things"}
    truth = {**TRUTH, "categories": [*groups, cars, bikes]}
    # As with pycocotools, a result of a class that no annotation has changes nothing.
    metrics = measure(tmp_path, truth, [RESULT, {**RESULT, "category_id": 1}])
    assert metrics.ap == pytest.approx(1)
    assert metrics.per_class_ap["car"] == pytest.approx(1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bbox": [1, 2]}, "annotation 1: has 2 numbers in bbox, expected 4"),
        ({"area": "x"}, "annotation 1: area is 'x', expected square pixels"),
        ({"iscrowd": "0"}, "annotation 1: iscrowd is '0', expected 0 or 1"),
    ],
)
def test_bad_annotations_are_named(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        measure(tmp_path, {**TRUTH, "annotations": [{**ANNOTATION, **changes}]}, [RESULT])


PERSON = {**ANNOTATION, "keypoints": [20, 20, 2] * 17}
FOUND = {**RESULT, "keypoints": [20, 20, 1] * 17}
BARE = {key: value for key, value in FOUND.items() if key != "bbox"}


@pytest.mark.parametrize(
    ("person", "results", "message"),
    [
        (
            PERSON,
            [FOUND, {**FOUND, "keypoints": [1] * 48}],
            "result 2: has 48 numbers in keypoints",
        ),
        (PERSON, [{**FOUND, "keypoints": [math.nan] * 51}], "result 1: has nan in keypoints"),
        (PERSON, [FOUND, BARE], "result 2: either all results have a bbox or none"),
        (PERSON, [BARE, FOUND], "result 2: either all results have a bbox or none"),
        (PERSON, [{**FOUND, "bbox": []}], "result 1: has 0 numbers in bbox"),
        ({**PERSON, "keypoints": None}, [FOUND], "annotation 1: has the keypoints None"),
    ],
)
def test_bad_joints_are_named(tmp_path, person, results, message):
    with pytest.raises(ValueError, match=message):
        measure(tmp_path, {**TRUTH, "annotations": [person]}, results, keypoints=True)


def test_without_an_area_that_of_a_person_is_half_of_the_box(tmp_path):
    moved = {**FOUND, "keypoints": [26, 20, 1] * 17}

    def oks_of(person):
        return measure(tmp_path, {**TRUTH, "annotations": [person]}, [moved], keypoints=True)

    assert oks_of(PERSON) == oks_of({**PERSON, "area": 1000})
    assert oks_of(PERSON) != oks_of({**PERSON, "area": 2000})


def test_what_else_stands_in_a_result_does_not_matter(tmp_path):
    results = [{**RESULT, "caption": "a car", "segmentation": []}]
    assert measure(tmp_path, TRUTH, results).ap == pytest.approx(1)


def test_missing_files_and_missing_joints_are_named(tmp_path):
    with pytest.raises(ValueError, match=r"nowhere.json: No such file"):
        evaluate_files(tmp_path / "nowhere.json", tmp_path / "results.json")
    with pytest.raises(ValueError, match=r"truth.json, annotation 1: has no keypoints"):
        measure(tmp_path, TRUTH, [], keypoints=True)
