"""What `/diagnostics` says: the values of a status, and when it has which level."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from diagnostic_msgs.msg import DiagnosticStatus

from centernet_ros.msg import Timing
from centernet_ros.ros.diagnostics import (
    STUCK,
    CameraHealth,
    NodeHealth,
    camera_status,
    node_status,
)
from centernet_ros.ros.reference import described, table
from centernet_ros.ros.stream import Counts

LEVELS = {
    DiagnosticStatus.OK: "OK",
    DiagnosticStatus.WARN: "WARN",
    DiagnosticStatus.ERROR: "ERROR",
    DiagnosticStatus.STALE: "STALE",
}

WELL = NodeHealth(
    "active", True, "detection3d", "cuda:0", "torch", "float32", gpu_memory=(2**29, 2**33)
)
CAMERA = CameraHealth(
    name="",
    topic="/camera/image_raw",
    seconds=5.0,
    before=Counts(),
    now=Counts(received=150, processed=100, dropped=50),
    silence=0.0,
    patience=5.0,
    timings=(Timing(total=0.05),),
    calibrated=True,
    in_space=True,
)


def _counted(**counts: int) -> CameraHealth:
    """The camera after five seconds with these counts."""
    return dataclasses.replace(CAMERA, now=Counts(received=150, **counts))


NODES: Mapping[str, NodeHealth] = {
    "all is well": WELL,
    "`~/enable` was called with false": dataclasses.replace(WELL, enabled=False),
    "not configured yet, or cleaned up": NodeHealth("unconfigured"),
    "shut down": NodeHealth("finalized"),
    "the images in work were not done when it was deactivated": dataclasses.replace(
        WELL, state=STUCK
    ),
    "the GPU ran out of memory, or was lost": dataclasses.replace(
        WELL, device="cpu", failure="CUDA out of memory", gpu_memory=None
    ),
}
CAMERAS: Mapping[str, CameraHealth] = {
    "all is well": CAMERA,
    "nobody subscribes to a result, or `~/enable` is false": _counted(idle=150),
    "`max_age` is exceeded": _counted(processed=100, stale=50),
    "some images cannot be used": dataclasses.replace(
        _counted(processed=149, rejected=1), rejection="is unusable: it has no pixels"
    ),
    "no image can be used": dataclasses.replace(
        _counted(rejected=150), rejection="is unusable: encoding 'xyz9' is unknown"
    ),
    "the camera is not calibrated, or TF is missing": dataclasses.replace(
        CAMERA, problem="no camera_info came on /camera/camera_info"
    ),
    "the same with `undistort`, for a task without places in space": dataclasses.replace(
        CAMERA, problem="no camera_info came on /camera/camera_info", in_space=False
    ),
    "no result for five seconds": _counted(dropped=149),
    "nothing came for `no_image_warning` seconds": dataclasses.replace(CAMERA, silence=6.0),
}

NODE_VALUES = {
    "state": "of the life cycle; `loading the network` while a GPU is given up",
    "enabled": "whether images are worked on, as `~/enable` says",
    "task": "of the weights",
    "device": "that the network runs on",
    "backend": "that executes it",
    "precision": "numbers that it computes with",
    "GPU failure": "why a GPU was given up; empty where none was",
    "executor failure": "why a faster executor is not used; empty where none failed",
    "GPU memory held (MiB)": "by PyTorch; only on a GPU",
    "GPU memory (MiB)": "that there is; only on a GPU",
}
CAMERA_VALUES = {
    "topic": "of the images",
    "input rate (Hz)": "images that came, over five seconds",
    "processed rate (Hz)": "images with results, over five seconds",
    "seconds since the last image": "or since the node was activated",
    "age at publish, last (ms)": "from the stamp of the last image to its results",
    "age at publish, median (ms)": "the same of the last 50 images",
    "received, median (ms)": "from the stamp to the node's receipt",
    "queued, median (ms)": "until the image was taken up",
    "preprocess, median (ms)": "decoding, colour, and warping to the network's input",
    "network, median (ms)": "the network itself",
    "decode, median (ms)": "from the network's maps to results, "
    "on a CPU with the heads that are computed at peaks only",
    "publish, median (ms)": "building and sending the messages",
    "images received": "since the node was activated, as all counts",
    "images skipped": "came sooner than `periods` allow",
    "images dropped": "a newer one came before the worker was free",
    "images idle": "passed over: nobody listened, or the node was disabled",
    "images stale": "older than `max_age`",
    "images rejected": "could not be used",
    "images processed": "results were sent",
    "images unplaced": "of these, those without places in space, though the task tells them",
    "last rejection": "why the last unusable image was so",
    "calibration": "`good`, `not needed`, or why the last image had no place in space, "
    "or was not rectified",
}


def levels() -> str:
    """When a status has which level, and what it says then."""
    statuses = [(why, node_status("centernet", health)) for why, health in NODES.items()]
    statuses += [(why, camera_status("centernet", health)) for why, health in CAMERAS.items()]
    rows = [
        (f"`{status.name}`", LEVELS[status.level], why, status.message) for why, status in statuses
    ]
    return table(("status", "level", "when", "such as"), rows)


def node_values() -> str:
    """The values of the node's status."""
    return _values("node's values", node_status("centernet", WELL), NODE_VALUES)


def camera_values() -> str:
    """The values of a camera's status."""
    return _values("camera's values", camera_status("centernet", CAMERA), CAMERA_VALUES)


def _values(what: str, status: DiagnosticStatus, texts: Mapping[str, str]) -> str:
    entries = {value.key: value.value for value in status.values}
    return table(
        ("value", "meaning"), ((f"`{k}`", text) for k, _, text in described(what, entries, texts))
    )
