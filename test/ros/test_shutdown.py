"""A signal at any moment ends the node's process with status 0 and no traceback."""

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sensor_msgs.msg import Image
from vision_msgs.msg import Detection2DArray

from centernet_ros.msg import Timing

READY = "detection2d with resnet18"
NETWORK = 0.3
"""Seconds that the slow node takes for an image, at the least."""


def end_of(child):
    status = child.process.wait(30)
    assert "Traceback" not in child.output
    assert "Error" not in child.output
    return status


@pytest.fixture(scope="module", autouse=True)
def slow_node(start_node):
    """A node with a slow network that starts while the first tests run."""
    with start_node("-r", "__ns:=/slow", variables={"STAND_IN_SECONDS": str(NETWORK)}) as child:
        yield child


def catches(child, number):
    """Whether the process has a handler of its own for a signal."""
    status = Path(f"/proc/{child.process.pid}/status").read_text()
    caught = int(re.search(r"SigCgt:\s*(\w+)", status)[1], 16)
    return bool(caught >> (number - 1) & 1)


def test_interrupt_during_the_imports(start_node, peer):
    with start_node(script=["-m", "centernet_ros.ros"]) as child:
        peer.spin_until(lambda: catches(child, signal.SIGTERM))
        child.send(signal.SIGINT)
        assert end_of(child) == 0
        assert child.output == ""


def test_signals_while_loading_while_converting_and_in_quick_succession(start_node):
    # All at once, as each process takes seconds to start.
    with (
        start_node(variables={"STAND_IN_LOADING": "300"}) as interrupted,
        start_node(variables={"STAND_IN_LOADING": "300"}) as terminated,
        start_node(variables={"STAND_IN_CONVERTING": "300"}) as hurried,
    ):
        interrupted.wait_for_output("loading", 60)
        interrupted.send(signal.SIGINT)
        terminated.wait_for_output("loading", 60)
        terminated.send(signal.SIGTERM)
        hurried.wait_for_output(READY, 60)
        # A terminal and `ros2 launch` both pass Ctrl-C on.
        for _ in range(3):
            hurried.send(signal.SIGINT)
            time.sleep(0.005)
        assert end_of(interrupted) == 0
        assert end_of(terminated) == 0
        assert end_of(hurried) == 0


CONVERTING = """
import threading, time
from centernet_ros.backends import cache
from centernet_ros.ros import main

def run(args, open_detector):
    print(cache._temporary_folder(), flush=True)
    threading.Thread(target=time.sleep, args=(300,)).start()
    return 0

main._run = run
main.main()
"""


def test_what_was_converted_for_this_run_goes_with_a_process_that_does_not_wait():
    ended = subprocess.run(
        [sys.executable, "-c", CONVERTING], capture_output=True, text=True, timeout=60, check=True
    )
    folder = Path(ended.stdout.strip())
    assert folder.name.startswith("centernet_ros.")
    assert not folder.exists()


@pytest.mark.slow  # on a busy machine a goodbye can be lost
def test_a_node_that_is_still_converting_says_goodbye(start_node, peer):
    """Other processes would count it for 20 seconds more."""

    def is_seen():
        return ("centernet", "/converting") in peer.node.get_node_names_and_namespaces()

    arguments, variables = ("-r", "__ns:=/converting"), {"STAND_IN_CONVERTING": "300"}
    with start_node(*arguments, variables=variables) as child:
        child.wait_for_output(READY, 60)
        peer.spin_until(is_seen)
        peer.spin_for(2)  # what is said while two processes get to know each other can be lost
        child.send(signal.SIGINT)
        assert end_of(child) == 0
        peer.spin_until(lambda: not is_seen(), timeout=10)


def test_newest_image_wins_and_an_interrupt_ends_the_one_in_work(
    slow_node, peer, picture, image_message
):
    image = image_message(picture((96, 320), ((100, 30, 180, 60), (0, 255, 0))))
    with (
        peer.publishing(Image, "/slow/image") as camera,
        peer.listening(Detection2DArray, "/slow/centernet/detections_2d") as detections,
        peer.listening(Timing, "/slow/centernet/timing") as timings,
    ):
        beginning = time.monotonic()
        peer.exchange(camera, image, detections)
        peer.exchange(camera, image, timings)
        detections.clear()
        timings.clear()
        sent = []
        start = time.monotonic()
        for _ in range(100):  # ten times the node's speed
            sent.append(peer.next_header(image).frame_id)
            camera.publish(image)
            peer.spin_for(0.03)
        end = time.monotonic()
        peer.spin_until(lambda: timings and timings[-1].header.frame_id == sent[-1])
        answered = [answer.header.frame_id for answer in detections]
        assert answered[-1] == sent[-1], "the last image is always worked on"
        frames = [sent.index(frame) for frame in answered if frame in sent]
        assert frames == sorted(set(frames)), "each at most once, in order"
        # A busy machine slows down all of it: the camera, the node and this process. Some images
        # may be under way when the last one is sent.
        assert 2 <= len(frames) <= (end - start) / NETWORK + 4
        most = (end - beginning) / NETWORK + 4
        assert timings[-1].frames_dropped >= timings[-1].frames_received - most
        # An image waits for the one before it at most, and never behind others.
        longest = max(t.preprocess + t.network + t.decode + t.publish for t in timings)
        assert max(timing.queued for timing in timings) < 3 * longest

        peer.exchange(camera, image, detections)
        peer.next_header(image)
        camera.publish(image)
        peer.spin_for(0.15)
        slow_node.send(signal.SIGINT)
        assert end_of(slow_node) == 0
