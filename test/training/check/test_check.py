"""Every mistake that is planted in a file of COCO's form is named; real data passes."""

import io
from pathlib import Path

import cv2
import numpy as np
import pytest

from training.check.__main__ import main

DATA = Path(__file__).parents[4] / "shared" / "data"


def coco_check(check, coco):
    coco.write()
    return check(coco.annotations, "--images", coco.images)


def test_a_sound_coco_set_passes_with_its_counts(check, coco, tmp_path):
    coco.content["annotations"][2]["iscrowd"] = 0

    status, text = coco_check(check, coco)

    assert status == 0
    assert "nothing wrong was found" in text
    assert "coco: 2 images, 3 objects" in text
    assert "neither learnt" not in text
    assert "image sizes: 64x48 (2)" in text
    assert cv2.imread(str(tmp_path / "sheet.png")).shape == (2 * 318, 400, 3)


@pytest.mark.parametrize(
    ("key", "row", "change", "kind", "message"),
    [
        ("images", 0, {"file_name": "c.jpg"}, "ERROR: missing file (1)", "c.jpg"),
        (
            "images",
            0,
            {"height": 47},
            "ERROR: wrong image size",
            "64x48 pixels, but its label says 64x47",
        ),
        ("images", 1, {"id": 10}, "ERROR: duplicate id", "image id 10 is used 2 times"),
        ("images", 1, {"file_name": "a.jpg"}, "ERROR: duplicate id", "file_name a.jpg is used 2"),
        ("annotations", 1, {"id": 1}, "warning: duplicate id", "annotation id 1 is used 2 times"),
        (
            "annotations",
            1,
            {"category_id": 9},
            "ERROR: unknown class",
            "annotation 2: category_id 9",
        ),
        ("images", 0, {"id": None}, "ERROR: unreadable label", "entry 1 of images: it has the id"),
        ("images", 0, {"width": "64"}, "ERROR: unreadable label", "[48, '64'], expected positive"),
        ("categories", 0, {"name": "cup"}, "ERROR: duplicate id", "category name cup is used 2"),
        ("annotations", 1, {"image_id": 9}, "ERROR: unknown image", "annotation 2: image_id 9"),
        ("annotations", 1, {"bbox": "x"}, "ERROR: unreadable label", "annotation 2: bbox is 'x'"),
        ("annotations", 1, {"area": "9"}, "ERROR: unreadable label", "annotation 2: area is '9'"),
        ("annotations", 1, {"iscrowd": "0"}, "ERROR: unreadable label", "2: iscrowd is '0'"),
        ("annotations", 1, {"bbox": [30, 8, -5, 9]}, "ERROR: inverted box", "annotation 2"),
        ("annotations", 1, {"bbox": [30, 8, 5, 0]}, "warning: box without area", "annotation 2"),
        ("annotations", 1, {"bbox": [70, 8, 5, 9]}, "ERROR: box outside", "annotation 2"),
        ("annotations", 1, {"bbox": [50, 8, 25, 9]}, "warning: box beyond", "by 11 pixels"),
        ("annotations", 1, {"bbox": [0, 0, float("inf"), 9]}, "ERROR: no number", "annotation 2"),
        ("annotations", 1, {"category_id": 7}, "warning: empty image", ""),
        ("annotations", 0, {"category_id": 3}, "warning: unused class", "fork has no object"),
        (
            "annotations",
            2,
            {"bbox": [4, 6, 20, 10], "category_id": 7},
            "warning: duplicate object",
            "2 times",
        ),
    ],
)
def test_a_mistake_in_a_coco_set_is_named(check, coco, key, row, change, kind, message):
    coco.content[key][row].update(change)
    if kind == "warning: empty image":
        coco.content[key][row]["image_id"] = 10

    status, text = coco_check(check, coco)

    assert kind in text
    assert message in text
    assert status == kind.startswith("ERROR")


def crowds_among(check, coco, crowds, objects):
    """Check so many objects, the first ones crowds: a fork and cups."""
    coco.content["annotations"] = [
        coco.annotation(i, 10 + i % 2, 3 if i else 7, [i, 5, 20, 40], iscrowd=int(i < crowds))
        for i in range(objects)
    ]
    return coco_check(check, coco)


def test_crowds_are_counted_and_many_are_a_warning(check, coco):
    status, text = crowds_among(check, coco, 2, 40)
    assert status == 0
    assert "2 images, 40 objects, 2 of them crowds or difficult: neither learnt nor back" in text
    assert "ignored objects" not in text

    status, text = crowds_among(check, coco, 3, 40)
    assert status == 0
    assert "warning: ignored objects (1)" in text
    assert "annotation 0: 3 of 40 objects are marked iscrowd: 1" in text
    assert "data.ignored_as_objects: true" in text


def test_crowds_alone_are_an_error(check, coco):
    status, text = crowds_among(check, coco, 3, 3)

    assert status == 1
    assert "ERROR: ignored objects (1)" in text
    assert "3 of 3 objects are marked iscrowd: 1" in text
    assert "unused class" not in text


def test_a_class_of_crowds_alone_is_named(check, coco):
    text = crowds_among(check, coco, 1, 40)[1]

    assert "warning: unused class (1)" in text
    assert "fork has no object but crowds or difficult ones" in text


def test_crowds_take_no_slots_and_no_cells(check, coco):
    coco.content["annotations"] = [
        coco.annotation(i, 10, 3, [5, 5, 20, 20 + i / 1000], iscrowd=int(i < 2)) for i in range(130)
    ]
    text = coco_check(check, coco)[1]

    assert "more objects than slots" not in text
    assert f"centres in one cell: {128 * 127 // 2}" in text


@pytest.mark.parametrize(
    ("rotation", "named"), [(30.5, True), (-90, True), (0.0, False), (360, False), ("30", False)]
)
def test_a_turned_box_is_a_warning(check, coco, rotation, named):
    attributes = {"occluded": False, "rotation": rotation}
    coco.content["annotations"][0]["attributes"] = attributes

    status, text = coco_check(check, coco)

    assert status == 0
    assert ("warning: rotated box (1)" in text) == named
    assert (f"annotation 1: attributes.rotation is {rotation}," in text) == named


def test_a_category_that_only_groups_others_is_no_class(check, coco):
    for row in coco.content["categories"]:
        row["supercategory"] = "cup"
    coco.content["categories"].insert(0, {"id": 0, "name": "cup", "supercategory": "none"})

    status, text = coco_check(check, coco)

    assert status == 0
    assert "duplicate id" not in text
    assert "unused class" not in text


def test_a_bar_shows_on_a_terminal_how_far_it_is(check, coco, voc, monkeypatch):
    files = []
    for is_terminal in (False, True):
        files.append(io.StringIO())
        monkeypatch.setattr(files[-1], "isatty", lambda told=is_terminal: told)
        monkeypatch.setattr("sys.stderr", files[-1])
        coco_check(check, coco)
        check(voc.folder)

    assert files[0].getvalue() == ""
    assert files[1].getvalue().count("labels:   0%") == 1
    assert files[1].getvalue().count("images:   0%") == 2


@pytest.mark.parametrize(
    ("numbers", "kind"),
    [
        ([90, 10], "wrong joints (1)"),
        ([9, 10, 2, 9, 10, 2], "wrong joints (1)"),
        ([9, "x", 2], "wrong joints (1)"),
        ([9, float("nan"), 2], "wrong joints (1)"),
    ],
)
def test_wrong_joints_are_named(check, people, numbers, kind):
    people.content["annotations"][0]["keypoints"][:3] = numbers

    status, text = coco_check(check, people)

    assert status == 1
    assert f"ERROR: {kind}" in text
    assert "annotation 1" in text
    assert "2 images, 1 objects" in text


def test_a_joint_outside_its_image_is_a_warning(check, people):
    people.content["annotations"][0]["keypoints"][:3] = [90, 10, 2]

    status, text = coco_check(check, people)

    assert status == 0
    assert "warning: joint outside (1)" in text


@pytest.mark.parametrize("keypoints", [{}, {"keypoints": None}])
def test_people_without_joints_among_others_matter_to_poses_alone(check, people, keypoints):
    people.content["annotations"].append(people.annotation(2, 11, 1, [9, 9, 9, 9], **keypoints))

    status, text = coco_check(check, people)
    assert status == 0
    assert "warning: wrong joints (1)" in text
    assert "annotation 2: keypoints has 0 numbers" in text
    arguments = (people.annotations, "--images", people.images, "--task")
    assert check(*arguments, "detection2d")[0] == 0
    assert "wrong joints" not in check(*arguments, "detection2d")[1]
    status, text = check(*arguments, "pose")
    assert status == 1
    assert "ERROR: wrong joints (1)" in text


def test_poses_want_joints_of_every_object(check, coco):
    arguments = (coco.annotations, "--images", coco.images)

    assert check(*arguments)[0] == 0
    assert "ERROR: wrong joints (3)" in check(*arguments, "--task", "multi_pose")[1]


def test_more_people_than_slots_are_named(check, people):
    person = people.content["annotations"][0]
    people.content["annotations"] = [{**person, "id": i, "bbox": [i, 5, 20, 40]} for i in range(33)]

    assert "33 objects in one image, of which pose learns" in coco_check(check, people)[1]


def test_categories_that_were_not_asked_for_are_background(check, coco):
    coco.content["annotations"][1]["bbox"] = [90, 9, 9, 9]
    coco.content["annotations"][1]["category_id"] = 7
    coco.content["annotations"][2]["iscrowd"] = 0
    coco.write()
    arguments = (coco.annotations, "--images", coco.images, "--classes")

    status, text = check(*arguments, " cup,")
    assert status == 0
    assert "coco: 2 images, 1 objects" in text
    status, text = check(*arguments, "cup, spoon")
    assert status == 1
    assert "ERROR: unknown class (1)" in text
    assert "no category 'spoon'; there are fork, cup" in text


def boxes_of(coco, *boxes):
    coco.content["annotations"] = [
        coco.annotation(i, 10 + i % 2, 3 if i % 2 else 7, list(box)) for i, box in enumerate(boxes)
    ]


@pytest.mark.parametrize(
    ("boxes", "kind"),
    [
        ([(0.1, 0.2, 0.3, 0.2), (0.5, 0.5, 0.2, 0.2), (0, 0, 1, 1)], "normalised coordinates"),
        ([(30, 20, 60, 40), (40, 9, 64, 40), (33, 25, 50, 48)], "wrong box format"),
        ([(1, 5, 9, 9), (20, 1, 45, 9), (1, 1, 64, 48), (40, 9, 10, 10)], "1-based coordinates"),
    ],
)
def test_a_habit_of_a_coco_file_is_named(check, coco, boxes, kind):
    boxes_of(coco, *boxes)

    status, text = coco_check(check, coco)

    assert status == 1
    assert f"ERROR: {kind} (1)" in text


def test_images_that_cannot_be_used_are_named(check, coco):
    (coco.images / "a.jpg").write_bytes(b"no image")
    content = (coco.images / "b.jpg").read_bytes()
    (coco.images / "b.jpg").write_bytes(content[:-100])

    status, text = coco_check(check, coco)

    assert status == 1
    assert "unreadable image (2)" in text
    assert "a.jpg: not an image" in text
    assert "b.jpg: the file is cut off" in text


def test_an_image_that_is_too_large_is_named(check, coco):
    cv2.imwrite(str(coco.images / "a.png"), np.zeros((1, 32767, 3), np.uint8))
    coco.content["images"][0].update(file_name="a.png", height=1, width=32767)
    coco.content["annotations"] = coco.content["annotations"][1:2]

    status, text = coco_check(check, coco)

    assert status == 1
    assert "a.png: the image is 32767x1 pixels, but no side may exceed 32766" in text


def test_a_camera_that_was_held_upright_is_named(check, coco):
    path = coco.images / "a.jpg"
    entry = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    exif = b"Exif\0\0" + entry
    content = path.read_bytes()
    length = (len(exif) + 2).to_bytes(2, "big")
    path.write_bytes(content[:2] + b"\xff\xe1" + length + exif + content[2:])

    status, text = coco_check(check, coco)

    assert status == 0
    assert "warning: EXIF rotation (1)" in text
    assert "EXIF orientation 6" in text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not a file in COCO's form"),
        ('{"images": []}', "not a file in COCO's form: KeyError('categories')"),
        ('{"images": {}, "categories": [], "annotations": []}', "images is {}, expected a list"),
        ('{"images": [7], "categories": [], "annotations": []}', "entry 1 of images: it is 7"),
        ('{"images": [], "categories": [], "annotations": []}', "there is not one image"),
    ],
)
def test_a_file_of_another_form_is_named(check, coco, content, message):
    coco.annotations.write_text(content)

    status, text = check(coco.annotations)

    assert status == 1
    assert message in text


def test_a_few_places_of_a_kind_are_named_or_all(check, coco):
    boxes_of(coco, *[(9 * i, 9, -5, 9) for i in range(5)])
    coco.write()
    arguments = (coco.annotations, "--images", coco.images)

    text = check(*arguments)[1]
    assert text.count("is inverted") == 3
    assert "... and 2 more (--all names them)" in text
    assert check(*arguments, "--all")[1].count("is inverted") == 5


def test_collisions_are_counted(check, coco):
    boxes_of(coco, (4, 4, 10, 10), (30, 30, 10, 10), (5, 5, 9, 9), (40, 8, 8, 8))

    assert "centres in one cell: 1" in coco_check(check, coco)[1]


def test_a_folder_of_no_known_form_is_an_error(tmp_path, capsys):
    assert main([str(tmp_path)]) == 1
    assert "expected a JSON file in COCO's form" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("coco", "--list", "val.txt"), "--list chooses images of a folder in VOC's or KITTI's"),
        (("voc", "--images", "photos"), "--images tells where the images of a JSON file lie"),
        (("kitti", "--images", "photos"), "--images tells where the images of a JSON file lie"),
        (("voc", "--task", "pose"), "--task pose: voc data has truth for detection2d alone"),
        (("kitti", "--task", "pose"), "kitti data has truth for detection2d, detection3d alone"),
        (("coco", "--task", "ddd"), "coco data has truth for detection2d, pose alone"),
    ],
)
def test_options_without_use_are_refused(request, capsys, options, message):
    form, *options = options
    data = request.getfixturevalue(form)

    assert main([str(data.annotations if form == "coco" else data.folder), *options]) == 1
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ("coco/annotations/instances_val2017_subset.json", "--images", "coco/images/val2017"),
        (
            "coco/annotations/person_keypoints_train2017_subset.json",
            "--images",
            "coco/images/train2017",
        ),
        ("voc/VOC2012_100",),
        ("voc/BCCD", "--list", "ImageSets/Main/test.txt"),
        ("kitti", "--list", "ImageSets/val.txt"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_real_data_is_sound(check, arguments):
    if not (DATA / arguments[0]).exists():
        pytest.skip(f"{DATA / arguments[0]} is not there")
    paths = [DATA / a if (DATA / a).exists() else a for a in arguments]

    status, text = check(*paths)

    assert status == 0, text
