"""The parameter file and the dataclass tell the same; descriptors tell what is allowed."""

from pathlib import Path

import pytest
import yaml
from rcl_interfaces.msg import ParameterType

from centernet_ros.ros.node import CenterNetNode
from centernet_ros.ros.parameters import DEFAULTS, RULES, NodeParameters

CONFIG = Path(__file__).parents[2] / "config" / "detection2d.yaml"


def test_the_file_holds_every_parameter_at_its_default():
    content = yaml.safe_load(CONFIG.read_text())
    assert list(content) == ["/**"]
    parameters = content["/**"]["ros__parameters"]
    assert parameters == DEFAULTS
    assert list(parameters) == list(DEFAULTS)
    assert {name: type(value) for name, value in parameters.items()} == {
        name: type(value) for name, value in DEFAULTS.items()
    }


def test_defaults_obey_their_own_rules():
    assert NodeParameters().replace(DEFAULTS) == NodeParameters()


@pytest.mark.parametrize("device", ["auto", "cpu", "cuda", "cuda:0", "cuda:12"])
def test_devices(device):
    assert NodeParameters().replace({"device": device}).device == device


@pytest.mark.parametrize("device", ["cuda:", "cuda:x", "CPU", "", "auto "])
def test_unknown_devices(device):
    with pytest.raises(ValueError, match="parameter device"):
        NodeParameters().replace({"device": device})


def test_descriptors_tell_what_is_allowed(peer):
    node = CenterNetNode(context=peer.context)
    try:
        descriptors = {name: node.describe_parameter(name) for name in RULES}
    finally:
        node.destroy_node()
    assert all(descriptor.description for descriptor in descriptors.values())
    threshold = descriptors["score_threshold"]
    assert threshold.type == ParameterType.PARAMETER_DOUBLE
    (limits,) = threshold.floating_point_range
    assert (limits.from_value, limits.to_value) == (0.0, 1.0)
    assert threshold.additional_constraints == "May be changed at any time."
    (limits,) = descriptors["max_detections"].integer_range
    assert (limits.from_value, limits.to_value) == (1, 1000)
    assert descriptors["backend"].additional_constraints.startswith("One of auto, torch. ")
    assert {name for name, descriptor in descriptors.items() if descriptor.read_only} == {
        "autostart"
    }
