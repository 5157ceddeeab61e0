"""The camera of `demo.launch.py`, as a process."""

import signal
import sys
import time
from pathlib import Path

import pytest

rclpy = pytest.importorskip("rclpy", reason="ROS is not set up")

from rclpy.executors import SingleThreadedExecutor  # noqa: E402
from sensor_msgs.msg import CameraInfo, Image  # noqa: E402

from centernet_ros.ros.isolation import isolated_domain, this_machine_only  # noqa: E402
from centernet_ros.ros.processes import child_process  # noqa: E402
from training.data.street import street_camera  # noqa: E402

SCRIPT = Path(__file__).parents[2] / "scripts" / "street_camera"
TIMEOUT = 60.0

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def environment():
    with isolated_domain() as environment, pytest.MonkeyPatch.context() as patch:
        for name in this_machine_only():
            patch.setenv(name, environment[name])
        yield environment


@pytest.fixture
def listen(environment):
    """Spins until so many messages of each type have come; gives both lists."""
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=int(environment["ROS_DOMAIN_ID"]))
    node = rclpy.create_node("listener", context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)

    def until(count):
        images, infos = [], []
        node.create_subscription(Image, "/front/image", images.append, 10)
        node.create_subscription(CameraInfo, "/front/camera_info", infos.append, 10)
        deadline = time.monotonic() + TIMEOUT
        while min(len(images), len(infos)) < count:
            assert time.monotonic() < deadline
            executor.spin_once(timeout_sec=0.1)
        return images, infos

    yield until
    executor.shutdown()
    node.destroy_node()
    context.shutdown()


def test_it_publishes_a_calibrated_camera_until_it_is_interrupted(environment, listen, tmp_path):
    node = [sys.executable, SCRIPT, "--ros-args", "-r", "__ns:=/front", "-p", "rate:=20.0"]
    # As a shell starts what runs in its background.
    command = ["sh", "-c", "trap '' INT; exec \"$@\"", "sh", *node]
    with child_process(command, environment, tmp_path / "log", patience=TIMEOUT) as child:
        images, infos = listen(3)
        described = {(info.header.stamp.sec, info.header.stamp.nanosec): info for info in infos}
        for image in images[:2]:
            info = described[image.header.stamp.sec, image.header.stamp.nanosec]
            assert image.header == info.header
            assert (image.width, image.height) == (info.width, info.height) == (640, 192)
            assert len(image.data) == image.step * image.height
            assert info.p[0] > 100
        assert bytes(images[0].data) != bytes(images[2].data)
        assert abs(images[0].header.stamp.sec - time.time()) < TIMEOUT
        # Launch and the terminal send one signal each.
        child.send(signal.SIGINT)
        assert child.stop(TIMEOUT) == 0
    assert "Traceback" not in child.output


def test_the_task_chooses_the_camera(environment, listen, tmp_path):
    command = [sys.executable, SCRIPT, "--ros-args", "-r", "__ns:=/front", "-p", "task:=multi_pose"]
    with child_process(command, environment, tmp_path / "log", patience=TIMEOUT):
        _, (info, *_) = listen(1)
    projection = [value for row in street_camera("pose").projection.tolist() for value in row]
    assert (info.height, info.width) == street_camera("pose").image_size
    assert info.p.tolist() == pytest.approx(projection)


@pytest.mark.parametrize(
    ("parameter", "reason"),
    [
        ("rate:=0.0", "street_camera: parameter rate is 0.0, expected 0.1 to 100.0"),
        ("rate:=10", "street_camera: Trying to set parameter 'rate' to '10' of type 'INTEGER'"),
        ("task:=bus", "street_camera: unknown task 'bus'; known: detection2d"),
    ],
)
def test_an_unusable_parameter_is_named(environment, tmp_path, parameter, reason):
    command = [sys.executable, SCRIPT, "--ros-args", "-p", parameter]
    with child_process(command, environment, tmp_path / "log") as child:
        assert child.process.wait(TIMEOUT) == 1
    assert reason in child.output
    assert "Traceback" not in child.output
