"""What the node publishes: the task's results, and what every task has in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from rclpy.lifecycle import LifecycleNode
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image as ImageMessage

from centernet_ros.drawing import draw_results
from centernet_ros.image import Image
from centernet_ros.msg import Timing
from centernet_ros.presets import ModelPreset
from centernet_ros.ros.images import to_message
from centernet_ros.structures import CameraIntrinsics, Detections2D
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
        move: a message and a geometry_msgs TransformStamped to a message in that transform's frame;
            None where nothing of it lies in space. What lies in space needs a calibrated camera.
    """

    topic: str
    message_type: Any
    to_message: Callable[[Any, Sequence[str], Any], Any]
    move: Callable[[Any, Any], Any] | None = None


def outputs_of(task: str) -> tuple[Output, ...]:
    """The topics of a task, found by its name: a new task brings its own `messages.py`."""
    messages = import_module(f"centernet_ros.tasks.{TASK_ALIASES.get(task, task)}.messages")
    outputs: tuple[Output, ...] = messages.OUTPUTS
    return outputs


class Outputs:
    """The publishers of one camera of a configured node."""

    def __init__(self, node: LifecycleNode, preset: ModelPreset, prefix: str) -> None:
        """Announce the topics.

        Args:
            node: node that publishes.
            preset: of the network.
            prefix: put before the names of the topics, `front/` or nothing.
        """
        self._node = node
        self._class_names = preset.class_names
        self._results = [
            (self._create(output.message_type, prefix + output.topic, RELIABLE), output)
            for output in outputs_of(preset.task)
        ]
        self._debug_image = self._create(ImageMessage, f"{prefix}debug_image", RELIABLE_IMAGE)
        self._timing = self._create(Timing, f"{prefix}timing", RELIABLE)

    def _create(self, message_type: Any, name: str, qos: QoSProfile) -> Any:
        return self._node.create_lifecycle_publisher(message_type, f"~/{name}", qos)

    def destroy(self) -> None:
        """Take the topics back."""
        for publisher in self._publishers():
            self._node.destroy_lifecycle_publisher(publisher)

    def _publishers(self) -> list[Any]:
        return [*(publisher for publisher, _ in self._results), self._debug_image, self._timing]

    @property
    def wanted(self) -> bool:
        """Whether anyone listens: all topics need the network."""
        return any(publisher.get_subscription_count() > 0 for publisher in self._publishers())

    @property
    def drawing_wanted(self) -> bool:
        """Whether anyone looks at the debug image."""
        return bool(self._debug_image.get_subscription_count() > 0)

    @property
    def in_space(self) -> bool:
        """Whether anything published lies in space."""
        return any(output.move is not None for _, output in self._results)

    @property
    def move_wanted(self) -> bool:
        """Whether anyone listens to what lies in space."""
        return any(
            output.move is not None and publisher.get_subscription_count() > 0
            for publisher, output in self._results
        )

    def publish_results(self, results: Detections2D, header: Any, transform: Any = None) -> None:
        """Send the results of one image.

        Args:
            results: in pixels of the camera's image.
            header: the image's.
            transform: to the frame that places in space are wanted in; None for the camera's own.
        """
        for publisher, output in self._results:
            if publisher.get_subscription_count() > 0:
                message = output.to_message(results, self._class_names, header)
                if transform is not None and output.move is not None:
                    message = output.move(message, transform)
                publisher.publish(message)

    def publish_drawing(
        self, image: Image, results: Detections2D, camera: CameraIntrinsics | None, header: Any
    ) -> None:
        """Send an image with results in its pixels drawn on it."""
        drawn = draw_results(image, results, self._class_names, camera)
        self._debug_image.publish(to_message(drawn, header))

    def publish_timing(self, timing: Timing) -> None:
        """Send where the time of one image went."""
        if self._timing.get_subscription_count() > 0:
            self._timing.publish(timing)


class Labels:
    """The latched topic that tells the class names."""

    def __init__(self, node: LifecycleNode, class_names: Sequence[str]) -> None:
        self._node = node
        self._class_names = class_names
        self._publisher = LabelInfo and node.create_lifecycle_publisher(
            LabelInfo, "~/label_info", LATCHED
        )

    def destroy(self) -> None:
        """Take the topic back."""
        if self._publisher is not None:
            self._node.destroy_lifecycle_publisher(self._publisher)

    def publish(self, threshold: float) -> None:
        """Latch the class names and the least score of a published result."""
        if self._publisher is None:
            return
        message = LabelInfo(threshold=threshold)
        message.header.stamp = self._node.get_clock().now().to_msg()
        for label, name in enumerate(self._class_names):
            message.class_map.append(VisionClass(class_id=label, class_name=name))
        self._publisher.publish(message)
