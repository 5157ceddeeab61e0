"""Every output carries the image's own stamp and frame, whatever these are."""

from contextlib import ExitStack

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
PARTS = "detections", "people", "markers"
WHOLE = {"debug_image", "debug_image/compressed", "timing"}
"""Topics of messages without parts."""

OUTPUTS = {
    "detection3d": {**COMMON, "detections_3d": Detection3DArray, "markers": MarkerArray},
    "pose": {**COMMON, "poses": PersonArray},
}
HEADERS = {
    "usual": (1_700_000_000, 123_456_789, "camera_optical"),
    "unset": (0, 0, ""),
    "before 1970": (-5, 1, "/slash/and ünïcode"),
    "late": (2**31 - 1, 999_999_999, "x" * 300),
}


def headers_of(message):
    """Of the message, and of everything in it that has one of its own."""
    parts = [part for name in PARTS for part in getattr(message, name, ())]
    return [part.header for part in (parts if hasattr(message, "markers") else [message, *parts])]


def assert_every_output_echoes(peer, task, image, kind):
    """Show an image with objects and its camera_info under a header, to the one node there is."""
    seconds, nanoseconds, frame = HEADERS[kind]
    header = Header(frame_id=frame)
    header.stamp.sec, header.stamp.nanosec = seconds, nanoseconds
    info = CameraInfo(header=header, height=image.height, width=image.width)
    info.k = [300.0, 0.0, image.width / 2, 0.0, 300.0, image.height / 2, 0.0, 0.0, 1.0]
    image.header = header
    with ExitStack() as stack:
        images = stack.enter_context(peer.publishing(Image, "image"))
        infos = stack.enter_context(peer.publishing(CameraInfo, "camera_info"))
        received = {
            topic: stack.enter_context(peer.listening(message_type, f"centernet/{topic}"))
            for topic, message_type in OUTPUTS[task].items()
        }

        def send():
            infos.publish(info)
            images.publish(image)

        def answers(topic):
            """What came for this image, with something in it where that may be."""
            least = 1 if topic in WHOLE else 2
            every = [headers_of(message) for message in received[topic]]
            return [headers for headers in every if headers[0] == header and len(headers) >= least]

        peer.spin_until(lambda: all(map(answers, received)), every=0.3, do=send)
        for topic in received:
            assert all(own == header for headers in answers(topic) for own in headers), topic
