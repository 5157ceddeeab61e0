"""Topics and services, as nodes of each task have them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import rclpy
import torch
from rclpy.logging import LoggingSeverity, set_logger_level
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from centernet_ros.detector import Detector
from centernet_ros.presets import ModelPreset
from centernet_ros.ros.isolation import isolated_domain
from centernet_ros.ros.node import CenterNetNode
from centernet_ros.ros.reference import described, table
from centernet_ros.structures import NUM_JOINTS
from centernet_ros.tasks import TASKS, build_task

SUBSCRIBED = {
    "image": "any common encoding; the newest image wins: one that waits for the network is "
    "replaced and counted as dropped, and what comes faster than the node receives is lost in the "
    "middleware, uncounted",
    "image/compressed": "JPEG or PNG, in its place with `image_transport: compressed`",
    "camera_info": "the one of the image's stamp, else the newest; for every task with `undistort`",
}
PUBLISHED = {
    "~/detections_2d": "one array for every processed image, also an empty one",
    "~/detections_3d": "likewise; empty where the camera is not calibrated",
    "~/poses": f"likewise; every person has {NUM_JOINTS} named key points with a score each",
    "~/markers": "3D boxes, arrows ahead and labels, for RViz and Foxglove",
    "~/debug_image": "the image with the results drawn on it",
    "~/debug_image/compressed": "the same as JPEG",
    "~/timing": "where the time of a processed image went, and how many were dropped",
    "~/label_info": "the names of the classes (where `vision_msgs` is 4.1 or later)",
    "/diagnostics": "once a second, in every state of the life cycle",
}
SERVICES = {"~/enable": "false: images are passed over, until true"}

OF_EVERY_NODE = ("rcl_interfaces/", "lifecycle_msgs/", "type_description_interfaces/")
"""Packages whose types only the topics and services have that rclpy gives to every node."""


def subscribed_topics() -> str:
    """What the node subscribes to."""
    found: dict[str, Any] = {}
    used: dict[str, list[str]] = {}
    for task in TASKS:
        for transport in ("raw", "compressed"):
            with active_node(task, f"image_transport:={transport}") as node:
                for entry in _own(node.subscriptions, "msg_type"):
                    name = entry.topic_name.lstrip("/")
                    found[name] = entry
                    used.setdefault(name, []).append(task)
    rows = (
        (f"`{name}`", f"`{_type_name(entry.msg_type)}`", _tasks(used[name]), text)
        for name, entry, text in described("subscribed topics", found, SUBSCRIBED)
    )
    return table(("topic", "type", "tasks", "meaning"), rows)


def published_topics() -> str:
    """What the node publishes."""
    found: dict[str, Any] = {}
    qualities: dict[str, str] = {}
    used: dict[str, list[str]] = {}
    for task in TASKS:
        with active_node(task) as node:
            for entry in _own(node.publishers, "msg_type"):
                name = _below(entry.topic_name, node)
                found[name], qualities[name] = entry, _quality(entry.qos_profile)
                used.setdefault(name, []).append(task)
    rows = (
        (f"`{name}`", f"`{_type_name(entry.msg_type)}`", qualities[name], _tasks(used[name]), text)
        for name, entry, text in described("published topics", found, PUBLISHED)
    )
    return table(("topic", "type", "depth", "tasks", "meaning"), rows)


def services() -> str:
    """What the node serves, beyond what every lifecycle node does."""
    with active_node("detection2d") as node:
        found = {
            _below(entry.srv_name, node): _type_name(entry.srv_type)
            for entry in _own(node.services, "srv_type")
        }
    rows = (
        (f"`{name}`", f"`{kind}`", text)
        for name, kind, text in described("services", found, SERVICES)
    )
    return table(("service", "type", "meaning"), rows)


@contextmanager
def active_node(task: str, *parameters: str) -> Iterator[CenterNetNode]:
    """A node whose network finds nothing, in a context of its own.

    Args:
        task: name of the task.
        parameters: such as `image_transport:=compressed`.
    """
    preset = ModelPreset(task, "resnet18", ("person",) if task == "pose" else ("car",), (64, 64))
    heads = build_task(task, num_classes=1).heads

    def find_nothing(batch: torch.Tensor) -> dict[str, torch.Tensor]:
        size = batch.shape[2] // 4, batch.shape[3] // 4
        return {head.name: torch.zeros(len(batch), head.channels, *size) for head in heads}

    given = [part for parameter in parameters for part in ("-p", parameter)]
    set_logger_level("centernet", LoggingSeverity.WARN)
    context = rclpy.Context()
    with isolated_domain() as environment:
        rclpy.init(context=context, domain_id=int(environment["ROS_DOMAIN_ID"]))
        node = CenterNetNode(
            lambda _: Detector(find_nothing, preset),
            context=context,
            cli_args=["--ros-args", *given],
        )
        try:
            assert node.start()
            yield node
        finally:
            node.destroy_node()
            context.shutdown()


def _own(entries: Any, kind: str) -> Iterator[Any]:
    """The publishers, subscriptions or services that not every node has."""
    for entry in entries:
        if not _type_name(getattr(entry, kind)).startswith(OF_EVERY_NODE):
            yield entry


def _below(name: str, node: CenterNetNode) -> str:
    """A full name as one relative to the node's, where it is."""
    return name.replace(f"{node.get_fully_qualified_name()}/", "~/")


def _type_name(kind: Any) -> str:
    """A type as the command line tools name it, without the part that tells its kind."""
    return f"{kind.__module__.split('.')[0]}/{kind.__name__}"


def _quality(profile: QoSProfile) -> str:
    """Depth and durability of a publisher, all of which are reliable."""
    assert profile.reliability == ReliabilityPolicy.RELIABLE
    latched = profile.durability == DurabilityPolicy.TRANSIENT_LOCAL
    return f"{profile.depth}, latched" if latched else str(profile.depth)


def _tasks(names: list[str]) -> str:
    """The tasks that have a topic."""
    return "all" if set(names) == set(TASKS) else ", ".join(dict.fromkeys(names))
