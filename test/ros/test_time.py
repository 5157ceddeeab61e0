"""A simulated clock, and a bag that starts again: ages, limits, tracks and pairs go on."""

import itertools
import time

import pytest
from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image
from vision_msgs.msg import Detection2DArray, Detection3DArray

from centernet_ros.msg import Timing
from truth import assert_places

SIZE, BOX = (96, 320), (100, 30, 180, 60)
P = (300.0, 0.0, 160.0, -3.0, 0.0, 300.0, 48.0, 0.0, 0.0, 0.0, 1.0, 0.0)
MAX_AGE = 0.5


@pytest.fixture(scope="module", autouse=True)
def node(start_node):
    arguments = ["-p", "use_sim_time:=true", "-p", f"max_age:={MAX_AGE}", "-p", "tracker:=center"]
    with start_node(*arguments, variables={"STAND_IN_TASK": "detection3d"}) as child:
        child.wait_for_output("detection3d with resnet18", 60)
        yield child


class Player:
    """What replays a bag: the clock, images with their camera_info, and what is answered."""

    def __init__(self, peer, image, publishers, answers):
        self.peer, self.image = peer, image
        self.clock, self.images, self.infos = publishers
        self.solid, self.flat, self.timings = answers
        self.info = CameraInfo(height=SIZE[0], width=SIZE[1])
        self.info.k, self.info.p = [300.0, 0.0, 160.0, 0.0, 300.0, 48.0, 0.0, 0.0, 1.0], list(P)

    def set_clock(self, seconds):
        """Let the node take over a time, which no answer tells of."""
        message = Clock()
        message.clock.sec, rest = divmod(round(seconds * 1000), 1000)
        message.clock.nanosec = rest * 1_000_000
        for _ in range(3):
            self.clock.publish(message)
            self.peer.spin_for(0.1)

    def send(self, seconds):
        """Show the image once, under a stamp."""
        stamp = self.image.header.stamp
        stamp.sec, rest = divmod(round(seconds * 1000), 1000)
        stamp.nanosec = rest * 1_000_000
        self.image.header.frame_id = "camera_optical"
        self.info.header = self.image.header
        self.infos.publish(self.info)
        self.images.publish(self.image)

    def show(self, seconds):
        """Show the image once; what is answered: places, boxes and times."""
        for answers in (self.solid, self.flat, self.timings):
            answers.clear()
        self.send(seconds)
        self.peer.spin_until(lambda: self.solid and self.flat and self.timings)
        for (answer,) in (self.solid, self.flat, self.timings):
            assert answer.header == self.image.header
        return self.solid[0], self.flat[0], self.timings[0]


@pytest.fixture(scope="module")
def player(peer, picture, image_message):
    image = image_message(picture(SIZE, (BOX, (0, 255, 0))))
    with (
        peer.publishing(Clock, "/clock") as clock,
        peer.publishing(Image, "image") as images,
        peer.publishing(CameraInfo, "camera_info") as infos,
        peer.listening(Detection3DArray, "centernet/detections_3d") as solid,
        peer.listening(Detection2DArray, "centernet/detections_2d") as flat,
        peer.listening(Timing, "centernet/timing") as timings,
    ):
        player = Player(peer, image, (clock, images, infos), (solid, flat, timings))
        for publisher in (clock, images, infos):
            peer.spin_until(publisher.get_subscription_count)
        # Until every publisher of the node knows its subscriber.
        player.set_clock(1.0)
        peer.spin_until(lambda: solid and flat and timings, every=0.3, do=lambda: player.send(1.0))
        peer.spin_for(0.5)
        yield player


def test_ages_are_of_the_simulated_clock(player):
    player.set_clock(1000.0)
    *_, timing = player.show(999.75)
    assert timing.received == pytest.approx(0.25)
    assert timing.total == pytest.approx(0.25), "the clock stands still while the node works"
    assert 0 < timing.network + timing.decode < 60, "stages are real time"
    player.set_clock(1000.5)
    *_, timing = player.show(1000.5)
    assert timing.received == pytest.approx(0)


def test_too_old_is_by_the_simulated_clock(peer, player):
    player.set_clock(2000.0)
    player.show(2000.0 - 0.9 * MAX_AGE)
    player.send(2000.0 - 1.1 * MAX_AGE)
    old = player.image.header.stamp.nanosec
    peer.spin_for(0.3)
    # The next answer is that of the next image.
    _, boxes, _ = player.show(2000.0)
    assert boxes.header.stamp.nanosec == 0 != old


def test_reports_bear_the_simulated_time(peer, player):
    player.set_clock(3000.0)
    with peer.listening(DiagnosticArray, "/diagnostics") as reports:
        peer.spin_until(lambda: any(report.header.stamp.sec == 3000 for report in reports))


def test_a_bag_that_starts_again(peer, player):
    """Two seconds at 10 Hz, three times: the same stamps, and new objects each time."""
    numbers = []
    for _ in range(3):
        player.set_clock(100.0)
        of_this_time = set()
        for i in range(20):
            if i % 10 == 0:
                player.set_clock(100.0 + i / 10)
            places, boxes, timing = player.show(100.0 + i / 10)
            assert_places(places, [BOX], P)
            assert -1.1 < timing.received <= 0
            of_this_time |= {detection.id for detection in boxes.detections}
            assert {detection.id for detection in places.detections} <= of_this_time
        numbers.append(of_this_time)
    assert all(len(ids) == 1 for ids in numbers), "one object keeps its number"
    assert len(set.union(*numbers)) == 3, "what comes after the jump is another one"


def test_a_jump_back_does_not_stop_a_camera_with_a_period(peer, player):
    def set_period(seconds):
        value = ParameterValue(
            type=ParameterType.PARAMETER_DOUBLE_ARRAY, double_array_value=[seconds]
        )
        request = SetParameters.Request(parameters=[Parameter(name="periods", value=value)])
        answer = peer.call(SetParameters, "centernet/set_parameters", request)
        assert answer.results[0].successful

    period = 0.3
    set_period(period)
    try:
        for start in (500.0, 100.0):
            player.set_clock(start)
            player.flat.clear()
            begin = time.monotonic()
            moments = itertools.count(start, 0.001)
            peer.spin_until(
                lambda: len(player.flat) >= 4,
                every=0.05,
                do=lambda moments=moments: player.send(next(moments)),
            )
            # Three periods lie between four images, of which one may be a quarter early.
            assert time.monotonic() - begin > 2.5 * period
    finally:
        set_period(0.0)
