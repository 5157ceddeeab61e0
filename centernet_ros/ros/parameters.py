"""The node's parameters: one dataclass, a field is a parameter."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rclpy.node import Node
from rclpy.parameter import Parameter

from centernet_ros.backends import BACKENDS, PRECISIONS
from centernet_ros.ros.rules import AT_START, RESTART_FREE, Rule, one_of, parameter


@dataclass(frozen=True)
class NodeParameters:
    """What an operator sets. The files in `config/` list every parameter with its default.

    ROS cannot tell the type of an empty list: `[""]` is the list without entries.
    """

    weights: str = parameter(
        "weights/street_detection2d.safetensors",
        "Weights file: a path as given, or within the package.",
        pattern=".+",
        known="paths of a file",
    )
    device: str = parameter(
        "auto",
        "Where the network runs; auto takes a GPU where there is one.",
        pattern=r"auto|cpu|cuda(:\d+)?",
        known="auto, cpu, cuda, cuda:N",
    )
    backend: str = parameter(
        "auto",
        "What executes the network; auto takes the fastest, and PyTorch until that is ready.",
        **one_of("auto", *BACKENDS),
    )
    precision: str = parameter(
        "auto",
        "Numbers that the network computes with; float16 is for GPUs. auto takes half precision "
        "where the machine is fast in it and the weights were measured to lose nothing by it.",
        **one_of(*PRECISIONS),
    )
    threads: int = parameter(
        0, "Threads of the network on a CPU; 0 leaves the choice to PyTorch.", limits=(0, 1024)
    )
    cameras: tuple[str, ...] = parameter(
        ("",),
        "Names of several cameras: each has its own topics below its name, such as front/image. "
        "Without any there is one camera, and names of topics have no prefix.",
        pattern=r"|[A-Za-z][A-Za-z0-9_]*",
        known="names of letters, digits and underscores",
    )
    image_transport: str = parameter(
        "raw",
        "raw subscribes 'image' (sensor_msgs/Image), compressed subscribes 'image/compressed'.",
        **one_of("raw", "compressed"),
    )
    reliability: str = parameter(
        "auto",
        "Of the image subscription; auto is reliable when every publisher is, else best effort.",
        **one_of("auto", "reliable", "best_effort"),
    )
    periods: tuple[float, ...] = parameter(
        (0.0,),
        "Seconds from one image to the next that are worked on at least, one number for all "
        "cameras or one for each; 0 takes every image.",
        limits=(0.0, 3600.0),
        changes=RESTART_FREE,
    )
    max_age: float = parameter(
        0.0,
        "Seconds from an image's stamp after which it is not worked on any more; 0 for never.",
        limits=(0.0, 3600.0),
        changes=RESTART_FREE,
    )
    undistort: bool = parameter(
        False,
        "Images are raw ones of a distorting lens: rectify them, by camera_info, for the network. "
        "Results are in pixels of the raw image all the same.",
    )
    rescale_calibration: bool = parameter(
        False,
        "Whether an image of another size than its camera_info, but of the same shape, is taken "
        "for the whole image resized; else it has no 3D boxes.",
        changes=RESTART_FREE,
    )
    training_focal_length: float = parameter(
        0.0,
        "Focal length in pixels of the network's input that the weights were trained with: depths "
        "are scaled by the camera's to it. 0 leaves them as the network says.",
        limits=(0.0, 1e5),
        changes=RESTART_FREE,
    )
    fit_centre: bool = parameter(
        True,
        "Look for the place where a 3D box's centre appears: places of near and of cut off objects "
        "are more exact. False takes the middle of the 2D box for it, as the authors' own weights "
        "(compat) do in any case.",
    )
    target_frame: str = parameter(
        "", "Frame that TF takes 3D boxes to; empty leaves them in the camera's own."
    )
    transform_timeout: float = parameter(
        0.05,
        "Seconds that a transform which is still on its way is waited for, at all cameras' cost.",
        limits=(0.0, 1.0),
        changes=RESTART_FREE,
    )
    score_threshold: float = parameter(
        0.3, "Least score of a published result.", limits=(0.0, 1.0), changes=RESTART_FREE
    )
    class_thresholds: tuple[str, ...] = parameter(
        ("",),
        "Least scores of single classes in place of score_threshold, such as 'car: 0.4'.",
        pattern=r"|.+:\s*[-+.\deE]+",
        known="a class, a colon and a score",
        changes=RESTART_FREE,
    )
    classes: tuple[str, ...] = parameter(
        ("",),
        "Classes that are published; without any, all are.",
        changes=RESTART_FREE,
    )
    max_detections: int = parameter(
        100, "Results per image at most, best first.", limits=(1, 1000), changes=RESTART_FREE
    )
    tracker: str = parameter(
        "none",
        "Numbers objects from image to image: center by nearest centres, each camera for itself.",
        **one_of("none", "center"),
        changes=RESTART_FREE,
    )
    track_memory: float = parameter(
        1.0,
        "Seconds that a tracked object may be hidden and keep its number.",
        limits=(0.0, 60.0),
        changes=RESTART_FREE,
    )
    draw: bool = parameter(
        True,
        "Whether ~/debug_image is made for those who subscribe to it.",
        changes=RESTART_FREE,
    )
    birdseye: bool = parameter(
        False,
        "Whether ~/debug_image shows 3D boxes from above too.",
        changes=RESTART_FREE,
    )
    no_image_warning: float = parameter(
        5.0,
        "Seconds without an image until a warning says so; 0 never warns.",
        limits=(0.0, 3600.0),
        changes=RESTART_FREE,
    )
    autostart: bool = parameter(
        True,
        "Configure and activate at the start; false leaves both to a lifecycle manager.",
        changes=AT_START,
    )

    @property
    def camera_names(self) -> tuple[str, ...]:
        """Names of the cameras; one empty name where there is a single camera."""
        return tuple(name for name in self.cameras if name) or ("",)

    def period_of(self, index: int) -> float:
        """Seconds between two images of a camera at least."""
        return self.periods[index if len(self.periods) > 1 else 0]

    def replace(self, changes: Mapping[str, object]) -> NodeParameters:
        """A copy with other values; lists may be of any kind.

        Raises:
            ValueError: A value is not allowed; the message names it and what is.
        """
        values = {name: _as_field(name, value) for name, value in changes.items()}
        for name, value in values.items():
            RULES[name].check(name, value, getattr(_DEFAULTS, name))
        parameters = dataclasses.replace(self, **values)
        names, periods = parameters.camera_names, parameters.periods
        if len(set(names)) < len(names):
            raise ValueError(f"parameter cameras names one twice: {', '.join(names)}")
        if "network" in names:
            raise ValueError("parameter cameras has 'network', as the network's status is called")
        if len(periods) not in (1, len(names)):
            raise ValueError(
                f"parameter periods has {len(periods)} numbers, expected 1 or one for each of the "
                f"{len(names)} cameras"
            )
        return parameters


def _as_field(name: str, value: Any) -> Any:
    """A value of ROS as the dataclass holds it."""
    is_list = isinstance(getattr(_DEFAULTS, name), tuple)
    return tuple(value) if is_list and not isinstance(value, str) else value


_DEFAULTS = NodeParameters()
RULES: dict[str, Rule] = {
    field.name: field.metadata["rule"] for field in dataclasses.fields(NodeParameters)
}
DEFAULTS: dict[str, Any] = {
    name: list(value) if isinstance(value, tuple) else value
    for name, value in dataclasses.asdict(_DEFAULTS).items()
}
"""As ROS and parameter files hold them."""

RCLPY_PARAMETERS = ("use_sim_time", "start_type_description_service")
"""Every node has these, and those below `QOS_OVERRIDES`."""

QOS_OVERRIDES = "qos_overrides."
"""What topics a node has shows only when it is active: see `idle_overrides`."""


def declare_parameters(node: Node) -> NodeParameters:
    """Declare all parameters; values come from the command line or a parameter file.

    Raises:
        ValueError: A value is not allowed, or a name is unknown; the message lists the known ones.
    """
    overrides = {name: parameter.value for name, parameter in node._parameter_overrides.items()}
    for name in overrides:
        # rclpy passes over what nobody declares: a misspelt key would keep its default unnoticed.
        if name not in (*RULES, *RCLPY_PARAMETERS) and not name.startswith(QOS_OVERRIDES):
            raise ValueError(
                f"unknown parameter {name!r}; known: {', '.join([*RULES, *RCLPY_PARAMETERS])}"
            )
    chosen = {name: value for name, value in overrides.items() if name in RULES}
    for name, default in DEFAULTS.items():
        if isinstance(default, list) and chosen.get(name, default) is None:
            # So does ROS read an empty list.
            del chosen[name], node._parameter_overrides[name]
    parameters = NodeParameters().replace(chosen)
    for name, rule in RULES.items():
        node.declare_parameter(name, DEFAULTS[name], rule.descriptor(DEFAULTS[name]))
    return parameters


def idle_overrides(node: Node) -> list[str]:
    """Qualities of service that were given, but belong to nothing that the node has subscribed."""
    return [
        name
        for name in node._parameter_overrides
        if name.startswith(QOS_OVERRIDES) and not node.has_parameter(name)
    ]


def changed_parameters(
    parameters: NodeParameters, changes: Sequence[Parameter], *, configured: bool
) -> NodeParameters:
    """The parameters after a request to change some of them: all or none.

    Args:
        parameters: those before.
        changes: what is requested; parameters of rclpy itself are passed over.
        configured: whether the node holds a network, which settles most parameters.

    Raises:
        ValueError: A value is not allowed, or a parameter cannot be changed now.
    """
    wanted = {change.name: change.value for change in changes if change.name in RULES}
    changed = parameters.replace(wanted)
    for name in wanted:
        # A file of parameters may be loaded whole: what stays as it is changes nothing.
        stays = getattr(changed, name) == getattr(parameters, name)
        if configured and not stays and RULES[name].changes != RESTART_FREE:
            raise ValueError(
                f"parameter {name} cannot be changed while the node is configured: "
                "clean it up first"
            )
    return changed
