"""Every output carries the image's own stamp and frame, whatever these are."""

from contextlib import ExitStack

import pytest
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header
from vision_msgs.msg import Detection2DArray, Detection3DArray
from visualization_msgs.msg import MarkerArray

from centernet_ros.msg import PersonArray, Timing

COMMON = {
    "detections_2d": Detection2DArray,
    "debug_image": Image,
    "debug_image/compressed": CompressedImage,
    "timing": Timing,
}
OUTPUTS = {
    "detection2d": COMMON,
    "detection3d": {**COMMON, "detections_3d": Detection3DArray, "markers": MarkerArray},
    "pose": {**COMMON, "poses": PersonArray},
}
HEADERS = {
    "usual": (1_700_000_000, 123_456_789, "camera_optical"),
    "unset": (0, 0, ""),
    "before 1970": (-5, 1, "/slash/and ünïcode"),
    "late": (2**31 - 1, 999_999_999, "x" * 300),
}


@pytest.fixture(scope="module", autouse=True)
def nodes(start_node):
    with ExitStack() as stack:
        yield {
            task: stack.enter_context(
                start_node("-r", f"__ns:=/{task}", variables={"STAND_IN_TASK": task})
            )
            for task in OUTPUTS
        }


def parts_of(message):
    """A message and everything in it that has a header of its own."""
    for name in ("detections", "people", "markers"):
        yield from getattr(message, name, ())
    if not isinstance(message, MarkerArray):
        yield message


@pytest.fixture
def image(picture, image_message):
    """Two objects, so that markers and arrays have parts."""
    boxes = (100, 30, 180, 60), (200, 20, 240, 80)
    return image_message(picture((96, 320), *((box, (0, 255, 0)) for box in boxes)))


@pytest.mark.parametrize("kind", HEADERS)
@pytest.mark.parametrize("task", OUTPUTS)
def test_every_output_carries_the_images_header(peer, nodes, image, task, kind):
    seconds, nanoseconds, frame = HEADERS[kind]
    header = Header(frame_id=frame)
    header.stamp.sec, header.stamp.nanosec = seconds, nanoseconds
    info = CameraInfo(header=header, height=96, width=320)
    info.k = [300.0, 0.0, 160.0, 0.0, 300.0, 48.0, 0.0, 0.0, 1.0]
    image.header = header
    with ExitStack() as stack:
        images = stack.enter_context(peer.publishing(Image, f"/{task}/image"))
        infos = stack.enter_context(peer.publishing(CameraInfo, f"/{task}/camera_info"))
        received = {
            topic: stack.enter_context(peer.listening(message_type, f"/{task}/centernet/{topic}"))
            for topic, message_type in OUTPUTS[task].items()
        }

        def send():
            infos.publish(info)
            images.publish(image)

        peer.spin_until(lambda: all(received.values()), every=0.3, do=send)
        for topic, messages in received.items():
            parts = [part for message in messages for part in parts_of(message)]
            assert parts, topic
            assert all(part.header == header for part in parts), topic
        if task == "detection3d":
            assert any(array.detections for array in received["detections_3d"])
            assert any(len(array.markers) > 1 for array in received["markers"])
        if task == "pose":
            assert any(array.people for array in received["poses"])
