"""Every mistake that is planted in a data set is named, and a sound one passes."""

from pathlib import Path

import cv2
import pytest

from training.check.__main__ import main

DATA = Path(__file__).parents[4] / "shared" / "data"


@pytest.fixture
def check(tmp_path, capsys):
    """Run the command; gives its exit status and what it prints."""

    def run(*arguments):
        status = main([*map(str, arguments), "--sheet", str(tmp_path / "sheet.png")])
        return status, capsys.readouterr().out

    return run


def coco_check(check, coco):
    coco.write()
    return check(coco.annotations, "--images", coco.images)


def test_a_sound_coco_set_passes_with_its_counts(check, coco, tmp_path):
    status, text = coco_check(check, coco)

    assert status == 0
    assert "nothing wrong was found" in text
    assert "coco: 2 images, 3 objects" in text
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
        ("annotations", 1, {"id": 1}, "ERROR: duplicate id", "annotation id 1 is used 2 times"),
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
        ("annotations", 1, {"bbox": [30, 8, 5, 0]}, "ERROR: box without area", "annotation 2"),
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


@pytest.mark.parametrize(
    ("numbers", "kind"),
    [
        ([90, 10, 2], "joint outside (1)"),
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


@pytest.mark.parametrize("keypoints", [{}, {"keypoints": None}])
def test_people_without_joints_among_others_are_named(check, people, keypoints):
    people.content["annotations"].append(people.annotation(2, 11, 1, [9, 9, 9, 9], **keypoints))

    assert "annotation 2: keypoints has 0 numbers" in coco_check(check, people)[1]


def test_categories_that_were_not_asked_for_are_background(check, coco):
    coco.content["annotations"][1]["bbox"] = [90, 9, 9, 9]
    coco.content["annotations"][1]["category_id"] = 7
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


def test_a_sound_voc_set_passes(check, voc):
    assert check(voc.folder)[0] == 0
    assert "voc: 1 images, 2 objects" in check(voc.folder, "--list", "train.txt")[1]


@pytest.mark.parametrize(
    ("objects", "kind", "message"),
    [
        ([("cow", 0, (1, 1, 9, 9))], "ERROR: unknown class", "two.xml, line 3: 'cow'"),
        (
            [("", 0, (1, 1, 9, 9))],
            "ERROR: unknown class",
            "two.xml, line 3: the object has no name",
        ),
        ([("dog", 0, (1, "a", 9, 9))], "ERROR: unreadable label", "two.xml, line 3"),
        ([("dog", 0, (9, 1, 4, 9))], "ERROR: inverted box", "two.xml, line 3"),
        (
            [("dog", 0, (0, i, 9, 9 + i)) for i in range(3)],
            "warning: 0-based coordinates",
            "3 boxes",
        ),
        ([("dog", 0, (40, i, 9, 20)) for i in range(6)], "ERROR: wrong box format", "x, y, width"),
    ],
)
def test_a_mistake_in_a_voc_set_is_named(check, voc, objects, kind, message):
    voc.write("two", *objects)
    voc.write("one", ("cat", 0, (1, 1, 32, 24)))

    status, text = check(voc.folder, "--classes", "cat,dog")

    assert kind in text
    assert message in text
    assert status == kind.startswith("ERROR")


def test_a_voc_annotation_that_is_no_xml_is_named(check, voc):
    voc.write_text("two", "<object>")

    status, text = check(voc.folder)

    assert status == 1
    assert "two.xml: not an XML file" in text


def test_images_without_an_annotation_and_annotations_that_are_not_read_are_named(check, voc):
    labels = voc.folder / "Annotations"
    (labels / "inner").mkdir()
    (labels / "two.xml").rename(labels / "inner" / "two.xml")
    (labels / "three.XML").write_text("<annotation/>")

    status, text = check(voc.folder)

    assert status == 0
    assert "2 annotations are not read, the first is inner/two.xml" in text
    assert "1 images have no annotation, the first is two.jpg" in text
    assert "no annotation" not in check(voc.folder, "--list", "train.txt")[1]


def test_a_voc_folder_without_annotations_is_an_error(check, voc):
    for path in (voc.folder / "Annotations").iterdir():
        path.unlink()

    assert check(voc.folder)[0] == 1


def test_frames_without_a_label_are_named(check, seen_car):
    seen_car.label("000001").unlink()

    status, text = check(seen_car.folder)

    assert status == 0
    assert "warning: image without label (1)" in text
    assert "1 images have no annotation, the first is 000001.png" in text
    seen_car.label("000000").unlink()
    assert check(seen_car.folder)[0] == 1


# The camera sees the car of the label where the label says.
KITTI_P2 = "P2: 40 0 21 0 0 40 3.5 0 0 0 1 0\n"
CAR = "Car 0.00 0 0.00 {box} 1.50 1.60 3.90 0.00 1.70 5.00 -1.57\n"


@pytest.fixture
def seen_car(kitti):
    """A frame whose car appears where its 2D box is."""
    kitti.label("000000").write_text(CAR.format(box="11 5 31 21"))
    kitti.calib("000000").write_text(KITTI_P2)
    return kitti


def test_a_sound_kitti_set_passes_but_for_its_empty_frame(check, seen_car):
    status, text = check(seen_car.folder)

    assert status == 0
    assert "kitti: 2 images, 1 objects" in text
    assert "warning: empty image (1)" in text
    assert "ERROR" not in text


@pytest.mark.parametrize(
    ("calibration", "message"),
    [
        (KITTI_P2.replace("21 0", "55 0"), "appear elsewhere than its 2D boxes"),
        ("P0: 1\n", "no P2 in the calibration"),
        (f"P2: {'0 ' * 12}", "no positive focal length"),
    ],
)
def test_a_wrong_calibration_is_named(check, seen_car, calibration, message):
    seen_car.calib("000000").write_text(calibration)

    status, text = check(seen_car.folder.parent)

    assert status == 1
    assert "ERROR: wrong calibration (1)" in text
    assert message in text


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (CAR.format(box="11 5 31 21").replace("Car", "Bus"), "unknown class"),
        (CAR.format(box="11 5 31"), "unreadable label"),
        (CAR.format(box="11 5 31 21").replace("3.90", "-1"), "wrong size in space"),
        (CAR.format(box="11 5 31 21").replace("5.00", "-5.00"), "wrong place in space"),
        ("".join(CAR.format(box=f"40 {i} 9 20") for i in range(4)), "wrong box format"),
    ],
)
def test_a_mistake_in_a_kitti_set_is_named(check, kitti, text, kind):
    kitti.label("000000").write_text(text)

    status, printed = check(kitti.folder)

    assert status == 1
    assert f"ERROR: {kind}" in printed
    assert "000000.txt" in printed


def test_a_single_object_behind_the_camera_is_a_warning(check, kitti):
    lines = [CAR.format(box=f"{i} 5 31 21") for i in range(11)]
    lines[7] = lines[7].replace("5.00", "-5.00")
    kitti.label("000000").write_text("".join(lines))

    text = check(kitti.folder)[1]

    assert "warning: wrong place in space (1)" in text
    assert "000000.txt, line 8: the location (0.0, 1.7, -5.0)" in text


@pytest.mark.parametrize(
    ("box", "kind"), [("40 9 20 30", "inverted box"), ("90 9 99 30", "box outside")]
)
def test_regions_without_labels_need_sound_boxes_too(check, seen_car, box, kind):
    with seen_car.label("000000").open("a") as file:
        file.write(f"DontCare -1 -1 -10 {box} -1 -1 -1 -1000 -1000 -1000 -10\n")

    status, text = check(seen_car.folder)

    assert status == 1
    assert f"ERROR: {kind} (1)" in text
    assert "000000.txt, line 2" in text
    assert "kitti: 2 images, 1 objects" in text


@pytest.mark.parametrize("part", ["image_2/000001.png", "calib/000001.txt", "label_2/000001.txt"])
def test_a_missing_file_of_a_frame_is_named(check, seen_car, part):
    (seen_car.folder / part).unlink()
    (seen_car.folder / "frames.txt").write_text("000000\n000001\n")

    status, text = check(seen_car.folder, "--list", "frames.txt")

    assert status == 1
    assert part.replace("image_2/000001.png", "no image 000001.* in") in text


def test_a_folder_of_no_known_form_is_an_error(tmp_path, capsys):
    assert main([str(tmp_path)]) == 1
    assert "expected a JSON file in COCO's form" in capsys.readouterr().err


def test_two_names_for_one_frame_are_an_error(check, seen_car):
    (seen_car.folder / "frames.txt").write_text("000000\n000000\n")

    status, text = check(seen_car.folder, "--list", "frames.txt")

    assert status == 1
    assert "000000 is listed on line 1 too" in text


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
