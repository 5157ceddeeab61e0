"""Messages built here are the official ones on the wire: both ends compare these hashes."""

import json
from pathlib import Path

import pytest

from centernet_ros.ros.isolation import isolated_domain, this_machine_only

TYPES = Path(__file__).parents[2] / "build" / "interfaces" / "vision_msgs" / "types"

# Of vision_msgs 4.1.1 (`ros2 topic info --verbose` shows them).
OFFICIAL = {
    "BoundingBox2D": "008eacbb0cf8f26e83795547bed013eec3675485ef386ec056d80eaaf1c1ce2f",
    "BoundingBox3D": "bbb73a65c163d7f9bb29009c7bde9f7faa576bd2d23299c4511d19230dab4698",
    "Detection2D": "0d12b69df5c593b3455b7346fac8205437a7d4bcb09b9e0e0b2dde787ded38ea",
    "Detection2DArray": "214274120007f4a683866481336b70310268cfa107aebe9d594a6acf75bda968",
    "Detection3D": "ddd703be132ab0b69d33121f1bb034132bfbb3b0ac5f9fb1516005ba1c8a265b",
    "Detection3DArray": "793f5eab9595ac1c0da07873cc859db42eae51f0ee76056db8562515d830e018",
    "LabelInfo": "3d37df4015cdf660cc851c51897f2acd957e1ca6205ba0a99aebffb9406b0783",
    "ObjectHypothesis": "51da43cec11c01957a64d1e05a24acd18aae7745ec30b74348ad5f6d634f7f90",
    "ObjectHypothesisWithPose": "41c12344c0396c48b81df12467c192d99b2a0eb1463c5c37194e4223251c80bc",
    "Point2D": "eab0e83f44ab4de92ceaf76dd7d0e7638f2bdd1d16ffbe16c7a136c48e407247",
    "Pose2D": "b0b5d1d7b4c20dd4fcde3ed1d4b289a919290572007d67a97043814db25d3648",
    "VisionClass": "1e4a11f0fed50b5623cb8ff26ca0e37952a48a9c074d16f804b44e9164c2037a",
    "VisionInfo": "95d3116a17484ad91c9a2686e1d54890bbfc3ff6c6a2de137738c4950d45d284",
}
PUBLISHED = ("Detection2DArray", "Detection3DArray", "LabelInfo", "VisionInfo")


@pytest.mark.skipif(not TYPES.is_dir(), reason="vision_msgs comes from the ROS distribution")
@pytest.mark.parametrize("name", OFFICIAL)
def test_generated_hash_is_the_official_one(name):
    hashes = {
        entry["type_name"]: entry["hash_string"]
        for entry in json.loads((TYPES / f"{name}.json").read_text())["type_hashes"]
    }
    assert hashes[f"vision_msgs/msg/{name}"] == f"RIHS01_{OFFICIAL[name]}"


@pytest.fixture
def node(monkeypatch):
    rclpy = pytest.importorskip("rclpy")
    from rclpy.topic_endpoint_info import TopicEndpointInfo

    if not hasattr(TopicEndpointInfo, "topic_type_hash"):
        pytest.skip("this distribution knows no type hashes")
    with isolated_domain() as environment:
        for name in this_machine_only():
            monkeypatch.setenv(name, environment[name])
        context = rclpy.Context()
        rclpy.init(context=context, domain_id=int(environment["ROS_DOMAIN_ID"]))
        node = rclpy.create_node("type_hashes", context=context)
        yield node
        node.destroy_node()
        rclpy.shutdown(context=context)


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_publisher_announces_the_official_hash(node, name):
    import vision_msgs.msg

    node.create_publisher(getattr(vision_msgs.msg, name), f"probe_{name}", 1)
    (endpoint,) = node.get_publishers_info_by_topic(f"/probe_{name}")
    assert endpoint.topic_type == f"vision_msgs/msg/{name}"
    assert bytes(endpoint.topic_type_hash.value).hex() == OFFICIAL[name]
