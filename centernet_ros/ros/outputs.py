"""What the node publishes: the task's results, and what every task has in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from rclpy.lifecycle import LifecycleNode
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage
from sensor_msgs.msg import Image as ImageMessage

from centernet_ros.birdseye import draw_birdseye, inset
from centernet_ros.drawing import draw_results
from centernet_ros.image import Image
from centernet_ros.msg import Timing
from centernet_ros.presets import ModelPreset
from centernet_ros.ros.images import to_compressed_message, to_message
from centernet_ros.structures import CameraIntrinsics, Detections2D, Detections3D

try:
    from vision_msgs.msg import LabelInfo, VisionClass
except ImportError:  # before vision_msgs 4.1.0
    LabelInfo = None

RELIABLE = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)
"""Fits every subscriber. Ten results bridge a second of a busy subscriber at 10 Hz."""

RELIABLE_IMAGE = QoSProfile(depth=2, reliability=ReliabilityPolicy.RELIABLE)
"""Images are for looking at: the newest one counts, and ten of them would take 60 MB."""

INSET = 0.6
"""Height of the map from above in the debug image, as a share of the image's."""

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
        to_message: results of one image, class names, the image's header and the numbers of tracks
            (empty where nothing tracks) to a message.
        move: a message and a geometry_msgs TransformStamped to a message in that transform's frame;
            None where nothing of it lies in space. What lies in space needs a calibrated camera.
        show: the message, where it was wanted moved, and class names to what is published in its
            place; None where it is published itself.
    """

    topic: str
    message_type: Any
    to_message: Callable[[Any, Sequence[str], Any, Sequence[str]], Any]
    move: Callable[[Any, Any], Any] | None = None
    show: Callable[[Any, Sequence[str]], Any] | None = None


def outputs_of(task: str) -> tuple[Output, ...]:
    """The topics of a task, found by its name: a new task brings its own `messages.py`."""
    messages = import_module(f"centernet_ros.tasks.{task}.messages")
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
        self._debug_jpeg = self._create(
            CompressedImage, f"{prefix}debug_image/compressed", RELIABLE_IMAGE
        )
        self._timing = self._create(Timing, f"{prefix}timing", RELIABLE)

    def _create(self, message_type: Any, name: str, qos: QoSProfile) -> Any:
        return self._node.create_lifecycle_publisher(message_type, f"~/{name}", qos)

    def destroy(self) -> None:
        """Take the topics back."""
        for publisher in self._publishers():
            self._node.destroy_lifecycle_publisher(publisher)

    def _publishers(self) -> list[Any]:
        results = (publisher for publisher, _ in self._results)
        return [*results, self._debug_image, self._debug_jpeg, self._timing]

    @property
    def wanted(self) -> bool:
        """Whether anyone listens: all topics need the network."""
        return any(_is_wanted(publisher) for publisher in self._publishers())

    @property
    def drawing_wanted(self) -> bool:
        """Whether anyone looks at the debug image, raw or compressed."""
        return any(_is_wanted(publisher) for publisher in (self._debug_image, self._debug_jpeg))

    @property
    def in_space(self) -> bool:
        """Whether anything published lies in space."""
        return any(output.move is not None for _, output in self._results)

    @property
    def move_wanted(self) -> bool:
        """Whether anyone listens to what lies in space."""
        return any(
            output.move is not None and _is_wanted(publisher) for publisher, output in self._results
        )

    def publish_results(
        self, results: Detections2D, header: Any, ids: Sequence[str] = (), transform: Any = None
    ) -> None:
        """Send the results of one image.

        Args:
            results: in pixels of the camera's image.
            header: the image's.
            ids: numbers of the results' tracks; empty where nothing tracks.
            transform: to the frame that places in space are wanted in; None for the camera's own.
        """
        for publisher, output in self._results:
            if _is_wanted(publisher):
                message = output.to_message(results, self._class_names, header, ids)
                if transform is not None and output.move is not None:
                    message = output.move(message, transform)
                if output.show is not None:
                    message = output.show(message, self._class_names)
                publisher.publish(message)

    def publish_drawing(
        self,
        image: Image,
        results: Detections2D,
        camera: CameraIntrinsics | None,
        header: Any,
        *,
        birdseye: bool,
    ) -> None:
        """Send an image with results in its pixels drawn on it.

        Args:
            image: that the results are of.
            results: of the task.
            camera: of the image; None where it is not calibrated.
            header: the image's.
            birdseye: whether 3D boxes are shown from above too.
        """
        drawn = draw_results(image, results, self._class_names, camera)
        if birdseye and isinstance(results, Detections3D):
            height = round(INSET * len(drawn))
            above = draw_birdseye(results, self._class_names, height=height, camera=camera)
            drawn = inset(drawn, above)
        if _is_wanted(self._debug_image):
            self._debug_image.publish(to_message(drawn, header))
        if _is_wanted(self._debug_jpeg):
            self._debug_jpeg.publish(to_compressed_message(drawn, header))

    def publish_timing(self, timing: Timing) -> None:
        """Send where the time of one image went."""
        if _is_wanted(self._timing):
            self._timing.publish(timing)


def _is_wanted(publisher: Any) -> bool:
    """Whether anyone listens."""
    return bool(publisher.get_subscription_count() > 0)


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
