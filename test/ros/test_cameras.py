"""Several cameras in one process: their own topics, headers, calibrations and rates."""

import time

import pytest
from sensor_msgs.msg import CameraInfo, Image
from std_srvs.srv import SetBool
from vision_msgs.msg import Detection2DArray, Detection3DArray

from centernet_ros.msg import Timing

CAR = (0, 255, 0)
DEPTH = 1500.0
"""Of the stand-in: metres times pixels of a rectangle's height."""
CAMERAS = {
    # Name: height and width of its images, focal length, box, period from image to image.
    "front": ((375, 1242), 720.0, (300, 100, 521, 200), 0.05),
    "left": ((480, 640), 500.0, (100, 200, 260, 320), 0.15),
}


@pytest.fixture(scope="module", autouse=True)
def node(start_node):
    arguments = ["-p", "cameras:=[front, left, rear]", "-p", "no_image_warning:=0.5"]
    variables = {"STAND_IN_TASK": "detection3d"}
    with start_node(*arguments, variables=variables) as child:
        child.wait_for_output("detection3d with resnet18 .* cameras front, left, rear", 60)
        yield child


class Sender:
    """A camera that sends images with their camera_info, each under a new stamp."""

    def __init__(self, peer, name, image):
        size, focal, self.box, self.period = CAMERAS[name]
        self.name, self.image = name, image
        self.info = CameraInfo(height=size[0], width=size[1], distortion_model="plumb_bob")
        k = [focal, 0.0, size[1] / 2, 0.0, focal, size[0] / 2, 0.0, 0.0, 1.0]
        self.info.k = k
        self.info.p = [*k[:3], 0.0, *k[3:6], 0.0, *k[6:], 0.0]
        self.images = peer.node.create_publisher(Image, f"{name}/image", 1)
        self.infos = peer.node.create_publisher(CameraInfo, f"{name}/camera_info", 1)
        self.next_time, self.sent, self.running = 0.0, 0, True
        self.peer = peer

    def tick(self):
        now = time.monotonic()
        if self.running and now >= self.next_time:
            self.next_time, self.sent = now + self.period, self.sent + 1
            header = self.peer.next_header(self.image)
            header.frame_id = f"{self.name}_optical"
            self.info.header = header
            self.infos.publish(self.info)
            self.images.publish(self.image)

    def close(self):
        self.peer.node.destroy_publisher(self.images)
        self.peer.node.destroy_publisher(self.infos)


@pytest.fixture(scope="module")
def senders(peer, picture, image_message):
    senders = [
        Sender(peer, name, image_message(picture(size, (box, CAR))))
        for name, (size, _, box, _) in CAMERAS.items()
    ]
    yield senders
    for sender in senders:
        sender.close()


@pytest.fixture(scope="module")
def received(peer):
    """What comes on the topics of each camera."""
    kinds = {"detections_3d": Detection3DArray, "detections_2d": Detection2DArray, "timing": Timing}
    lists = {}
    for name in ("front", "left", "rear"):
        for topic, kind in kinds.items():
            lists[name, topic] = []
            peer.node.create_subscription(
                kind, f"centernet/{name}/{topic}", lists[name, topic].append, 10
            )
    return lists


def run(peer, senders, condition):
    def tick():
        for sender in senders:
            sender.tick()

    return peer.spin_until(condition, every=0.01, do=tick)


def since(mark, messages):
    """Those about images that were sent after a header was given out."""
    return [message for message in messages if message.header.stamp.sec > mark.stamp.sec]


def test_each_camera_has_its_own_header_box_and_place(peer, senders, received):
    run(peer, senders, lambda: all(received[s.name, "detections_3d"] for s in senders))
    for sender in senders:
        run(
            peer,
            senders,
            lambda name=sender.name: any(a.detections for a in received[name, "detections_3d"]),
        )
        for array in received[sender.name, "detections_3d"]:
            assert array.header.frame_id == f"{sender.name}_optical"
        found = [a for a in received[sender.name, "detections_3d"] if a.detections][-1]
        (detection,) = found.detections
        (height, width), focal, (x1, y1, x2, y2), _ = CAMERAS[sender.name]
        z = DEPTH / (y2 - y1)
        expected = ((x1 + x2 - width) / 2 * z / focal, (y1 + y2 - height) / 2 * z / focal, z)
        place = detection.bbox.center.position
        assert (place.x, place.y, place.z) == pytest.approx(expected, abs=1e-3)
        flat = received[sender.name, "detections_2d"]
        run(peer, senders, lambda flat=flat: any(answer.detections for answer in flat))
        boxes = flat[-1]
        assert boxes.header.frame_id == f"{sender.name}_optical"
        assert boxes.detections[0].bbox.size_x == pytest.approx(x2 - x1, abs=0.01)


def test_a_camera_that_stops_does_not_hold_the_others(peer, node, senders, received):
    left = senders[1]
    left.running = False
    before = {key: len(value) for key, value in received.items()}
    run(peer, senders, lambda: len(received["front", "timing"]) >= before["front", "timing"] + 10)
    assert not received["rear", "timing"], "it has never sent anything"
    node.wait_for_output(r"no image on /left/image for \d+ s: its publisher sends nothing", 20)
    node.wait_for_output(r"no image on /rear/image for \d+ s: nobody publishes it", 20)
    left.running = True
    mark = peer.next_header(Image())
    run(peer, senders, lambda: since(mark, received["left", "timing"]))


def test_counts_are_each_cameras_own(peer, senders, received):
    run(peer, senders, lambda: len(received["left", "timing"]) > 3)
    for sender in senders:
        timing = received[sender.name, "timing"][-1]
        assert timing.frames_processed <= timing.frames_received <= sender.sent
        assert timing.frames_processed >= len(received[sender.name, "timing"])


def test_disabled_means_no_work_and_enabled_again(peer, senders, received):
    request = SetBool.Request(data=False)
    answer = peer.call(SetBool, "centernet/enable", request)
    assert answer.success
    mark = peer.next_header(Image())
    sent = senders[0].sent
    run(peer, senders, lambda: senders[0].sent > sent + 5)
    peer.spin_for(0.3)
    assert not since(mark, received["front", "timing"])
    before = len(received["front", "timing"])
    assert peer.call(SetBool, "centernet/enable", SetBool.Request(data=True)).success
    run(peer, senders, lambda: len(received["front", "timing"]) > before)


def test_it_ends_well(node):
    assert node.stop() == 0
    assert "Traceback" not in node.output
