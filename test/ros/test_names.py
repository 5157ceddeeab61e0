"""Every topic, service and status under a namespace and other names; and nodes that come late."""

from contextlib import ExitStack, contextmanager

import pytest
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.srv import GetState
from rcl_interfaces.srv import GetParameters
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import CameraInfo, Image
from std_srvs.srv import SetBool
from vision_msgs.msg import Detection2DArray, Detection3DArray, LabelInfo
from visualization_msgs.msg import MarkerArray

from truth import assert_places

SIZE, BOX = (96, 320), (100, 30, 180, 60)
P = (300.0, 0.0, 160.0, -3.0, 0.0, 300.0, 48.0, 0.0, 0.0, 0.0, 1.0, 0.0)
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
SPACE = {"STAND_IN_TASK": "detection3d"}
RENAMED = {
    "__ns": "/robot1",
    "__node": "eyes",
    "image": "front_camera/image_rect",
    "camera_info": "front_camera/camera_info",
    "~/detections_3d": "objects",
    "~/label_info": "/labels",
}
PUBLISHED = {
    "/robot1/objects": "vision_msgs/msg/Detection3DArray",
    "/robot1/eyes/detections_2d": "vision_msgs/msg/Detection2DArray",
    "/robot1/eyes/markers": "visualization_msgs/msg/MarkerArray",
    "/robot1/eyes/debug_image": "sensor_msgs/msg/Image",
    "/robot1/eyes/debug_image/compressed": "sensor_msgs/msg/CompressedImage",
    "/robot1/eyes/timing": "centernet_ros/msg/Timing",
    "/labels": "vision_msgs/msg/LabelInfo",
    "/diagnostics": "diagnostic_msgs/msg/DiagnosticArray",
}
OF_ROS = {"/rosout", "/parameter_events", "/robot1/eyes/transition_event"}
OUTPUTS = {
    "/robot1/objects": Detection3DArray,
    "/robot1/eyes/detections_2d": Detection2DArray,
    "/robot1/eyes/markers": MarkerArray,
    "/robot1/eyes/debug_image": Image,
    "/labels": LabelInfo,
}
SUBSCRIBED = {
    "/robot1/front_camera/image_rect": "sensor_msgs/msg/Image",
    "/robot1/front_camera/camera_info": "sensor_msgs/msg/CameraInfo",
}


@pytest.fixture(scope="module")
def scene(picture, image_message):
    return image_message(picture(SIZE, (BOX, (0, 255, 0))))


@pytest.fixture(scope="module", autouse=True)
def robot(peer, start_node, scene):
    """The node; it comes later than its camera and those who listen to it."""
    renamed = [part for item in RENAMED.items() for part in ("-r", ":=".join(item))]
    with ExitStack() as stack:
        with surroundings(peer, reliable=True) as (publishers, received):
            send = sender(peer, scene, *publishers)
            for _ in range(5):
                send()
            child = stack.enter_context(start_node(*renamed, variables=SPACE))
            wait_for_places(peer, received, send)
        yield child


@contextmanager
def surroundings(peer, *, reliable):
    """Publishers of the camera, and what comes on the topics of results."""
    with ExitStack() as stack:
        publishers = [
            stack.enter_context(peer.publishing(kind, topic, reliable=reliable))
            for kind, topic in zip((Image, CameraInfo), SUBSCRIBED, strict=True)
        ]
        received = {
            topic: stack.enter_context(
                peer.listening(kind, topic, LATCHED if kind is LabelInfo else 10)
            )
            for topic, kind in OUTPUTS.items()
        }
        yield publishers, received


def wait_for_places(peer, received, send):
    """Until something came on every topic, and the object where it is."""
    found = peer.spin_until(
        lambda: (
            all(received.values())
            and [array for array in received["/robot1/objects"] if array.detections]
        ),
        timeout=120.0,  # a process may have to start first
        every=0.2,
        do=send,
    )
    assert_places(found[0], [BOX], P)


def sender(peer, image, images, infos):
    """Sends an image with its camera_info, under a new header each time."""

    def send():
        header = peer.next_header(image)
        header.frame_id = "camera_optical"
        info = CameraInfo(header=header, height=SIZE[0], width=SIZE[1], p=list(P))
        info.k = [300.0, 0.0, 160.0, 0.0, 300.0, 48.0, 0.0, 0.0, 1.0]
        infos.publish(info)
        images.publish(image)

    return send


def of_node(names_and_types, *, without=frozenset()):
    return {name: types[0] for name, types in names_and_types if name not in without}


def test_topics_have_the_names_that_were_given(peer):
    published, subscribed = (
        lambda ask=ask: of_node(ask("eyes", "/robot1"), without=OF_ROS)
        for ask in (
            peer.node.get_publisher_names_and_types_by_node,
            peer.node.get_subscriber_names_and_types_by_node,
        )
    )
    # Topics become known one after the other; those of the images are the last.
    peer.spin_until(lambda: len(published()) >= len(PUBLISHED) and subscribed())
    peer.spin_for(0.5)
    assert published() == PUBLISHED
    assert subscribed() == SUBSCRIBED


def test_services_are_below_the_node(peer):
    found = of_node(peer.node.get_service_names_and_types_by_node("eyes", "/robot1"))
    assert all(name.startswith("/robot1/eyes/") for name in found)
    assert {"enable", "get_state", "change_state", "set_parameters"} <= {
        name.removeprefix("/robot1/eyes/") for name in found
    }
    assert peer.call(SetBool, "/robot1/eyes/enable", SetBool.Request(data=True)).success
    state = peer.call(GetState, "/robot1/eyes/get_state", GetState.Request())
    assert state.current_state.label == "active"
    request = GetParameters.Request(names=["score_threshold"])
    answer = peer.call(GetParameters, "/robot1/eyes/get_parameters", request)
    assert answer.values[0].double_value == pytest.approx(0.3)


@pytest.mark.parametrize("reliable", [False, True])
def test_renamed_topics_carry_the_results(peer, scene, reliable):
    """Both of the camera's publishers offer the same reliability."""
    with surroundings(peer, reliable=reliable) as (publishers, received):
        wait_for_places(peer, received, sender(peer, scene, *publishers))


def test_the_status_bears_the_nodes_full_name(peer):
    with peer.listening(DiagnosticArray, "/diagnostics") as reports:
        peer.spin_until(lambda: reports)
    statuses = {status.name: status.hardware_id for status in reports[-1].status}
    assert statuses["robot1/eyes: camera"] == "/robot1/front_camera/image_rect"
    assert statuses["robot1/eyes: network"] == "robot1/eyes"
