"""The lifecycle node: an image topic in, results of the network out."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from typing import Any

import torch
from rcl_interfaces.msg import SetParametersResult
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from std_srvs.srv import SetBool

from centernet_ros.backends import choose_device
from centernet_ros.checkpoint import load_model
from centernet_ros.detector import Detector
from centernet_ros.resources import find_file
from centernet_ros.ros.engine import Engine, OpenDetector
from centernet_ros.ros.mailbox import Mailbox
from centernet_ros.ros.monitor import Monitor
from centernet_ros.ros.outputs import Labels, Outputs
from centernet_ros.ros.pairing import Arrival
from centernet_ros.ros.parameters import (
    NodeParameters,
    changed_parameters,
    declare_parameters,
    idle_overrides,
)
from centernet_ros.ros.selection import least_scores
from centernet_ros.ros.stream import Stream, prefix_of
from centernet_ros.ros.transforms import Transforms
from centernet_ros.ros.transitions import refuse_unknown_transitions
from centernet_ros.ros.worker import Worker

SUCCESS = TransitionCallbackReturn.SUCCESS
FAILURE = TransitionCallbackReturn.FAILURE


def open_detector(parameters: NodeParameters) -> Detector:
    """The detector of the weights file.

    Raises:
        OSError: There is no such file.
        ValueError: The file cannot be used, or this machine has no such device or backend.
    """
    device = choose_device(parameters.device)
    model, preset = load_model(find_file(parameters.weights))
    in_space = preset.task == "detection3d"
    middles = in_space and not parameters.fit_centre
    options: dict[str, Any] = {"fit_centre": False} if middles else {}
    return Detector.from_model(
        model, preset, device, parameters.backend, parameters.precision, **options
    )


class CenterNetNode(LifecycleNode):
    """Detects objects in the newest images of its cameras.

    Configured it holds the network and its topics, active it subscribes and works. Conventions of
    what it publishes are in docs/node.md.

    Attributes:
        state: of the life cycle, such as `inactive`.
        parameters: the values of the moment.
        enabled: whether images are worked on, as the service `~/enable` says.
        streams: the cameras of an active node, with what became of their images.
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
        self._engine: Engine | None = None
        self._outputs: list[Outputs] = []
        self._labels: Labels | None = None
        self._transforms: Transforms | None = None
        self._worker: Worker | None = None
        self.streams: list[Stream] = []
        self.enabled = True
        self._own_threads = torch.get_num_threads()  # PyTorch's choice, or the process's
        self.parameters = declare_parameters(self)
        self.add_on_set_parameters_callback(self._set_parameters)
        self.create_service(SetBool, "~/enable", self._enable)
        refuse_unknown_transitions(self)
        self._monitor = Monitor(self)

    @property
    def state(self) -> str:
        """Where the node is in its life cycle."""
        label: str = self._state_machine.current_state[1]
        return label

    @property
    def engine(self) -> Engine | None:
        """The network; None as long as the node is not configured."""
        return self._engine

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
        parameters = self.parameters
        torch.set_num_threads(parameters.threads or self._own_threads)
        self._engine = engine = Engine(self._open_detector, parameters, self.get_logger())
        self._check_classes(engine, parameters)
        engine.warm_up(len(parameters.camera_names))
        for name in parameters.camera_names:
            self._outputs.append(Outputs(self, engine.preset, prefix_of(name)))
        self._labels = Labels(self, engine.preset.class_names)
        self.get_logger().info(self._summary(engine))

    def _summary(self, engine: Engine) -> str:
        """What runs where, in one line."""
        detector, preset = engine.detector, engine.preset
        height, width = preset.input_size
        backend = getattr(detector.backend, "name", type(detector.backend).__name__)
        cameras = ", ".join(filter(None, self.parameters.camera_names))
        return (
            f"{preset.task} with {preset.backbone} on {detector.device} ({backend}, "
            f"{engine.precision}, {engine.threads} threads), input {width}x{height}, "
            f"classes {', '.join(preset.class_names)}, weights {self.parameters.weights}"
            + (f", cameras {cameras}" if cameras else "")
        )

    def _activate(self) -> None:
        assert self._engine is not None
        assert self._labels is not None
        parameters = self.parameters
        self._labels.publish(parameters.score_threshold)
        in_space = any(outputs.in_space for outputs in self._outputs)
        if parameters.target_frame and in_space:
            self._transforms = Transforms(self, parameters.target_frame)
        mailbox: Mailbox[Arrival] = Mailbox()
        for i, outputs in enumerate(self._outputs):
            calibrated = in_space or parameters.undistort
            self.streams.append(Stream(self, i, mailbox, outputs, calibrated=calibrated))
        if overrides := idle_overrides(self):
            self.get_logger().warning(
                f"without effect: {', '.join(overrides)}; only history, depth and reliability of "
                "subscriptions can be overridden, such as "
                f"qos_overrides.{self.streams[0].topic}.subscription.depth"
            )
        self._worker = Worker(self, self._engine, self.streams, mailbox, self._transforms)

    def _deactivate(self) -> None:
        for stream in self.streams:
            stream.destroy()
        self.streams = []
        if self._worker is not None:
            self._worker.stop()
            self._worker = None
        if self._transforms is not None:
            self._transforms.destroy()
            self._transforms = None

    def _clean_up(self) -> None:
        try:
            self._deactivate()
        except TimeoutError as error:  # what comes now is the end all the same
            if self.context.ok():
                self.get_logger().error(str(error))
        for outputs in self._outputs:
            outputs.destroy()
        self._outputs = []
        if self._labels is not None:
            self._labels.destroy()
            self._labels = None
        if self._engine is not None:
            self._engine.close()
            self._engine = None

    def _enable(self, request: Any, response: Any) -> Any:
        """Answer `~/enable`."""
        self.enabled = request.data
        response.success = True
        response.message = "enabled" if self.enabled else "disabled: images are passed over"
        self.get_logger().info(response.message)
        return response

    def _set_parameters(self, changes: Sequence[Parameter]) -> SetParametersResult:
        """Take over a request to change parameters, wholly or not at all."""
        before = self.parameters
        try:
            parameters = changed_parameters(before, changes, configured=self._engine is not None)
            if self._engine is not None:
                self._check_classes(self._engine, parameters)
        except ValueError as error:
            return SetParametersResult(successful=False, reason=str(error))
        self.parameters = parameters
        if self._labels is not None and parameters.score_threshold != before.score_threshold:
            self._labels.publish(parameters.score_threshold)
        return SetParametersResult(successful=True)

    @staticmethod
    def _check_classes(engine: Engine, parameters: NodeParameters) -> None:
        """Refuse parameters that name a class which the network does not have.

        Raises:
            ValueError: The message names the class, and those that there are.
        """
        least_scores(
            engine.preset.class_names,
            parameters.score_threshold,
            parameters.class_thresholds,
            parameters.classes,
        )
