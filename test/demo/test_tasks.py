import math

import pytest
import torch
from std_msgs.msg import Header

from centernet_ros.structures import Detections3D, Poses
from centernet_ros.tasks.detection3d.messages import to_messages as to_solid_messages
from centernet_ros.tasks.pose.messages import to_messages as to_person_messages
from demo.report import street_truth
from demo.sources import StreetSource
from demo.tasks import TASKS, choose_task

VALUES = (
    "boxes", "labels", "dimensions", "locations", "yaws", "alphas", "keypoints", "keypoint_scores"
)  # fmt: skip


@pytest.fixture(scope="module")
def source():
    return StreetSource(6, 2.0)


def through_the_recorder(task, truth, to_messages, names):
    """What becomes of results that the node publishes."""
    found = TASKS[task].topics[1].to_found(to_messages(truth, names, Header()))
    return TASKS[task].extend(truth, found), found


@pytest.mark.parametrize(
    ("task", "to_messages", "kind"),
    [("detection3d", to_solid_messages, Detections3D), ("pose", to_person_messages, Poses)],
)
def test_results_pass_messages_and_records_unharmed(source, task, to_messages, kind):
    samples = street_truth(TASKS[task], source)
    assert sum(len(sample.truth) for sample in samples) > 2
    results = []
    for sample in samples:
        result, _ = through_the_recorder(task, sample.truth, to_messages, ["a", "b", "c"])
        assert type(result) is kind
        for name in VALUES:
            if hasattr(result, name):
                torch.testing.assert_close(
                    getattr(result, name), getattr(sample.truth, name), rtol=0, atol=1e-4
                )
        results.append(result)
    # Of equal scores the order decides, and a box without joints in the image is no object.
    best = {"detection3d": 100, "pose": 1}[task]
    figures = TASKS[task].measure(6 * samples, 6 * results)
    assert [figure.value for figure in figures] == pytest.approx([best] * 2, rel=0.05)
    assert all(len(figure.name) < 18 for figure in figures)
    assert all(math.isnan(figure.value) for figure in TASKS[task].measure([], []))


@pytest.mark.parametrize("yaw", [-3.1, -1.6, -0.1, 0.0, 1.5, 3.1])
def test_every_yaw_comes_back(yaw):
    row = torch.zeros(1)
    solid = Detections3D(
        torch.zeros(1, 4), row, row.long(), torch.tensor([[1.5, 1.6, 4.0]]),
        torch.tensor([[3.0, 1.5, 10.0]]), row + yaw, row,
    )  # fmt: skip
    result, (found,) = through_the_recorder("detection3d", solid, to_solid_messages, ["car"])
    assert found.yaw == pytest.approx(yaw)
    assert found.dimensions == pytest.approx((1.5, 1.6, 4.0))
    assert found.location == pytest.approx((3.0, 1.5, 10.0))
    alpha = float(result.alphas)
    assert -math.pi <= alpha <= math.pi
    assert math.remainder(alpha - (yaw - math.atan2(3, 10)), math.tau) == pytest.approx(0, abs=1e-5)


def test_tasks_have_aliases():
    assert choose_task("pose").name == "pose"
    assert choose_task("ddd").name == "detection3d"
    with pytest.raises(ValueError, match="'multi'; known: detection2d, detection3d, pose"):
        choose_task("multi")
