"""COCO's files become samples; what is wrong in them is named."""

import json
from pathlib import Path

import pytest
import torch

from centernet_ros.class_names import COCO_CLASSES
from centernet_ros.structures import Detections2D, Poses
from training.data.coco import open_coco
from training.data.sample import DataError

DATA = Path(__file__).parents[4] / "shared" / "data" / "coco"


def opened(folder, task="detection2d", **options):
    folder.write()
    return open_coco(folder.annotations, folder.images, task, **options)


def test_boxes_and_labels_are_the_files(coco):
    samples = opened(coco)

    assert samples.class_names == ("cup", "fork")
    assert samples.names == ["a.jpg", "b.jpg"]
    first, second = samples[0], samples[1]
    assert type(first.truth) is Detections2D
    torch.testing.assert_close(first.truth.boxes, torch.tensor([[4.0, 6, 24, 16]]))
    assert first.truth.labels.tolist() == [1]
    torch.testing.assert_close(second.truth.boxes, torch.tensor([[30.5, 8, 50.5, 38]]))
    assert second.areas.tolist() == [250]
    assert first.areas.tolist() == [200]
    assert first.ignored_areas.tolist() == [1200]
    assert first.image.shape == (48, 64, 3)


def test_crowds_are_ignored_or_objects(coco):
    samples = opened(coco)

    assert samples[0].ignored.boxes.tolist() == [[0, 0, 30, 40]]
    assert samples[0].ignored.labels.tolist() == [0]
    everything = samples.with_ignored_as_objects()[0]
    assert len(everything.ignored) == 0
    assert everything.truth.labels.tolist() == [1, 0]


def test_null_is_what_is_not_there(coco):
    coco.content["annotations"][0].update(area=None, iscrowd=None)
    samples = opened(coco)

    assert samples[0].areas.tolist() == [200]
    assert samples[0].truth.labels.tolist() == [1]


def test_chosen_classes_alone_are_looked_for(coco):
    samples = opened(coco, class_names=("fork",))

    assert samples.class_names == ("fork",)
    assert [len(samples[i].truth) for i in range(2)] == [1, 0]
    assert samples[0].truth.labels.tolist() == [0]
    assert samples.with_objects().names == ["a.jpg"]


def test_a_category_that_only_groups_others_is_no_class(coco):
    """Roboflow's files begin with one."""
    names = opened(coco).class_names
    for row in coco.content["categories"]:
        row["supercategory"] = "things"
    for name in ("things", "cup"):
        coco.content["categories"].append({"id": 0, "name": name, "supercategory": "none"})
        coco.content["categories"][0]["supercategory"] = name
        samples = opened(coco)
        assert samples.class_names == names
        assert samples[0].truth.labels.tolist() == [1]
        coco.content["categories"].pop()


@pytest.mark.parametrize("supercategory", ["fork", "tools"])
def test_a_category_without_annotations_that_groups_no_others_is_a_class(coco, supercategory):
    coco.content["categories"] += [{"id": 1, "name": "tool", "supercategory": supercategory}]

    assert opened(coco).class_names == ("tool", "cup", "fork")


def test_a_category_that_groups_others_is_a_class_where_it_is_used_or_asked_for(coco):
    coco.content["categories"][0]["supercategory"] = "cup"
    assert opened(coco).class_names == ("cup", "fork")

    for row in coco.content["annotations"]:
        row["category_id"] = 7
    assert opened(coco).class_names == ("fork",)
    assert opened(coco, class_names=("cup", "fork")).class_names == ("cup", "fork")


def test_a_list_chooses_and_orders_the_images(coco, tmp_path):
    path = tmp_path / "list.txt"
    path.write_text("b.jpg\na.jpg\n")
    assert opened(coco, list_file=path).names == ["b.jpg", "a.jpg"]

    path.write_text("b.jpg\n")
    samples = opened(coco, list_file=path)
    assert samples.names == ["b.jpg"]
    assert samples.class_names == ("cup", "fork")
    torch.testing.assert_close(samples[0].truth.boxes, torch.tensor([[30.5, 8, 50.5, 38]]))


def test_a_name_of_a_list_that_the_file_does_not_know_is_named(coco, tmp_path):
    path = tmp_path / "list.txt"
    path.write_text("b.jpg\nd.jpg\nc.jpg\n")
    message = r"list\.txt: no image of .*instances\.json has .* 'd\.jpg' \(2 of 3 are missing"

    with pytest.raises(DataError, match=message):
        opened(coco, list_file=path)


def test_without_an_area_that_of_a_person_is_a_share_of_the_box(people):
    del people.content["annotations"][0]["area"]

    assert opened(people, task="pose")[0].areas.tolist() == [400]
    assert opened(people)[0].areas.tolist() == [800]


def test_people_have_joints_where_they_are_labelled(people):
    samples = opened(people, task="pose")
    truth = samples[0].truth

    assert type(truth) is Poses
    assert truth.keypoint_scores[0].nonzero().flatten().tolist() == [0, 5, 6]
    assert truth.keypoints[0, 5].tolist() == [16, 20]
    assert samples[0].areas.tolist() == [300]
    assert len(samples[1].truth) == 0
    assert samples.with_objects().names == ["a.jpg"]
    assert len(samples.with_objects()[0].truth) == 1


def test_a_box_without_area_is_left_out_with_a_warning(coco, caplog):
    coco.content["annotations"][0]["bbox"] = [4, 6, 20, 0]

    assert len(opened(coco)[0].truth) == 0
    assert "annotation 1: left out 1 boxes without area" in caplog.text


@pytest.mark.parametrize(
    ("key", "row", "change", "message"),
    [
        ("images", 1, {"file_name": "c.jpg"}, r"no image c\.jpg in .*images \(1 of 2 are missing"),
        ("images", 1, {"id": 10}, "image id is used twice"),
        ("images", 0, {"id": "x"}, "entry 1 of images has the id 'x', expected an integer"),
        ("images", 0, {"file_name": ""}, "entry 1 of images has the file_name '', expected text"),
        ("images", 0, {"width": None}, r"entry 1 of images has the height, width \[48, None\]"),
        ("images", 0, {"height": 0}, "expected positive integers or neither"),
        ("categories", 0, {"id": 3}, "the category id 3 is used twice"),
        ("categories", 0, {"name": "cup"}, "two categories have one name; there are cup"),
        ("annotations", 1, {"image_id": [9]}, r"entry 2 of annotations has the image_id \[9\]"),
        ("annotations", 0, {"area": "big"}, "annotation 1: area is 'big', expected square pixels"),
        ("annotations", 2, {"iscrowd": "0"}, "annotation 3: iscrowd is '0', expected 0 or 1"),
        ("annotations", 2, {"iscrowd": 2}, "annotation 3: iscrowd is 2, expected 0 or 1"),
        ("annotations", 0, {"category_id": 9}, "annotation 1: category_id 9"),
        ("annotations", 1, {"image_id": 9}, "annotation 2: image_id 9"),
        ("annotations", 1, {"bbox": [1, 2, 3]}, r"annotation 2: bbox is \[1, 2, 3\]"),
        ("annotations", 1, {"bbox": [9, 9, -4, 5]}, r"annotation 2: .* is inverted"),
        ("annotations", 1, {"bbox": [90, 9, 4, 5]}, r"annotation 2: .* outside the image of 64x48"),
        ("annotations", 1, {"bbox": [0, 0, float("nan"), 5]}, "annotation 2: .* not finite"),
    ],
)
def test_a_wrong_entry_is_named(coco, key, row, change, message):
    coco.content[key][row].update(change)

    with pytest.raises(DataError, match=message):
        opened(coco)


def test_without_a_size_in_the_label_a_box_is_compared_with_the_image(coco):
    del coco.content["images"][1]["height"], coco.content["images"][1]["width"]
    coco.content["annotations"][1]["bbox"] = [90, 9, 4, 5]
    samples = opened(coco)

    with pytest.raises(DataError, match=r"b\.jpg: .* box \(90, 9, 94, 14\) lies outside .* 64x48"):
        samples[1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", r"instances\.json: not a JSON file: .*line 1"),
        ("[]", "no list of images"),
        ('{"images": [{"id": 1}]}', "entry 1 of images has no file_name"),
        ('{"images": [7]}', "entry 1 of images is 7, expected keys and values"),
        ('{"images": [], "categories": []}', "no list of annotations"),
    ],
)
def test_another_form_of_file_is_named(coco, text, message):
    coco.annotations.write_text(text)

    with pytest.raises(DataError, match=message):
        open_coco(coco.annotations, coco.images, "detection2d")


def test_an_unknown_class_name_is_an_error(coco):
    with pytest.raises(DataError, match="no category 'spoon'; there are cup, fork"):
        opened(coco, class_names=("spoon",))


def test_boxes_cannot_teach_a_pose(coco):
    with pytest.raises(DataError, match="annotation 1: keypoints has 0 numbers"):
        opened(coco, task="pose")
    coco.content["annotations"][0]["keypoints"] = None
    with pytest.raises(DataError, match="annotation 1: keypoints has 0 numbers"):
        opened(coco, task="pose")


@pytest.mark.parametrize("value", ["x", None, float("nan")])
def test_joints_that_are_no_numbers_are_named(people, value):
    people.content["annotations"][0]["keypoints"][4] = value

    with pytest.raises(DataError, match=r"annotation 1: keypoints holds .*, expected numbers"):
        opened(people, task="pose")


@pytest.mark.parametrize(
    ("split", "task", "count"),
    [
        ("instances_train2017_subset", "detection2d", 80),
        ("instances_val2017_subset", "detection2d", 80),
        ("person_keypoints_train2017_subset", "pose", 36),
        ("person_keypoints_val2017_subset", "pose", 60),
    ],
)
def test_real_files_load_whole(split, task, count):
    path = DATA / "annotations" / f"{split}.json"
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    samples = open_coco(path, DATA / "images" / split.split("_")[-2], task)

    assert len(samples) == count
    if task == "detection2d":
        assert samples.class_names == COCO_CLASSES
    rows = json.loads(path.read_bytes())["annotations"]
    assert len(samples.boxes) == len(rows)
    assert samples.ignored.sum() == sum(row["iscrowd"] for row in rows)
    for index in range(0, count, 10):
        height, width = samples[index].image.shape[:2]
        assert (samples[index].truth.boxes <= torch.tensor([width, height] * 2) + 1).all()
