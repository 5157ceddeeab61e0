"""Thousands of malformed messages: no crash, no wrong box, every one of them counted."""

import re
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from random import Random

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from vision_msgs.msg import Detection2DArray, Detection3DArray

from malformed import bad_file, bad_image, good_file, good_image, odd_file, odd_image, publish
from miscalibrated import bad_info, good_info, odd_info
from truth import assert_places, corners_of

LANES = 24
"""Cameras that send at the same time; each has at most one message on its way."""

SEED = 20_000
ENDS = "skipped", "dropped", "idle", "stale", "rejected", "processed"
"""What may become of an image, each with a count of its own in the diagnostics."""

ALLOWED_GROWTH = 20 << 20

TRANSPORTS = {
    "raw": (Image, "image", (good_image, odd_image, bad_image)),
    "compressed": (CompressedImage, "image/compressed", (good_file, odd_file, bad_file)),
}


class Lane:
    """A camera, what the node answers to it, and what has to come of its messages."""

    def __init__(self, peer, stack, transport, name):
        message_type, topic, self.makers = TRANSPORTS[transport]
        below, self.name, self.peer = f"/{transport}", name, peer
        self.undistort = transport == "compressed"
        self.images = stack.enter_context(peer.publishing(message_type, f"{below}/{name}/{topic}"))
        self.infos = stack.enter_context(peer.publishing(CameraInfo, f"{below}/{name}/camera_info"))
        self.flat, self.solid = (
            stack.enter_context(peer.listening(kind, f"{below}/centernet/{name}/{topic}"))
            for kind, topic in (
                (Detection2DArray, "detections_2d"),
                (Detection3DArray, "detections_3d"),
            )
        )
        self.counts, self.kinds = Counter(), Counter()

    def send(self, random, *, good=False):
        """Send an image with its camera_info, one of them bad most of the time."""
        make_good, make_odd, make_bad = self.makers
        dice = 0 if good else random.random()
        make = make_good if dice < 0.4 else make_odd if dice < 0.46 else make_bad
        self.sample = sample = make(random)
        size = sample.scene.size if sample.scene else (96, 320)
        if dice < 0.06 or dice >= 0.4:
            self.info = good_info(random, size)
        elif dice < 0.1:
            self.info = odd_info(random, size, undistort=self.undistort)
        else:
            self.info = bad_info(random, size, undistort=self.undistort)
        self._put_headers(random, odd=self.info.places and not good and random.random() < 0.1)
        # The other way round, an image would wait for its camera_info only so long, and on a busy
        # machine take the one before.
        self.infos.publish(self.info.message)
        publish(self.images, sample)
        self._expect()

    def _put_headers(self, random, *, odd):
        header = self.peer.next_header(self.sample.message)
        if odd:
            header.stamp.sec = random.randint(-(2**31), 2**31 - 1)
            header.stamp.nanosec = random.randint(0, 2**32 - 1)
            header.frame_id = random.choice(("", "/", "é" * 3000))
        info = self.info.message.header
        info.stamp, info.frame_id = header.stamp, info.frame_id or header.frame_id

    def _expect(self):
        if self.sample.damage is None:  # else the middleware passes over it
            self.counts["received"] += 1
            self.counts["processed" if self.sample.scene else "rejected"] += 1
        if self.sample.scene and not self.info.places:
            self.counts["unplaced"] += 1
        self.kinds[f"image {self.sample.kind}"] += 1
        self.kinds[f"camera_info {self.info.kind}"] += 1

    @property
    def bad(self):
        """Malformed messages so far."""
        odd = re.compile("(image|camera_info) (good|odd)")
        return sum(count for kind, count in self.kinds.items() if not odd.match(kind))

    @property
    def answered(self):
        return self.sample.scene is None or bool(self.flat and self.solid)

    def check(self):
        """What came is exactly what the message deserves."""
        scene, header = self.sample.scene, self.sample.message.header
        said = f"{self.name}: {self.sample.kind}, {self.info.kind}"
        assert [array.header for array in self.flat] == [header] * bool(scene), said
        assert [array.header for array in self.solid] == [header] * bool(scene), said
        if scene is not None:
            boxes = [corners_of(detection) for detection in self.flat[0].detections]
            expected = [scene.box] if scene.box else []
            assert len(boxes) == len(expected), said
            np.testing.assert_allclose(boxes, expected, atol=self.sample.tolerance, err_msg=said)
            placed = expected if self.info.places else []
            assert len(self.solid[0].detections) == len(placed), said
            if self.sample.tolerance < 0.1:
                assert_places(self.solid[0], placed, self.info.p)
        self.flat.clear()
        self.solid.clear()


@pytest.fixture(scope="module", autouse=True)
def nodes(start_node):
    """One for raw images and one for files, which rectifies them too."""
    cameras = ", ".join([*(f"lane{i}" for i in range(LANES)), "pacer"])
    with ExitStack() as stack:
        children = {}
        for transport in TRANSPORTS:
            arguments = ["-r", f"__ns:=/{transport}", "-p", f"cameras:=[{cameras}]"]
            arguments += ["-p", f"image_transport:={transport}", "-p", "no_image_warning:=0.0"]
            if transport == "compressed":
                arguments += ["-p", "undistort:=true"]
            children[transport] = stack.enter_context(
                start_node(*arguments, variables={"STAND_IN_TASK": "detection3d"})
            )
        for child in children.values():
            child.wait_for_output("detection3d with resnet18", 90)
        yield children


def round_of_messages(peer, lanes, pacer, random):
    """A message of every lane; then those of the pacer, until all are through the node."""
    for lane in lanes:
        lane.send(random)
    peer.spin_until(lambda: all(lane.answered for lane in lanes))
    # To what is rejected there is no answer. When three later images of another camera have been
    # answered, one after the other, executor and worker have been through all topics.
    for _ in range(3):
        pacer.send(random, good=True)
        peer.spin_until(lambda: pacer.answered)
        pacer.check()
    for lane in lanes:
        lane.check()


def counts_of(reports, transport):
    """What the newest diagnostics tell of each lane."""
    found = {}
    for status in reports[-1].status if reports else ():
        name = re.fullmatch(rf"{transport}/centernet: (lane\d+|pacer)", status.name)
        if name:
            values = {entry.key: entry.value for entry in status.values}
            found[name[1]] = {
                key.removeprefix("images "): int(value)
                for key, value in values.items()
                if key.startswith("images ")
            }
    return found


def settled(reports, transport, lanes, sent):
    """The counts, once they are of all images and every image has an end."""
    found = counts_of(reports, transport)
    done = found and all(
        found[lane.name]["received"] >= sent[lane.name]["received"]
        and found[lane.name]["received"] == sum(found[lane.name][end] for end in ENDS)
        for lane in lanes
    )
    return found if done else None


def at_rest(peer, reports, transport, lanes):
    """The counts, once they have stood still for two reports."""
    nothing = {lane.name: Counter() for lane in lanes}
    before = None
    while True:
        reports.clear()
        counts = peer.spin_until(lambda: settled(reports, transport, lanes, nothing))
        if counts == before:
            return counts
        before = counts


def connect(peer, lanes, random):
    """Send good pairs until one of every lane is answered whole.

    A reader knows its writer a moment later than the writer it, and what comes between the two is
    nobody's: an image would be answered without its camera_info.
    """
    left = list(lanes)

    def send():
        left[:] = [lane for lane in left if not any(array.detections for array in lane.solid)]
        for lane in left:
            lane.send(random, good=True)

    peer.spin_until(lambda: not left, every=0.3, do=send)


def forget(lanes):
    """Begin anew, what was sent so far being through."""
    for lane in lanes:
        for record in (lane.flat, lane.solid, lane.counts, lane.kinds):
            record.clear()


def resident(child):
    """Bytes of memory of a process."""
    status = Path(f"/proc/{child.process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) << 10


def bombard(peer, child, transport, number):
    """Send malformed messages; give the growth of memory, and how many of each kind there were."""
    random = Random(SEED)
    with ExitStack() as stack:
        lanes = [Lane(peer, stack, transport, f"lane{i}") for i in range(LANES)]
        pacer = Lane(peer, stack, transport, "pacer")
        every = [*lanes, pacer]
        reports = []

        def keep(report):
            if any(status.name.startswith(f"{transport}/") for status in report.status):
                reports[:] = [report]

        peer.node.create_subscription(DiagnosticArray, "/diagnostics", keep, 10)
        for lane in every:
            peer.spin_until(lambda lane=lane: lane.images.get_subscription_count())
            peer.spin_until(lambda lane=lane: lane.infos.get_subscription_count())
        connect(peer, every, random)
        start = at_rest(peer, reports, transport, every)
        forget(every)
        warm = None
        while sum(lane.bad for lane in lanes) < number:
            round_of_messages(peer, lanes, pacer, random)
            if warm is None and sum(lane.bad for lane in lanes) > number / 3:
                warm = resident(child)
        peer.spin_for(0.5)
        assert not any(lane.flat or lane.solid for lane in every)
        sent = {lane.name: Counter(start[lane.name]) + lane.counts for lane in every}
        found = peer.spin_until(lambda: settled(reports, transport, every, sent))
        for lane in every:
            expected = {name: 0 for name in found[lane.name]} | sent[lane.name]
            assert found[lane.name] == expected, lane.name
        return resident(child) - warm, sum((lane.kinds for lane in lanes), Counter())


def survive(peer, child, transport, number):
    """Send malformed messages to a node that must live on; give the growth of its memory."""
    growth, kinds = bombard(peer, child, transport, number)
    print(f"{transport}: memory grew by {growth / 2**20:.1f} MiB;", dict(sorted(kinds.items())))
    assert child.process.poll() is None
    assert "Traceback" not in child.output
    return growth


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_few_hundred_malformed_messages(peer, nodes, transport):
    survive(peer, nodes[transport], transport, 300)


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_twenty_thousand_malformed_messages(peer, nodes, transport):
    assert survive(peer, nodes[transport], transport, 10_000) < ALLOWED_GROWTH
