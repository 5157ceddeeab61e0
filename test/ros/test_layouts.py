"""RViz and Foxglove ask for what the node publishes, and for nothing that a stock RViz lacks."""

import json
import re
from pathlib import Path

import pytest
import yaml

from centernet_ros.detector import Detector
from centernet_ros.models import build_model
from centernet_ros.presets import KITTI_CLASSES, ModelPreset
from centernet_ros.ros.node import CenterNetNode
from centernet_ros.tasks import TASKS

CONFIG = Path(__file__).parents[2] / "config"
STOCK = {
    "rviz_common": {"Displays", "Views"},
    "rviz_default_plugins": {
        *("Axes", "Grid", "Image", "MarkerArray"),
        *("MoveCamera", "Orbit", "TF"),
    },
}
"""Classes of RViz's own two packages that the files use."""

SHOWN_BY = {
    "rviz_default_plugins/Image": "Image",
    "rviz_default_plugins/MarkerArray": "MarkerArray",
    "Image": "CompressedImage",
    "3D": "MarkerArray",
    "DiagnosticSummary": "DiagnosticArray",
    "Plot": "Timing",
}
"""Message type that a display or panel takes."""


@pytest.fixture(scope="module")
def published(peer):
    """Topics and message types of a configured node of each task."""

    def of_task(task):
        def open_detector(parameters):
            names = ("person",) if task == "pose" else KITTI_CLASSES
            preset = ModelPreset(task, "resnet18", names, (64, 64))
            model = build_model("resnet18", preset.task, len(names)).eval()
            return Detector(lambda batch: model(batch)[-1], preset)

        node = CenterNetNode(open_detector, context=peer.context)
        try:
            node.trigger_configure()
            return {p.topic_name: p.msg_type.__name__ for p in node.publishers}
        finally:
            node.destroy_node()

    return {task: of_task(task) for task in TASKS}


def classes(content):
    """Every value of a key `Class` of a nested structure."""
    if isinstance(content, dict):
        own = [content["Class"]] if "Class" in content else []
        return own + [name for value in content.values() for name in classes(value)]
    if isinstance(content, list):
        return [name for value in content for name in classes(value)]
    return []


@pytest.mark.parametrize("task", TASKS)
def test_rviz_shows_what_the_node_publishes(published, task):
    manager = yaml.safe_load((CONFIG / f"{task}.rviz").read_text())["Visualization Manager"]
    shown = {
        display["Topic"]["Value"]: SHOWN_BY[display["Class"]]
        for display in manager["Displays"]
        if "Topic" in display
    }
    assert shown.items() <= published[task].items()
    expected = {"/centernet/debug_image"}
    if task == "detection3d":
        expected.add("/centernet/markers")
    assert set(shown) == expected


@pytest.mark.parametrize("task", TASKS)
def test_a_stock_rviz_has_every_class(task):
    content = yaml.safe_load((CONFIG / f"{task}.rviz").read_text())
    for name in filter(None, classes(content)):
        package, _, plugin = name.rpartition("/")
        assert plugin in STOCK.get(package, ()), name


def test_foxglove_shows_what_the_node_publishes(published):
    layout = json.loads((CONFIG / "foxglove.json").read_text())
    panels = layout["configById"]
    assert placed(layout["layout"]) == set(panels)
    topics = {
        ("3D", *panels["3D!boxes"]["topics"]),
        ("Image", panels["Image!results"]["imageMode"]["imageTopic"]),
        ("DiagnosticSummary", panels["DiagnosticSummary!health"]["topicToRender"]),
        *(("Plot", path["value"].split(".")[0]) for path in panels["Plot!times"]["paths"]),
    }
    for panel, topic in topics:
        assert published["detection3d"][topic] == SHOWN_BY[panel]


def test_foxglove_plots_fields_of_the_message():
    from centernet_ros.msg import Timing

    text = (CONFIG / "foxglove.json").read_text()
    fields = re.findall(r"/centernet/timing\.(\w+)", text)
    assert fields
    assert set(fields) <= set(Timing.get_fields_and_field_types())


def placed(layout):
    """Panels of a layout's tree."""
    if isinstance(layout, str):
        return {layout}
    return placed(layout["first"]) | placed(layout["second"])
