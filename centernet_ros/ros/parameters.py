"""The node's parameters: one dataclass, a field is a parameter."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.node import Node
from rclpy.parameter import Parameter

RESTART_FREE = "May be changed at any time."
AT_CONFIGURE = "Taken over when the node is configured; cannot be changed while it is."
AT_START = "Read once at the start of the process."


@dataclass(frozen=True)
class Rule:
    """What a parameter may be, for people and for the check.

    Attributes:
        description: what it is, with its unit.
        limits: least and greatest value of a number.
        pattern: regular expression that a text matches as a whole.
        known: the values that the pattern stands for, in words.
        changes: one of the three sentences above.
    """

    description: str
    limits: tuple[float, float] | None = None
    pattern: str = ".*"
    known: str = ""
    changes: str = AT_CONFIGURE

    def check(self, name: str, value: object, default: object) -> None:
        """Refuse a value of another type, outside the limits, or unknown.

        Raises:
            ValueError: The message names the parameter, the value and what is allowed.
        """
        if type(value) is not type(default):
            raise ValueError(
                f"parameter {name} is {value!r}, expected a {_TYPE_NAMES[type(default)]}"
                f" such as {default!r}"
            )
        if self.limits and not self.limits[0] <= value <= self.limits[1]:  # type: ignore[operator]
            raise ValueError(
                f"parameter {name} is {value}, expected {self.limits[0]} to {self.limits[1]}"
            )
        if isinstance(value, str) and not re.fullmatch(self.pattern, value):
            raise ValueError(f"parameter {name} is {value!r}, known: {self.known}")

    def descriptor(self, default: object) -> ParameterDescriptor:
        """What `ros2 param describe` shows, and rclpy checks."""
        constraints = f"One of {self.known}. {self.changes}" if self.known else self.changes
        descriptor = ParameterDescriptor(
            description=self.description,
            additional_constraints=constraints,
            read_only=self.changes == AT_START,
        )
        if self.limits and isinstance(default, float):
            low, high = self.limits
            descriptor.floating_point_range = [FloatingPointRange(from_value=low, to_value=high)]
        elif self.limits:
            low, high = (int(limit) for limit in self.limits)
            descriptor.integer_range = [IntegerRange(from_value=low, to_value=high, step=1)]
        return descriptor


_TYPE_NAMES = {
    bool: "truth value",
    int: "whole number",
    float: "decimal number",
    str: "text",
}


def _parameter(default: Any, description: str, **rule: Any) -> Any:
    """Declare a field that is a parameter."""
    return dataclasses.field(default=default, metadata={"rule": Rule(description, **rule)})


def _one_of(*values: str) -> dict[str, str]:
    return {"pattern": "|".join(map(re.escape, values)), "known": ", ".join(values)}


@dataclass(frozen=True)
class NodeParameters:
    """What an operator sets. `config/detection2d.yaml` lists every parameter with its default."""

    weights: str = _parameter(
        "weights/street_detection2d.safetensors",
        "Weights file: a path as given, or within the package.",
        pattern=".+",
        known="paths of a file",
    )
    device: str = _parameter(
        "auto",
        "Where the network runs; auto takes a GPU where there is one.",
        pattern=r"auto|cpu|cuda(:\d+)?",
        known="auto, cpu, cuda, cuda:N",
    )
    backend: str = _parameter("auto", "What executes the network.", **_one_of("auto", "torch"))
    threads: int = _parameter(
        0, "Threads of the network on a CPU; 0 leaves the choice to PyTorch.", limits=(0, 1024)
    )
    image_transport: str = _parameter(
        "raw",
        "raw subscribes 'image' (sensor_msgs/Image), compressed subscribes 'image/compressed'.",
        **_one_of("raw", "compressed"),
    )
    reliability: str = _parameter(
        "auto",
        "Of the image subscription; auto is reliable when every publisher is, else best effort.",
        **_one_of("auto", "reliable", "best_effort"),
    )
    score_threshold: float = _parameter(
        0.3, "Least score of a published result.", limits=(0.0, 1.0), changes=RESTART_FREE
    )
    max_detections: int = _parameter(
        100, "Results per image at most, best first.", limits=(1, 1000), changes=RESTART_FREE
    )
    no_image_warning: float = _parameter(
        5.0,
        "Seconds without an image until a warning says so; 0 never warns.",
        limits=(0.0, 3600.0),
        changes=RESTART_FREE,
    )
    autostart: bool = _parameter(
        True,
        "Configure and activate at the start; false leaves both to a lifecycle manager.",
        changes=AT_START,
    )

    def replace(self, changes: Mapping[str, object]) -> NodeParameters:
        """A copy with other values.

        Raises:
            ValueError: A value is not allowed; the message names it and what is.
        """
        for name, value in changes.items():
            RULES[name].check(name, value, DEFAULTS[name])
        return dataclasses.replace(self, **changes)  # type: ignore[arg-type]


RULES: dict[str, Rule] = {
    field.name: field.metadata["rule"] for field in dataclasses.fields(NodeParameters)
}
DEFAULTS: dict[str, Any] = dataclasses.asdict(NodeParameters())

RCLPY_PARAMETERS = ("use_sim_time", "start_type_description_service")
"""Every node has these, and `qos_overrides.*`."""


def declare_parameters(node: Node) -> NodeParameters:
    """Declare all parameters; values come from the command line or a parameter file.

    Raises:
        ValueError: A value is not allowed, or a name is unknown; the message lists the known ones.
    """
    overrides = {name: parameter.value for name, parameter in node._parameter_overrides.items()}
    for name in overrides:
        # rclpy passes over what nobody declares: a misspelt key would keep its default unnoticed.
        if name not in RULES and name not in RCLPY_PARAMETERS and "qos_overrides." not in name:
            raise ValueError(
                f"unknown parameter {name!r}; known: {', '.join([*RULES, *RCLPY_PARAMETERS])}"
            )
    chosen = {name: value for name, value in overrides.items() if name in RULES}
    parameters = NodeParameters().replace(chosen)
    for name, rule in RULES.items():
        node.declare_parameter(name, DEFAULTS[name], rule.descriptor(DEFAULTS[name]))
    return parameters


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
    for name in wanted:
        if configured and RULES[name].changes != RESTART_FREE:
            raise ValueError(
                f"parameter {name} cannot be changed while the node is configured: "
                "clean it up first"
            )
    return parameters.replace(wanted)
