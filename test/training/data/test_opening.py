"""A configuration opens the data that it names, with the same labels for both parts."""

import pytest

from training.config import OptimiserConfig, RunConfig
from training.data.loading import evaluation_batches, training_batches
from training.data.opening import (
    open_measured_samples,
    open_training_samples,
    open_validation_samples,
)
from training.data.sample import DataError
from training.sources import CocoSource, DataConfig, KittiSource, StreetSource, VocSource


def run(task, source, **data):
    return RunConfig(
        task=task,
        input_size=(32, 64),
        optimiser=OptimiserConfig(batch_size=1, epochs=1),
        data=DataConfig(source.KIND, source, source, workers=0, **data),
    )


def coco_run(folder, task="detection2d", **data):
    return run(
        task, CocoSource(folder.annotations.name, "images"), root=str(folder.images.parent), **data
    )


def test_every_kind_opens_for_its_tasks(tmp_path, voc, kitti):
    root = str(tmp_path)
    street = run("ddd", StreetSource(3, 5))
    pascal = run("ctdet", VocSource((".",), "train.txt"), root=root)
    frames = run("detection3d", KittiSource("training", "frames.txt"), root=root)
    boxes = run("detection2d", KittiSource("training"), root=root)

    assert open_training_samples(street).class_names == ("pedestrian", "car", "cyclist")
    assert open_training_samples(pascal).names == ["one"]
    assert open_training_samples(frames).names == ["000001", "000000"]
    assert open_training_samples(boxes).names == ["000000", "000001"]


def test_crowds_are_objects_of_the_training_alone(coco):
    config = coco_run(coco, ignored_as_objects=True)
    training = open_training_samples(config)

    assert len(training[0].truth) == 2
    assert len(open_validation_samples(config, training.class_names)[0].truth) == 1


def test_poses_are_learnt_from_images_with_people_and_measured_on_all(people):
    config = coco_run(people, "pose")

    assert open_training_samples(config).names == ["a.jpg"]
    assert open_validation_samples(config, ("person",)).names == ["a.jpg", "b.jpg"]


def test_chosen_classes_are_those_of_both_parts(coco):
    config = coco_run(coco, classes=("fork",))
    training = open_training_samples(config)

    assert training.class_names == ("fork",)
    assert open_validation_samples(config, training.class_names).class_names == ("fork",)


def test_what_is_measured_on_may_lack_some_classes_and_a_run_may_not(coco):
    data = coco_run(coco).data
    names = ("spoon", "fork", "cup")
    samples = open_measured_samples(data, "detection2d", names)

    assert samples.class_names == names
    assert [samples[i].truth.labels.tolist() for i in range(2)] == [[1], [2]]
    with pytest.raises(DataError, match="no category 'spoon' or 'knife'; there are cup, fork"):
        open_measured_samples(data, "detection2d", ("spoon", "knife"))
    with pytest.raises(DataError, match="no category 'spoon'; there are cup, fork"):
        open_validation_samples(coco_run(coco), names)
    with pytest.raises(DataError, match="no category 'spoon'; there are cup, fork"):
        open_training_samples(coco_run(coco, classes=names))


def test_one_file_of_cocos_form_is_split_by_lists(coco):
    (coco.images.parent / "val.txt").write_text("b.jpg\n")
    source = CocoSource(coco.annotations.name, "images", list="val.txt")
    config = run("detection2d", source, root=str(coco.images.parent))

    assert open_training_samples(config).names == ["b.jpg"]
    assert open_validation_samples(config, ("cup",)).names == ["b.jpg"]


def test_a_limit_takes_the_first_images(coco):
    samples = open_training_samples(coco_run(coco, limit=1))

    assert (len(samples), samples.names, samples[0].name) == (1, ["a.jpg"], "a.jpg")
    with pytest.raises(IndexError):
        samples[1]


@pytest.mark.parametrize(
    ("task", "source"),
    [
        ("detection3d", CocoSource("a", "b")),
        ("pose", VocSource(("a",))),
        ("pose", KittiSource("a")),
    ],
)
def test_data_without_the_tasks_truth_is_refused(task, source):
    with pytest.raises(DataError, match=f"{source.KIND} data has no truth for the task {task}"):
        open_training_samples(run(task, source))


def test_the_street_has_its_own_classes():
    with pytest.raises(DataError, match="street's classes are pedestrian, car, cyclist"):
        open_training_samples(run("detection2d", StreetSource(), classes=("car",)))


def test_a_misspelt_class_is_in_no_label_of_kittis_form(tmp_path, kitti):
    def of(*classes):
        source = KittiSource("training")
        return run("detection2d", source, root=str(tmp_path), classes=classes)

    with pytest.raises(DataError, match="'Pedestrain', which is in no label; known: pedestrian, "):
        open_training_samples(of("Car", "Pedestrain"))
    # The set has no cyclist either, but this is no slip.
    assert open_training_samples(of("Car", "Cyclist")).class_names == ("Car", "Cyclist")
    kitti.label("000001").write_text(kitti.label("000000").read_text().replace("Car ", "Bus "))
    assert open_training_samples(of("bus")).class_names == ("bus",)
    # A part of the own set that is measured on may have none.
    kitti.label("000001").write_text("")
    assert len(open_validation_samples(of(), ("bus",))[0].truth) == 0


@pytest.mark.parametrize("workers", [0, 1])
def test_an_image_that_breaks_the_training_is_named_in_one_line(coco, workers):
    config = coco_run(coco)
    samples = open_training_samples(config)
    (coco.images / "b.jpg").write_bytes(b"no image any more")
    preset = config.preset(samples.class_names)

    for batches in (
        training_batches(samples, config, 0),
        evaluation_batches(samples, preset, 2, workers),
    ):
        with pytest.raises(
            DataError, match=r"b\.jpg: not an image that OpenCV can read$"
        ) as caught:
            list(batches)
        assert "\n" not in str(caught.value)
