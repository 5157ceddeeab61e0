"""Real processes over real DDS: a node process on one side, a peer in the test's process."""

import sys
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

rclpy = pytest.importorskip("rclpy", reason="ROS is not set up")

from rclpy.executors import SingleThreadedExecutor  # noqa: E402
from rclpy.parameter import Parameter  # noqa: E402
from rclpy.qos import QoSProfile, ReliabilityPolicy  # noqa: E402
from sensor_msgs.msg import Image  # noqa: E402

from centernet_ros.ros.isolation import (  # noqa: E402
    isolated_domain,
    shared_memory_profile,
    this_machine_only,
)
from centernet_ros.ros.node import CenterNetNode  # noqa: E402
from centernet_ros.ros.processes import child_process  # noqa: E402
from counting import CountingDetector  # noqa: E402

STAND_IN = Path(__file__).with_name("stand_in_node.py")
TIMEOUT = 60.0
"""Seconds that anything may take on a busy machine; nothing that works takes nearly as long."""


class Peer:
    """What surrounds the node: cameras that publish, and listeners that collect."""

    def __init__(self, environment):
        self.context = rclpy.Context()
        rclpy.init(context=self.context, domain_id=int(environment["ROS_DOMAIN_ID"]))
        self.node = rclpy.create_node("peer", context=self.context)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self._frames = 0

    def close(self):
        self.executor.shutdown()
        self.node.destroy_node()
        self.context.shutdown()

    def spin_until(self, condition, *, timeout=TIMEOUT, every=None, do=lambda: None):
        """Spin until the condition holds, doing something every so many seconds; give its value."""
        deadline = time.monotonic() + timeout
        next_time = 0.0
        while not (value := condition()):
            now = time.monotonic()
            assert now < deadline, f"waited {timeout} s in vain"
            if every is not None and now >= next_time:
                next_time = now + every
                do()
            self.executor.spin_once(timeout_sec=0.01)
        return value

    def spin_for(self, seconds):
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.executor.spin_once(timeout_sec=left)

    @contextmanager
    def listening(self, message_type, topic, qos=10):
        """The list of what arrives on a topic during a `with` block."""
        received = []
        subscription = self.node.create_subscription(message_type, topic, received.append, qos)
        try:
            yield received
        finally:
            self.node.destroy_subscription(subscription)

    @contextmanager
    def publishing(self, message_type, topic, *, reliable=True):
        """A publisher during a `with` block."""
        reliability = ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT
        publisher = self.node.create_publisher(
            message_type, topic, QoSProfile(depth=1, reliability=reliability)
        )
        try:
            yield publisher
        finally:
            self.node.destroy_publisher(publisher)

    def next_header(self, message):
        """Give a message a header like no other."""
        self._frames += 1
        message.header.stamp.sec = 1_700_000_000 + self._frames
        message.header.stamp.nanosec = 123_456_789
        message.header.frame_id = f"camera_{self._frames}_optical"
        return message.header

    def exchange(self, publisher, message, received):
        """Publish until the answer with the message's own header comes; give the answer."""
        header = self.next_header(message)
        return self.spin_until(
            lambda: next((answer for answer in received if answer.header == header), None),
            every=0.2,
            do=lambda: publisher.publish(message),
        )

    def call(self, service_type, name, request):
        """The answer of a service."""
        client = self.node.create_client(service_type, name)
        try:
            self.spin_until(client.service_is_ready)
            future = client.call_async(request)
            self.spin_until(future.done)
            return future.result()
        finally:
            self.node.destroy_client(client)


@pytest.fixture(scope="session", autouse=True)
def large_images():
    """Fast DDS reads its profile when the process makes its first participant."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**this_machine_only(), **shared_memory_profile()}.items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="module")
def environment():
    """Variables of a ROS domain that this test module has for itself."""
    with isolated_domain() as environment:
        yield environment


@pytest.fixture(scope="module")
def peer(environment):
    peer = Peer(environment)
    yield peer
    peer.close()


@pytest.fixture(scope="module")
def start_node(environment, tmp_path_factory):
    """Starts a node process: `with start_node("-p", "threads:=1") as child`."""

    @contextmanager
    def start(*ros_arguments, script=STAND_IN, variables=None):
        command = [sys.executable, *([script] if isinstance(script, Path) else script)]
        if ros_arguments:
            command += ["--ros-args", *ros_arguments]
        log = tmp_path_factory.mktemp("node") / "log"
        with child_process(command, {**environment, **(variables or {})}, log) as child:
            yield child

    return start


@pytest.fixture
def make_node(peer):
    """Makes nodes that the peer's executor spins."""
    nodes = []

    def make(open_detector=CountingDetector, **parameters):
        overrides = [Parameter(name, value=value) for name, value in parameters.items()]
        node = CenterNetNode(
            open_detector,
            name=f"centernet_{len(nodes)}",
            context=peer.context,
            parameter_overrides=overrides,
        )
        nodes.append(node)
        peer.executor.add_node(node)
        return node

    yield make
    for node in nodes:
        peer.executor.remove_node(node)
        node.destroy_node()


@pytest.fixture(scope="session")
def picture():
    """Draws rectangles: `picture((height, width), ((x1, y1, x2, y2), colour), ...)`."""

    def draw(size, *rectangles):
        image = np.zeros((*size, 3), np.uint8)
        for (x1, y1, x2, y2), colour in rectangles:
            image[y1:y2, x1:x2] = colour
        return image

    return draw


@pytest.fixture(scope="session")
def image_message():
    """Makes an Image of an array: `image_message(array, "bgr8", padding=0)`."""

    def make(array, encoding="bgr8", *, padding=0):
        rows = np.ascontiguousarray(array).view(np.uint8).reshape(len(array), -1)
        rows = np.pad(rows, ((0, 0), (0, padding)), constant_values=255)
        height, width = array.shape[:2]
        message = Image(height=height, width=width, encoding=encoding, step=rows.shape[1])
        message.data.frombytes(rows)
        return message

    return make
