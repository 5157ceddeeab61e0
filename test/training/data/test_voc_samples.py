"""VOC's folders become samples; what is wrong in them is named with file and line."""

from pathlib import Path

import pytest
import torch

from training.data.sample import DataError
from training.data.voc import open_voc

DATA = Path(__file__).parents[4] / "shared" / "data" / "voc"


def test_boxes_are_counted_from_zero(voc):
    samples = open_voc([voc.folder])

    assert samples.class_names == ("cat", "dog")
    assert samples.names == ["one", "two"]
    torch.testing.assert_close(samples[0].truth.boxes, torch.tensor([[0.0, 0, 32, 24]]))
    torch.testing.assert_close(samples[1].truth.boxes, torch.tensor([[4.0, 5, 7, 8]]))
    assert samples[1].truth.labels.tolist() == [1]


def test_difficult_objects_are_ignored_or_objects(voc):
    samples = open_voc([voc.folder])

    assert samples[0].ignored.labels.tolist() == [1]
    assert samples.with_ignored_as_objects()[0].truth.labels.tolist() == [0, 1]


def test_a_list_chooses_the_images_of_every_folder(voc, tmp_path):
    samples = open_voc([voc.folder, voc.folder], "train.txt", ("dog", "cat"))

    assert samples.names == ["one", "one"]
    assert samples[0].truth.labels.tolist() == [1]


@pytest.mark.parametrize(
    ("objects", "message"),
    [
        ([("cat", 0, (1, 1, 9, 9)), ("cow", 0, (1, 1, 9, 9))], r"two\.xml, line 13: .* 'cow'"),
        ([("cat", 0, (1, 1, "x", 9))], r"two\.xml, line 3: xmax is 'x'"),
        ([("", 0, (1, 1, 9, 9))], r"two\.xml, line 3: the object has no name"),
        ([("cat", 0, (9, 1, 4, 9))], r"two\.xml, line 3: .* inverted"),
        ([("cat", 0, (1, 100, 4, 109))], r"two\.xml, line 3: .* outside the image of 64x48"),
    ],
)
def test_a_wrong_object_is_named_with_its_line(voc, objects, message):
    voc.write("two", *objects)

    with pytest.raises(DataError, match=message):
        open_voc([voc.folder], class_names=("cat", "dog"))


def test_a_file_that_is_no_xml_is_named(voc):
    voc.write_text("two", "<object>")

    with pytest.raises(DataError, match=r"two\.xml: not an XML file"):
        open_voc([voc.folder])


def test_a_file_of_another_form_is_named(voc):
    path = voc.folder / "Annotations" / "two.xml"
    path.write_text("<html><object/></html>")

    with pytest.raises(DataError, match=r"two\.xml: the file holds 'html', expected VOC's 'anno"):
        open_voc([voc.folder])


def test_a_folder_without_annotations_is_named(voc):
    with pytest.raises(DataError, match=r"typo/Annotations: no such folder"):
        open_voc([voc.folder, voc.folder / "typo"])
    hidden = voc.folder / "Annotations" / ".checkpoints"
    hidden.mkdir()
    for path in hidden.parent.glob("*.xml"):
        path.rename(hidden / path.name)
    with pytest.raises(DataError, match=r"Annotations: holds no \.xml file"):
        open_voc([voc.folder])


def test_annotations_and_images_may_lie_in_folders(voc):
    voc.write("camera.0/frame.1", ("cow", 0, (5, 6, 7, 8)))
    (voc.folder / "train.txt").write_text("camera.0/frame.1\none\n")

    samples = open_voc([voc.folder])
    assert samples.names == ["camera.0/frame.1", "one", "two"]
    assert samples[0].truth.labels.tolist() == [samples.class_names.index("cow")]
    assert samples[0].image.shape == (48, 64, 3)
    assert open_voc([voc.folder], "train.txt").names == ["camera.0/frame.1", "one"]


def test_an_image_belongs_to_the_annotation_in_the_same_folder(voc):
    voc.write("camera/three", ("cat", 0, (5, 6, 7, 8)))
    images = voc.folder / "JPEGImages"
    (images / "camera" / "three.jpg").rename(images / "three.jpg")

    with pytest.raises(DataError, match=r"no image three\.\* in .*JPEGImages/camera \(1 of 3"):
        open_voc([voc.folder])


@pytest.mark.parametrize(
    "write",
    [
        lambda text: text.encode("utf-8-sig"),
        lambda text: b'<?xml version="1.0" encoding="gb2312"?>' + text.encode(),
        lambda text: b'<?xml version="1.0" encoding="ISO-8859-1"?>' + text.encode("latin1"),
        lambda text: text.encode("utf-16"),
    ],
    ids=["mark", "other", "latin1", "utf16"],
)
def test_annotations_may_be_written_in_other_encodings(voc, write):
    path = voc.folder / "Annotations" / "two.xml"
    path.write_bytes(write(path.read_text().replace("dog", "Käfer")))

    assert open_voc([voc.folder]).class_names == ("Käfer", "cat", "dog")


def test_an_object_in_a_comment_moves_no_line(voc):
    voc.write("two", ("dog", 0, (9, 1, 4, 9)))
    path = voc.folder / "Annotations" / "two.xml"
    path.write_text(path.read_text().replace("<size>", "<!-- <object> --> <size>"))

    with pytest.raises(DataError, match=r"two\.xml, line 3: .* inverted"):
        open_voc([voc.folder])


@pytest.mark.parametrize("suffix", [".JPEG", ".PNG", ".webp", ".tif"])
def test_images_may_have_any_ending(voc, suffix):
    path = voc.folder / "JPEGImages" / "two.jpg"
    path.rename(path.with_suffix(suffix))

    assert open_voc([voc.folder])[1].image.shape == (48, 64, 3)


def test_a_missing_image_is_named(voc):
    (voc.folder / "JPEGImages" / "two.jpg").unlink()

    with pytest.raises(DataError, match=r"no image two\.\* in .*JPEGImages \(1 of 2 are missing"):
        open_voc([voc.folder])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("one\nthree\n", r"three\.xml: No such file"),
        ("one\n\none\n", r"train\.txt, line 3: one is listed on line 1 too"),
        ("\n", r"train\.txt: the list is empty"),
    ],
)
def test_a_wrong_list_is_named(voc, text, message):
    (voc.folder / "train.txt").write_text(text)

    with pytest.raises(DataError, match=message):
        open_voc([voc.folder], "train.txt")


def test_a_missing_list_is_named(voc):
    with pytest.raises(DataError, match=r"val\.txt: No such file"):
        open_voc([voc.folder], "val.txt")


@pytest.mark.parametrize(
    ("folder", "list_file", "images", "classes"),
    [
        ("BCCD", "ImageSets/Main/trainval.txt", 292, 3),
        ("BCCD", "ImageSets/Main/test.txt", 72, 3),
        ("VOC2012_100", "", 100, 20),
    ],
)
def test_real_folders_load_whole(folder, list_file, images, classes):
    path = DATA / folder
    if not path.is_dir():
        pytest.skip(f"{path} is not there")
    samples = open_voc([path], list_file)

    assert len(samples) == images
    assert len(samples.class_names) == classes
    for index in range(0, images, 20):
        assert len(samples[index].truth) > 0
