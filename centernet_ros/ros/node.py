"""The lifecycle node: an image topic in, results of the network out."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from rcl_interfaces.msg import SetParametersResult
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter

from centernet_ros.detector import Detector
from centernet_ros.ros.camera import Camera
from centernet_ros.ros.outputs import Outputs
from centernet_ros.ros.parameters import NodeParameters, changed_parameters, declare_parameters
from centernet_ros.ros.resources import find_file
from centernet_ros.ros.worker import Worker

OpenDetector = Callable[[NodeParameters], Detector]

SUCCESS = TransitionCallbackReturn.SUCCESS
FAILURE = TransitionCallbackReturn.FAILURE


def open_detector(parameters: NodeParameters) -> Detector:
    """The detector of the weights file.

    Raises:
        OSError: There is no such file.
        ValueError: The file cannot be used, or this machine has no such device or backend.
    """
    return Detector.from_checkpoint(
        find_file(parameters.weights), parameters.device, parameters.backend
    )


class CenterNetNode(LifecycleNode):
    """Detects objects in the newest image of a topic.

    Configured it holds the network and its topics, active it subscribes and works. Conventions of
    what it publishes are in the README.

    Attributes:
        parameters: the values of the moment.
        worker: the thread of an active node, with its counts; None otherwise.
    """

    def __init__(
        self,
        open_detector: OpenDetector = open_detector,
        *,
        name: str = "centernet",
        **options: Any,
    ) -> None:
        """Declare the parameters.

        Args:
            open_detector: makes the detector when the node is configured.
            name: name of the node, unless it is remapped.
            options: those of rclpy's node.

        Raises:
            ValueError: A parameter has an unknown name or a value that is not allowed.
        """
        super().__init__(name, **options)
        self._open_detector = open_detector
        self._detector: Detector | None = None
        self._outputs: Outputs | None = None
        self._camera: Camera | None = None
        self.worker: Worker | None = None
        self.parameters = declare_parameters(self)
        self.add_on_set_parameters_callback(self._set_parameters)

    def start(self) -> bool:
        """Configure and activate; False, after a log message, when either failed."""
        return bool(self.trigger_configure() == SUCCESS and self.trigger_activate() == SUCCESS)

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the network and announce the topics."""
        return self._guarded("configure", self._configure, self._clean_up)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Subscribe to the images and start to work."""
        # First the publishers: one that is not active swallows what it is given.
        super().on_activate(state)
        return self._guarded("activate", self._activate, self._deactivate)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Unsubscribe; the image in work is still finished."""
        result = self._guarded("deactivate", self._deactivate)
        super().on_deactivate(state)
        return result

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free the network and its memory."""
        return self._guarded("clean up", self._clean_up)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free everything, from any state."""
        return self._guarded("shut down", self._clean_up)

    def destroy_node(self) -> None:
        """Free everything, also when no transition came before."""
        self._clean_up()
        super().destroy_node()

    def _guarded(
        self, what: str, action: Callable[[], None], undo: Callable[[], None] = lambda: None
    ) -> TransitionCallbackReturn:
        """Run a transition; rclpy would swallow its exceptions without a word."""
        try:
            action()
        except (ValueError, OSError) as error:  # what a user can mend: the message is enough
            self.get_logger().fatal(f"cannot {what}: {error}")
        except Exception:
            if self.context.ok():  # else a signal has stopped ROS in the middle of it
                self.get_logger().fatal(f"cannot {what}:\n{traceback.format_exc().rstrip()}")
        else:
            return SUCCESS
        undo()
        return FAILURE

    def _configure(self) -> None:
        if self.parameters.threads:
            torch.set_num_threads(self.parameters.threads)
        self._detector = detector = self._open_detector(self.parameters)
        self._tune()
        preset = detector.preset
        height, width = preset.input_size
        # The first run is slow (memory, kernels); a camera should not wait for it.
        detector(np.zeros((height, width, 3), np.uint8))
        self._outputs = Outputs(self, preset)
        backend = getattr(detector.backend, "name", type(detector.backend).__name__)
        self.get_logger().info(
            f"{preset.task} with {preset.backbone} on {detector.device} ({backend}, "
            f"{torch.get_num_threads()} threads), input {width}x{height}, "
            f"classes {', '.join(preset.class_names)}, weights {self.parameters.weights}"
        )

    def _activate(self) -> None:
        assert self._detector is not None
        assert self._outputs is not None
        self._outputs.publish_label_info(self.parameters.score_threshold)
        self.worker = Worker(self, self._detector, self._outputs)
        self._camera = Camera(
            self,
            transport=self.parameters.image_transport,
            reliability=self.parameters.reliability,
            on_image=self.worker.mailbox.put,
            no_image_warning=lambda: self.parameters.no_image_warning,
        )
        self.worker.start(self._camera.topic)

    def _deactivate(self) -> None:
        if self._camera is not None:
            self._camera.destroy()
            self._camera = None
        if self.worker is not None:
            self.worker.stop()
            self.worker = None

    def _clean_up(self) -> None:
        self._deactivate()
        if self._outputs is not None:
            self._outputs.destroy()
            self._outputs = None
        if self._detector is not None:
            on_gpu = self._detector.device.type == "cuda"
            self._detector = None
            if on_gpu:
                torch.cuda.empty_cache()

    def _set_parameters(self, changes: Sequence[Parameter]) -> SetParametersResult:
        """Take over a request to change parameters, wholly or not at all."""
        before = self.parameters
        try:
            self.parameters = changed_parameters(
                before, changes, configured=self._detector is not None
            )
        except ValueError as error:
            return SetParametersResult(successful=False, reason=str(error))
        self._tune()
        if self._outputs is not None and self.parameters.score_threshold != before.score_threshold:
            self._outputs.publish_label_info(self.parameters.score_threshold)
        return SetParametersResult(successful=True)

    def _tune(self) -> None:
        """Hand the detector what may change while it works."""
        if self._detector is not None:
            self._detector.score_threshold = self.parameters.score_threshold
            self._detector.max_detections = self.parameters.max_detections
