"""Through the life cycle again and again: threads, files and memory stay what they were."""

import os
import re
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from sensor_msgs.msg import CameraInfo, Image
from vision_msgs.msg import Detection2DArray

UP = (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE)
DOWN = (Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_CLEANUP)

WARM_UP = 3
"""Cycles in which PyTorch and DDS start threads, and the allocator takes memory, that stay."""

LONG_WARM_UP = 25
"""Cycles in which a network's threads all have had memory of their own from the allocator."""

REAL = "a network that is loaded"
STAND_IN = Path(__file__).with_name("stand_in_node.py")

NODES = {
    REAL: ([""], ["-r", "__ns:=/real", "-p", "backend:=torch"], {}),
    "boxes of one camera": ([""], ["-r", "__ns:=/one"], {}),
    "places and tracks of three cameras": (
        ["front/", "left/", "rear/"],
        ["-r", "__ns:=/three", "-p", "cameras:=[front, left, rear]", "-p", "tracker:=center"],
        {"STAND_IN_TASK": "detection3d"},
    ),
}


@dataclass(frozen=True)
class Holdings:
    """What a process holds of the system.

    Attributes:
        threads: number of them.
        files: names of the open files, as Linux tells them.
        memory: resident bytes.
    """

    threads: int
    files: tuple[str, ...]
    memory: int

    @classmethod
    def of(cls, child):
        process = Path(f"/proc/{child.process.pid}")
        status = (process / "status").read_text()
        threads, memory = (
            int(re.search(rf"{key}:\s+(\d+)", status)[1]) for key in ("Threads", "VmRSS")
        )
        files = sorted(os.readlink(link) for link in (process / "fd").iterdir())
        # Numbers of sockets and pipes tell nothing.
        return cls(threads, tuple(re.sub(r"\d+", "", name) for name in files), memory << 10)


@pytest.fixture
def start(start_node):
    """Starts one of the nodes."""

    def start_one(name):
        _, arguments, variables = NODES[name]
        script = ["-m", "centernet_ros.ros"] if name == REAL else STAND_IN
        return start_node("-p", "autostart:=false", *arguments, script=script, variables=variables)

    return start_one


class Life:
    """Takes a node up and down, with an image through each of its cameras in between."""

    def __init__(self, peer, stack, namespace, prefixes, image):
        self.peer, self.namespace, self.image = peer, namespace, image
        self.info = CameraInfo(height=image.height, width=image.width)
        self.info.k = [300.0, 0.0, 160.0, 0.0, 300.0, 48.0, 0.0, 0.0, 1.0]
        self.cameras = [
            (
                stack.enter_context(peer.publishing(Image, f"{namespace}/{prefix}image")),
                stack.enter_context(
                    peer.publishing(CameraInfo, f"{namespace}/{prefix}camera_info")
                ),
                stack.enter_context(
                    peer.listening(Detection2DArray, f"{namespace}/centernet/{prefix}detections_2d")
                ),
            )
            for prefix in prefixes
        ]

    def change(self, *transitions):
        for transition in transitions:
            request = ChangeState.Request(transition=Transition(id=transition))
            name = f"{self.namespace}/centernet/change_state"
            assert self.peer.call(ChangeState, name, request).success

    def cycle(self, objects):
        self.change(*UP)
        for images, infos, received in self.cameras:
            self.info.header = self.peer.next_header(self.image)
            answer = self.peer.spin_until(
                lambda received=received: [a for a in received if a.header == self.info.header],
                every=0.2,
                do=lambda images=images, infos=infos: self.send(images, infos),
            )
            assert objects is None or len(answer[0].detections) == objects
            received.clear()
        self.change(*DOWN)
        for images, *_ in self.cameras:
            self.peer.spin_until(lambda images=images: images.get_subscription_count() == 0)

    def send(self, images, infos):
        infos.publish(self.info)
        images.publish(self.image)


def assert_nothing_stays(
    peer, child, name, image, *, cycles, allowed_growth, objects=1, warm_up=WARM_UP
):
    prefixes, (_, namespace, *_), _ = NODES[name]
    with ExitStack() as stack:
        life = Life(peer, stack, namespace.removeprefix("__ns:="), prefixes, image)
        for _ in range(warm_up):
            life.cycle(objects)
        before = Holdings.of(child)
        for _ in range(cycles):
            life.cycle(objects)
        after = Holdings.of(child)
    print(
        f"{name}, {cycles} cycles: threads {before.threads} -> {after.threads}, files "
        f"{len(before.files)} -> {len(after.files)}, memory {before.memory / 2**20:.1f} -> "
        f"{after.memory / 2**20:.1f} MiB"
    )
    assert after.threads == before.threads
    assert after.files == before.files
    assert after.memory - before.memory < allowed_growth
    assert "Traceback" not in child.output


@pytest.fixture
def scene(picture, image_message):
    return image_message(picture((96, 320), ((100, 30, 180, 60), (0, 255, 0))))


def test_ten_cycles(peer, start, scene):
    name = "places and tracks of three cameras"
    with start(name) as child:
        # The allocator takes its memory in steps of some megabytes.
        assert_nothing_stays(peer, child, name, scene, cycles=10, allowed_growth=10 << 20)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", NODES)
def test_a_hundred_cycles(peer, start, scene, name):
    objects, warm_up, growth = 1, WARM_UP, 20 << 20
    if name == REAL:
        # Sooner or later the allocator takes 20 MiB for one more thread, once. A network that
        # stayed would cost as much in every cycle.
        objects, warm_up, growth = None, LONG_WARM_UP, 40 << 20
    with start(name) as child:
        assert_nothing_stays(
            peer,
            child,
            name,
            scene,
            cycles=100,
            allowed_growth=growth,
            objects=objects,
            warm_up=warm_up,
        )
