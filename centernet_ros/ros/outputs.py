"""What the node publishes: the task's results, and what every task has in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from rclpy.lifecycle import LifecycleNode
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image as ImageMessage

from centernet_ros.drawing import draw_detections
from centernet_ros.image import Image
from centernet_ros.msg import Timing
from centernet_ros.presets import ModelPreset
from centernet_ros.ros.images import to_message
from centernet_ros.structures import Detections2D
from centernet_ros.tasks import TASK_ALIASES

try:
    from vision_msgs.msg import LabelInfo, VisionClass
except ImportError:  # before vision_msgs 4.1.0
    LabelInfo = None

RELIABLE = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)
"""Fits every subscriber. Ten results bridge a second of a busy subscriber at 10 Hz."""

RELIABLE_IMAGE = QoSProfile(depth=2, reliability=ReliabilityPolicy.RELIABLE)
"""Images are for looking at: the newest one counts, and ten of them would take 60 MB."""

LATCHED = QoSProfile(
    depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL
)
"""Who subscribes late gets the last message."""


@dataclass(frozen=True)
class Output:
    """A topic of a task; its `messages.py` lists them as `OUTPUTS`.

    Attributes:
        topic: name below the node's own or, of several cameras, below the camera's.
        message_type: type of its messages.
        to_message: results of one image, class names and the image's header to a message.
        in_space: whether it tells places in metres, for which the camera must be calibrated.
    """

    topic: str
    message_type: Any
    to_message: Callable[[Any, Sequence[str], Any], Any]
    in_space: bool = False


def outputs_of(task: str) -> tuple[Output, ...]:
    """The topics of a task, found by its name: a new task brings its own `messages.py`."""
    messages = import_module(f"centernet_ros.tasks.{TASK_ALIASES.get(task, task)}.messages")
    outputs: tuple[Output, ...] = messages.OUTPUTS
    return outputs


class Outputs:
    """The publishers of a configured node."""

    def __init__(self, node: LifecycleNode, preset: ModelPreset) -> None:
        self._node = node
        self._class_names = preset.class_names
        self._results = [
            (
                node.create_lifecycle_publisher(output.message_type, f"~/{output.topic}", RELIABLE),
                output,
            )
            for output in outputs_of(preset.task)
        ]
        self._debug_image = node.create_lifecycle_publisher(
            ImageMessage, "~/debug_image", RELIABLE_IMAGE
        )
        self._timing = node.create_lifecycle_publisher(Timing, "~/timing", RELIABLE)
        self._label_info = LabelInfo and node.create_lifecycle_publisher(
            LabelInfo, "~/label_info", LATCHED
        )

    def destroy(self) -> None:
        """Take the topics back."""
        results = [publisher for publisher, _ in self._results]
        for publisher in [*results, self._debug_image, self._timing, self._label_info]:
            if publisher is not None:
                self._node.destroy_lifecycle_publisher(publisher)

    @property
    def wanted(self) -> bool:
        """Whether anyone listens to a topic that needs the network."""
        results = [publisher for publisher, _ in self._results]
        return any(
            publisher.get_subscription_count() > 0
            for publisher in [*results, self._debug_image, self._timing]
        )

    def publish_results(self, results: Detections2D, image: Image, header: Any) -> None:
        """Send the results of one image, and draw them if anyone looks."""
        for publisher, output in self._results:
            if publisher.get_subscription_count() > 0:
                publisher.publish(output.to_message(results, self._class_names, header))
        if self._debug_image.get_subscription_count() > 0:
            drawn = draw_detections(image, results, self._class_names)
            self._debug_image.publish(to_message(drawn, header))

    def publish_timing(self, timing: Timing) -> None:
        """Send where the time of one image went."""
        if self._timing.get_subscription_count() > 0:
            self._timing.publish(timing)

    def publish_label_info(self, threshold: float) -> None:
        """Latch the class names and the least score of a published result."""
        if self._label_info is None:
            return
        message = LabelInfo(threshold=threshold)
        message.header.stamp = self._node.get_clock().now().to_msg()
        for label, name in enumerate(self._class_names):
            message.class_map.append(VisionClass(class_id=label, class_name=name))
        self._label_info.publish(message)
