"""What people and monitors see: markers, tracks, pictures and diagnostics, all over DDS."""

import itertools

import cv2
import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_srvs.srv import SetBool
from vision_msgs.msg import Detection2DArray, Detection3DArray
from visualization_msgs.msg import Marker, MarkerArray

from centernet_ros.ros.images import to_bgr
from centernet_ros.ros.node import CenterNetNode

SIZE = 188, 621
CAR = (0, 255, 0)
FRAME = "front_optical"


@pytest.fixture(scope="module", autouse=True)
def node(start_node):
    with start_node(variables={"STAND_IN_TASK": "detection3d"}) as child:
        child.wait_for_output("detection3d with resnet18", 60)
        yield child


@pytest.fixture(scope="module")
def drive(peer, picture, image_message):
    """Publishes an image with its camera_info at a time, in seconds, or now and again."""
    moments = itertools.count(1_700_000_000_000, 100)

    with (
        peer.publishing(Image, "image") as images,
        peer.publishing(CameraInfo, "camera_info") as infos,
    ):
        peer.spin_until(lambda: images.get_subscription_count() and infos.get_subscription_count())

        def show(*boxes, milliseconds=None, calibrated=True):
            image = image_message(picture(SIZE, *((box, CAR) for box in boxes)))
            milliseconds = milliseconds or next(moments)
            image.header.frame_id = FRAME
            image.header.stamp.sec, rest = divmod(milliseconds, 1000)
            image.header.stamp.nanosec = rest * 1_000_000
            info = CameraInfo(header=image.header, height=SIZE[0], width=SIZE[1])
            if calibrated:
                info.k = [360.0, 0.0, 310.0, 0.0, 360.0, 94.0, 0.0, 0.0, 1.0]
                info.p = [360.0, 0.0, 310.0, 0.0, 0.0, 360.0, 94.0, 0.0, 0.0, 0.0, 1.0, 0.0]
            infos.publish(info)
            images.publish(image)
            return image.header

        yield show


@pytest.fixture(scope="module")
def answer(peer, drive):
    """What comes on a topic for an image that is shown until something does."""

    def ask(received, *boxes, **how):
        headers = []
        return peer.spin_until(
            lambda: next((got for got in received if header_of(got) in headers), None),
            every=0.5,
            do=lambda: headers.append(drive(*boxes, **how)),
        )

    return ask


def header_of(message):
    return message.markers[0].header if isinstance(message, MarkerArray) else message.header


@pytest.fixture
def set_parameters(peer):
    def set_values(**values):
        request = SetParameters.Request()
        for name, value in values.items():
            kind = "bool" if isinstance(value, bool) else "string"
            entry = ParameterValue(**{f"{kind}_value": value})
            entry.type = getattr(ParameterType, f"PARAMETER_{kind.upper()}")
            request.parameters.append(Parameter(name=name, value=entry))
        for result in peer.call(SetParameters, "centernet/set_parameters", request).results:
            assert result.successful, result.reason

    return set_values


def test_markers_are_those_of_the_detections(peer, answer):
    with (
        peer.listening(Detection3DArray, "centernet/detections_3d") as detections,
        peer.listening(MarkerArray, "centernet/markers") as received,
    ):
        markers = answer(received, (150, 50, 260, 100)).markers
        header = markers[0].header
        array = peer.spin_until(lambda: next((m for m in detections if m.header == header), None))
    assert markers[0].action == Marker.DELETEALL
    assert [marker.ns for marker in markers[1:]] == ["boxes", "headings", "labels"]
    assert markers[1].pose == array.detections[0].bbox.center
    assert markers[3].text == f"car {array.detections[0].results[0].hypothesis.score:.2f}"


def test_an_empty_scene_clears_the_markers(peer, answer):
    with peer.listening(MarkerArray, "centernet/markers") as received:
        assert [marker.action for marker in answer(received).markers] == [Marker.DELETEALL]


def test_the_jpeg_is_the_debug_image(peer, answer):
    with (
        peer.listening(Image, "centernet/debug_image") as raw,
        peer.listening(CompressedImage, "centernet/debug_image/compressed") as received,
    ):
        packed = answer(received, (150, 50, 260, 100))
        image = peer.spin_until(lambda: next((m for m in raw if m.header == packed.header), None))
    assert packed.format == "bgr8; jpeg compressed bgr8"
    drawn, unpacked = to_bgr(image), cv2.imdecode(np.frombuffer(packed.data, np.uint8), 1)
    assert unpacked.shape == (*SIZE, 3)
    assert cv2.absdiff(drawn, unpacked).mean() < 8


def test_a_map_from_above_comes_and_goes(peer, answer, set_parameters):
    """In its corner the picture itself is black."""
    corner = np.s_[5:60, -60:-5]
    with peer.listening(Image, "centernet/debug_image") as received:
        assert not to_bgr(answer(received, (150, 50, 260, 100)))[corner].any()
        set_parameters(birdseye=True)
        assert to_bgr(answer(received, (150, 50, 260, 100)))[corner].all()
        set_parameters(birdseye=False)
        assert not to_bgr(answer(received, (150, 50, 260, 100)))[corner].any()


def test_tracks_number_objects_in_every_output(peer, drive, set_parameters):
    with (
        peer.listening(Detection2DArray, "centernet/detections_2d") as flat,
        peer.listening(Detection3DArray, "centernet/detections_3d") as solid,
    ):
        peer.spin_for(0.5)

        def ids(milliseconds, shift):
            boxes = [(100 + shift, 50, 210 + shift, 100), (400 - shift, 50, 480 - shift, 90)]
            header = drive(*boxes, milliseconds=milliseconds)
            both = [
                peer.spin_until(lambda r=r: next((m for m in r if m.header == header), None))
                for r in (flat, solid)
            ]
            assert [d.id for d in both[0].detections] == [d.id for d in both[1].detections]
            found = sorted(both[0].detections, key=lambda d: d.bbox.center.position.x)
            return [detection.id for detection in found]

        begin = 1_800_000_000_000
        assert ids(begin, 0) == ["", ""]
        set_parameters(tracker="center")
        first = ids(begin + 100, 4)
        assert sorted(first) == ["1", "2"]
        assert [ids(begin + 100 * i, 4 * i) for i in range(2, 5)] == [first] * 3
        # A bag that starts again: new numbers, none of them twice.
        assert sorted(ids(begin + 50, 0)) == ["3", "4"]
        set_parameters(tracker="none")
        assert ids(begin + 150, 0) == ["", ""]


@pytest.fixture(scope="module")
def reports(peer):
    with peer.listening(DiagnosticArray, "/diagnostics") as received:
        yield received


def test_diagnostics_tell_how_the_camera_is(peer, drive, reports, set_parameters):
    def wait_for(name, level, text, *, do=lambda: None):
        """The status that comes when a thing is done again and again."""
        already = len(reports)

        def found():
            for status in (status for report in reports[already:] for status in report.status):
                if (status.name, status.level) == (name, level) and text in status.message:
                    return status
            return None

        return peer.spin_until(found, every=0.2, do=do)

    box = (150, 50, 260, 100)
    network = wait_for("centernet: network", DiagnosticStatus.OK, "active on cpu")
    told = {entry.key: entry.value for entry in network.values}
    assert (told["task"], told["enabled"]) == ("detection3d", "True")
    camera = "centernet: camera"
    wait_for(camera, DiagnosticStatus.OK, "idle", do=lambda: drive(box))
    with peer.listening(Detection3DArray, "centernet/detections_3d"):
        good = wait_for(camera, DiagnosticStatus.OK, "images a second", do=lambda: drive(box))
        told = {entry.key: entry.value for entry in good.values}
        assert told["calibration"] == "good"
        assert float(told["processed rate (Hz)"]) <= float(told["input rate (Hz)"]) + 1
        assert float(told["network, median (ms)"]) >= 0
        wait_for(
            camera,
            DiagnosticStatus.WARN,
            "no 3D: the camera is not calibrated",
            do=lambda: drive(box, calibrated=False),
        )
    damaged = Image(height=3, width=4, encoding="bgr8", step=12)
    with (
        peer.publishing(Image, "image") as images,
        peer.listening(Detection2DArray, "centernet/detections_2d"),
    ):
        bad = wait_for(
            camera, DiagnosticStatus.ERROR, "unusable", do=lambda: images.publish(damaged)
        )
        told = {entry.key: entry.value for entry in bad.values}
        assert int(told["images rejected"]) > 0
        assert told["last rejection"] in bad.message
    peer.call(SetBool, "centernet/enable", SetBool.Request(data=False))
    wait_for("centernet: network", DiagnosticStatus.OK, "disabled by ~/enable")
    peer.call(SetBool, "centernet/enable", SetBool.Request(data=True))
    silent = wait_for(camera, DiagnosticStatus.STALE, "no image on /image for")
    assert silent.hardware_id == "/image"


def test_a_node_that_is_not_configured_is_known_too(peer, reports):
    node = CenterNetNode(name="waiting", context=peer.context)
    peer.executor.add_node(node)
    try:
        texts = peer.spin_until(
            lambda: [
                status.message
                for report in reports
                for status in report.status
                if status.name == "waiting: network"
            ]
        )
    finally:
        peer.executor.remove_node(node)
        node.destroy_node()
    assert texts[0] == "unconfigured"


def test_every_camera_has_a_status_and_numbers_of_its_own(peer, start_node, picture, image_message):
    image = image_message(picture(SIZE, ((150, 50, 260, 100), CAR)))
    arguments = ["-r", "__ns:=/two", "-p", "cameras:=[left, right]", "-p", "tracker:=center"]
    with (
        start_node(*arguments) as child,
        peer.publishing(Image, "/two/left/image") as left,
        peer.listening(Detection2DArray, "/two/centernet/left/detections_2d") as seen,
        peer.publishing(Image, "/two/right/image") as right,
        peer.listening(Detection2DArray, "/two/centernet/right/detections_2d") as beside,
        peer.listening(DiagnosticArray, "/diagnostics") as reports,
    ):
        child.wait_for_output("cameras left, right", 60)
        for camera, received in ((left, seen), (right, beside)):
            answer = peer.exchange(camera, image, received)
            assert [detection.id for detection in answer.detections] == ["1"]
        expected = {f"two/centernet: {what}" for what in ("network", "left", "right")}
        peer.spin_until(
            lambda: any(expected == {s.name for s in report.status} for report in reports)
        )
