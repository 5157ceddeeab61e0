"""Every task finds its own truth in the same street image."""

import pytest
import torch

from centernet_ros.structures import Detections2D, Detections3D, Poses
from training.config import OptimiserConfig, RunConfig
from training.data.loading import training_batches
from training.data.street import PEOPLE_CAMERA, StreetDataset, street_camera
from training.data.street_samples import StreetSamples
from training.sources import DataConfig

SEED = 1


def busy_index(count=40):
    """An image with near and far people, and with ignored cars beside other ignored objects."""
    frames = StreetDataset(SEED, count, PEOPLE_CAMERA)
    for index in range(count):
        ignored = set(frames[index].ignored.labels.tolist())
        sides = frames[index].poses.boxes[:, 2:] - frames[index].poses.boxes[:, :2]
        large = sides.prod(1) > 2 * 32**2
        if large.any() and not large.all() and 1 in ignored and len(ignored) > 1:
            return index
    pytest.fail("no such image")


INDEX = busy_index()


def frame_of(task):
    return StreetDataset(SEED, INDEX + 1, street_camera(task))[INDEX]


def sample_of(task):
    return StreetSamples(SEED, INDEX + 1, task)[INDEX]


@pytest.mark.parametrize(
    ("task", "kind", "classes"),
    [
        ("detection2d", Detections2D, ("pedestrian", "car", "cyclist")),
        ("detection3d", Detections3D, ("pedestrian", "car", "cyclist")),
        ("pose", Poses, ("person",)),
    ],
)
def test_a_task_gets_truth_of_its_type_and_its_classes(task, kind, classes):
    sample = sample_of(task)

    assert type(sample.truth) is kind
    assert StreetSamples(SEED, 1, task).class_names == classes
    assert sample.camera.image_size == sample.image.shape[:2]
    assert int(sample.truth.labels.max()) < len(classes)


def test_boxes_in_space_are_the_frames():
    frame = frame_of("detection3d")
    torch.testing.assert_close(sample_of("detection3d").truth.locations, frame.objects.locations)


def test_people_are_ignored_as_people_and_cars_are_background_of_the_pose():
    sample, frame = sample_of("pose"), frame_of("pose")
    unlabelled = frame.ignored.boxes[frame.ignored.labels != 1]

    assert sample.image.shape[:2] == (320, 640)
    assert 0 < len(unlabelled) < len(frame.ignored)
    small = len(sample.ignored) - len(unlabelled)
    torch.testing.assert_close(sample.ignored.boxes[small:], unlabelled)
    assert set(sample.ignored.labels.tolist()) == {0}


def test_joints_of_people_that_are_small_to_coco_are_not_labelled():
    sample, frame = sample_of("pose"), frame_of("pose")
    boxes = frame.poses.boxes
    # Half of the box is the outline.
    large = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]) / 2 >= 32**2

    assert 0 < large.sum() < len(boxes)
    torch.testing.assert_close(sample.truth.boxes, boxes[large])
    torch.testing.assert_close(sample.truth.keypoints, frame.poses.keypoints[large])
    torch.testing.assert_close(sample.ignored.boxes[: int((~large).sum())], boxes[~large])


@pytest.mark.parametrize("task", ["detection3d", "pose"])
def test_batches_hold_the_tasks_targets(task):
    config = RunConfig(
        task=task,
        data=DataConfig(workers=0),
        input_size=(64, 192),
        optimiser=OptimiserConfig(batch_size=2, epochs=1),
    )
    (batch,) = training_batches(StreetSamples(SEED, 2, task), config, 0)

    joints_or_depth = {"detection3d": "depth", "pose": "joints"}[task]
    assert batch[joints_or_depth].shape[0] == 2
    assert batch["mask"].any()
