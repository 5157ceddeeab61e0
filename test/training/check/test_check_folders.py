"""Every mistake that is planted in a folder of VOC's or KITTI's form is named."""

import shutil

import pytest


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
    voc.write("camera/three", ("dog", 0, (5, 6, 7, 8)))
    for name in ("two.xml", "camera/three.xml"):
        (labels / name).rename((labels / name).with_suffix(".XML"))

    status, text = check(voc.folder)

    assert status == 0
    assert "2 annotations are not read, the first is camera/three.XML: expected the" in text
    assert "2 images have no annotation, the first is camera/three.jpg" in text
    assert "no annotation" not in check(voc.folder, "--list", "train.txt")[1]


def test_annotations_and_images_may_lie_in_folders(check, voc):
    voc.write("camera/three", ("dog", 0, (9, 6, 4, 8)))

    status, text = check(voc.folder)

    assert status == 1
    assert "voc: 3 images, 4 objects" in text
    assert "Annotations/camera/three.xml, line 3: the box" in text
    assert "no annotation" not in text
    (voc.folder / "JPEGImages" / "camera" / "three.jpg").unlink()
    assert "no image three.* in" in check(voc.folder)[1]


def test_difficult_objects_are_counted_and_alone_an_error(check, voc):
    status, text = check(voc.folder)
    assert status == 0
    assert "3 objects, 1 of them crowds or difficult: neither learnt nor background" in text
    assert "one.xml, line 13: 1 of 3 objects are marked difficult" in text

    voc.write("one", ("cat", 1, (1, 1, 32, 24)))
    voc.write("two", ("dog", " 1 ", (5, 6, 7, 8)))
    status, text = check(voc.folder)
    assert status == 1
    assert "ERROR: ignored objects (1)" in text


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
CAR = "Car 0.00 0 -1.57 {box} 1.50 1.60 3.90 0.00 1.70 5.00 -1.57\n"


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


FLAT = "Car 0.00 0 0.00 {box} -1 -1 -1 -1000 -1000 -1000 -10\n"


def test_boxes_alone_in_kittis_form_are_no_error_but_for_3d(check, seen_car):
    seen_car.label("000000").write_text(FLAT.format(box="11 5 31 21"))

    status, text = check(seen_car.folder)
    assert status == 0
    assert "warning: no size in space (1)" in text
    assert "in space" not in check(seen_car.folder, "--task", "detection2d")[1]
    status, text = check(seen_car.folder, "--task", "ddd")
    assert status == 1
    assert "ERROR: wrong size in space (1)" in text


def test_boxes_alone_in_kittis_form_need_no_calibration(check, seen_car):
    shutil.rmtree(seen_car.folder / "calib")

    assert "ERROR: wrong calibration (2)" in check(seen_car.folder)[1]
    status, text = check(seen_car.folder, "--task", "detection2d")
    assert status == 0
    assert "calibration" not in text
    seen_car.label("000000").write_text(FLAT.format(box="11 5 31 21"))
    status, text = check(seen_car.folder)
    assert status == 0
    assert "good for detection2d alone" in text
    assert "ERROR: wrong calibration (2)" in check(seen_car.folder, "--task", "ddd")[1]


def test_a_wrong_3d_label_matters_to_3d_alone(check, seen_car):
    wrong = CAR.format(box="11 5 31 21").replace("3.90", "0.00")
    seen_car.label("000001").write_text(wrong)
    (seen_car.folder / "calib/000000.txt").write_text(KITTI_P2.replace("21 0", "55 0"))

    assert check(seen_car.folder)[0] == 1
    assert check(seen_car.folder, "--task", "detection2d")[0] == 0


def turned(count, alpha, *, place="1.00 1.70 5.00", yaw="-1.57"):
    """Lines of so many cars, whose alpha should be -1.77 where nothing else is said."""
    line = CAR.replace("-1.57 {box}", f"{alpha} {{box}}").replace("0.00 1.70 5.00 -1.57", "{end}")
    return "".join(line.format(box=f"{i} 5 31 21", end=f"{place} {yaw}") for i in range(count))


@pytest.mark.parametrize(
    ("lines", "kind", "message"),
    [
        (turned(4, -1.57), "ERROR: wrong angle", "not that of rotation_y and place for 4 of 4 obj"),
        (turned(3, -1.57) + turned(2, -1.77), "ERROR: wrong angle", "for 3 of 5 objects"),
        (turned(3, -10), "ERROR: wrong angle", "alpha is -10 for all 3 objects"),
        (turned(3, 0), "ERROR: wrong angle", "alpha is 0 for all 3 objects"),
        (turned(3, 0, place="0 2 9", yaw=0), "warning: wrong angle", "alpha is 0 for all 3 obj"),
    ],
)
def test_an_alpha_that_yaw_and_place_contradict_is_named(check, kitti, lines, kind, message):
    kitti.label("000000").write_text(lines)

    text = check(kitti.folder)[1]

    assert f"{kind} in space (1)" in text
    assert message in text
    assert "expected rotation_y - atan2(x, z), which is" in text
    assert "wrong angle" not in check(kitti.folder, "--task", "detection2d")[1]


@pytest.mark.parametrize(
    "lines",
    [turned(3, -1.7), turned(3, 4.51), turned(3, -1.77) + turned(3, -1.57), turned(2, -1.57)],
)
def test_a_sound_alpha_is_not_named(check, kitti, lines):
    kitti.label("000000").write_text(lines)

    assert "wrong angle" not in check(kitti.folder)[1]


def test_more_objects_than_slots_are_named(check, voc, kitti):
    voc.write("two", *[("dog", 0, (1 + i % 50, 1 + i // 50, 60, 40)) for i in range(129)])
    status, text = check(voc.folder)
    assert status == 0
    assert "warning: more objects than slots (1)" in text
    assert "129 objects in one image, of which detection2d learns" in text
    assert "the first 128 alone" in text

    kitti.label("000000").write_text(turned(51, -1.77))
    assert "of which detection3d" in check(kitti.folder)[1]
    assert "more objects" not in check(kitti.folder, "--task", "detection2d")[1]
    kitti.label("000000").write_text(turned(50, -1.77))
    assert "more objects" not in check(kitti.folder)[1]


def test_a_misspelt_class_of_kittis_form_is_an_error(check, seen_car):
    status, text = check(seen_car.folder, "--classes", "Car,Pedestrain")

    assert status == 1
    assert "ERROR: unused class (1)" in text
    assert "pedestrain has no object; known: pedestrian, car, cyclist, van" in text
    assert check(seen_car.folder, "--classes", "Car,Cyclist")[0] == 0


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


def test_two_names_for_one_frame_are_an_error(check, seen_car):
    (seen_car.folder / "frames.txt").write_text("000000\n000000\n")

    status, text = check(seen_car.folder, "--list", "frames.txt")

    assert status == 1
    assert "000000 is listed on line 1 too" in text
