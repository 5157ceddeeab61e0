"""The parameter file and the dataclass tell the same; descriptors tell what is allowed."""

from array import array
from pathlib import Path

import pytest
import yaml
from rcl_interfaces.msg import ParameterType

from centernet_ros.ros.node import CenterNetNode
from centernet_ros.ros.parameters import DEFAULTS, RULES, NodeParameters
from centernet_ros.tasks import TASKS

CONFIG = Path(__file__).parents[2] / "config"


@pytest.mark.parametrize("task", TASKS)
def test_a_tasks_file_holds_every_parameter_at_its_default(task):
    content = yaml.safe_load((CONFIG / f"{task}.yaml").read_text())
    assert list(content) == ["/**"]
    parameters = content["/**"]["ros__parameters"]
    # The weights tell the task, and are all that may differ.
    assert parameters == {**DEFAULTS, "weights": f"weights/street_{task}.safetensors"}
    assert list(parameters) == list(DEFAULTS)
    assert {name: type(value) for name, value in parameters.items()} == {
        name: type(value) for name, value in DEFAULTS.items()
    }


def test_defaults_obey_their_own_rules():
    assert NodeParameters().replace(DEFAULTS) == NodeParameters()


def test_every_task_has_a_file():
    files = {path.stem for path in CONFIG.glob("*.yaml")}
    assert files == set(TASKS)


def test_lists_of_any_kind_become_tuples():
    parameters = NodeParameters().replace(
        {"cameras": ["front", "rear"], "periods": array("d", [1])}
    )
    assert (parameters.cameras, parameters.periods) == (("front", "rear"), (1.0,))
    assert parameters.camera_names == ("front", "rear")
    assert NodeParameters().camera_names == ("",)


def test_periods_are_one_for_all_or_one_for_each():
    two = NodeParameters().replace({"cameras": ["front", "rear"], "periods": [0.1]})
    assert [two.period_of(i) for i in range(2)] == [0.1, 0.1]
    two = two.replace({"periods": [0.1, 0.5]})
    assert [two.period_of(i) for i in range(2)] == [0.1, 0.5]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"cameras": ["front", "front"]}, "parameter cameras names one twice: front, front"),
        ({"cameras": ["front/left"]}, "parameter cameras is 'front/left', known: names of letters"),
        ({"cameras": ["für"]}, "parameter cameras is 'für', known: names of letters"),
        ({"cameras": ["cam٣"]}, "parameter cameras is 'cam٣', known: names of letters"),
        ({"cameras": "front"}, "parameter cameras is 'front', expected a list"),
        ({"cameras": [1]}, "parameter cameras is 1, expected a text"),
        ({"periods": [0.1, 0.2]}, "parameter periods has 2 numbers, expected 1 or one for each"),
        ({"periods": []}, "parameter periods has 0 numbers"),
        ({"periods": [-1.0]}, "parameter periods is -1.0, expected 0.0 to 3600.0"),
        ({"class_thresholds": ["car"]}, "parameter class_thresholds is 'car', known: a class, a"),
    ],
)
def test_bad_lists_are_named(changes, reason):
    with pytest.raises(ValueError, match=reason):
        NodeParameters().replace(changes)


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
    assert descriptors["backend"].additional_constraints.startswith(
        "Allowed: auto, torch, openvino, onnxruntime. "
    )
    assert {name for name, descriptor in descriptors.items() if descriptor.read_only} == {
        "autostart"
    }
