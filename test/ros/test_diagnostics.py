"""Every level of the diagnostics, and what their texts tell."""

import dataclasses

import pytest

pytest.importorskip("diagnostic_msgs", reason="ROS is not set up")

from centernet_ros.msg import Timing
from centernet_ros.ros.diagnostics import (
    ERROR,
    OK,
    STAGES,
    STALE,
    WARN,
    CameraHealth,
    NodeHealth,
    camera_status,
    node_status,
)
from centernet_ros.ros.stream import Counts

NODE = NodeHealth("active", True, "detection3d", "cuda:0", "torch", "float16", (2**30, 2**34))
CAMERA = CameraHealth(
    name="front",
    topic="/front/image",
    seconds=2.0,
    before=Counts(received=100, processed=90, dropped=10),
    now=Counts(received=160, processed=130, dropped=30),
    silence=0.02,
    patience=5.0,
    timings=[Timing(total=total, network=total / 2) for total in (0.04, 0.2, 0.05)],
    calibrated=True,
    in_space=True,
)


def values(status):
    return {entry.key: entry.value for entry in status.values}


def camera(**changes):
    counts = {name: changes.pop(name) for name in list(changes) if hasattr(CAMERA.now, name)}
    now = dataclasses.replace(CAMERA.now, **counts)
    return camera_status("centernet", dataclasses.replace(CAMERA, now=now, **changes))


def test_a_camera_that_is_well():
    status = camera()
    assert (status.level, status.name) == (OK, "centernet: front")
    assert status.message == "20.0 of 30.0 images a second processed"
    assert status.hardware_id == "/front/image"
    told = values(status)
    assert told["input rate (Hz)"] == "30.0"
    assert told["processed rate (Hz)"] == "20.0"
    assert told["images dropped"] == "30"
    assert told["age at publish, last (ms)"] == "50.0"
    assert told["age at publish, median (ms)"] == "50.0"
    assert told["network, median (ms)"] == "25.0"
    assert told["calibration"] == "good"


def test_the_only_camera_has_a_name_too():
    assert camera(name="").name == "centernet: camera"


def test_all_stages_are_told():
    told = values(camera())
    assert all(f"{stage}, median (ms)" in told for stage in STAGES)
    assert set(STAGES) <= set(Timing.get_fields_and_field_types())


def test_before_the_first_image_there_are_no_times():
    assert not any(key.endswith("(ms)") for key in values(camera(timings=())))


@pytest.mark.parametrize(
    ("changes", "level", "message"),
    [
        ({"silence": 5.1}, STALE, "no image on /front/image for 5 s"),
        (
            {"rejected": 60, "processed": 90, "rejection": "is unusable: no pixels"},
            ERROR,
            "no image can be used: the last one is unusable: no pixels",
        ),
        (
            {"rejected": 3, "rejection": "is unusable: no pixels"},
            WARN,
            "3 images cannot be used: the last one is unusable: no pixels",
        ),
        ({"stale": 4}, WARN, "4 images older than max_age are left out"),
        ({"problem": "K[0] is 0"}, WARN, "no 3D: K[0] is 0"),
        ({"problem": "K[0] is 0", "in_space": False}, WARN, "cannot rectify: K[0] is 0"),
        ({"idle": 60, "processed": 90}, OK, "idle: nobody listens, or the node is disabled"),
        (
            {"dropped": 20, "processed": 90, "seconds": 5.0},
            ERROR,
            "images come, but none was finished in 5 s: the network is stuck, or far too slow",
        ),
        (
            {"dropped": 20, "processed": 90, "seconds": 1.0},  # it has just begun
            OK,
            "0.0 of 60.0 images a second processed",
        ),
    ],
)
def test_what_can_be_wrong(changes, level, message):
    status = camera(**changes)
    assert (status.level, status.message) == (level, message)


def test_a_fault_that_is_over_is_told_no_more():
    before = dataclasses.replace(CAMERA.before, rejected=7, stale=3)
    assert camera(before=before, rejected=7, stale=3, rejection="is unusable").level == OK


def test_an_image_without_places_is_no_fault_once_nothing_is_processed_any_more():
    """As where the last one who listened has gone."""
    counts = dataclasses.replace(CAMERA.before, unplaced=1)
    now = {"processed": CAMERA.before.processed, "unplaced": 1, "idle": 60}
    status = camera(before=counts, problem="K[0] is 0", **now)
    assert (status.level, status.message) == (OK, "idle: nobody listens, or the node is disabled")
    assert values(status)["calibration"] == "K[0] is 0"


def test_silence_is_no_fault_where_no_warning_is_wanted():
    assert camera(silence=1000.0, patience=0.0).level == OK


def test_where_nothing_needs_a_calibration_none_is_missed():
    status = camera(calibrated=False, problem="none")
    assert (status.level, values(status)["calibration"]) == (OK, "not needed")


def test_the_node():
    status = node_status("ns/centernet", NODE)
    assert (status.level, status.name) == (OK, "ns/centernet: network")
    assert status.message == "active on cuda:0"
    told = values(status)
    assert (told["task"], told["backend"], told["precision"]) == ("detection3d", "torch", "float16")
    assert told["GPU memory held (MiB)"] == "1024"
    assert told["GPU memory (MiB)"] == "16384"


def test_why_a_faster_executor_is_not_used_is_told():
    assert values(node_status("centernet", NODE))["executor failure"] == ""
    reason = "openvino cannot be used: no such instruction"
    failed = node_status("centernet", dataclasses.replace(NODE, executor_failure=reason))
    assert (failed.level, values(failed)["executor failure"]) == (OK, reason)


def test_a_node_without_a_gpu_tells_no_memory():
    status = node_status("centernet", dataclasses.replace(NODE, device="cpu", gpu_memory=None))
    assert not any("memory" in key for key in values(status))


def test_a_lost_gpu_is_an_error_and_a_disabled_node_is_none():
    lost = node_status("centernet", dataclasses.replace(NODE, device="cpu", failure="CUDA error"))
    assert (lost.level, lost.message) == (
        ERROR,
        "GPU given up, going on with the CPU: CUDA error",
    )
    disabled = node_status("centernet", dataclasses.replace(NODE, enabled=False))
    assert (disabled.level, disabled.message) == (OK, "active on cuda:0, disabled by ~/enable")
    assert node_status("centernet", NodeHealth("unconfigured")).message == "unconfigured"
