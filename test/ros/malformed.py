"""Images that no camera should send, and odd ones that are none the less right; all by a seed."""

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

import cv2
import numpy as np
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CompressedImage, Image

SIZES = (96, 320), (60, 201), (90, 300), (48, 160)
"""Height, width; the stand-in's network sees all of these."""

CAR, WHITE = (0, 255, 0), (255, 255, 255)

BOMB = zlib.compress(b"\0" * 10_000_000)


@dataclass(frozen=True)
class Scene:
    """One bright rectangle, or none.

    Attributes:
        size: height, width of the image.
        box: x1, y1, x2, y2 of the rectangle.
        colour: blue, green, red.
    """

    size: tuple[int, int]
    box: tuple[int, int, int, int] | None
    colour: tuple[int, int, int] = CAR

    @property
    def picture(self) -> Any:
        """(H, W, 3) uint8."""
        image = np.zeros((*self.size, 3), np.uint8)
        if self.box is not None:
            x1, y1, x2, y2 = self.box
            image[y1:y2, x1:x2] = self.colour
        return image


@dataclass(frozen=True)
class Sample:
    """A message, and what is to come of it.

    Attributes:
        kind: what is wrong or odd with it.
        message: Image or CompressedImage; its header is the sender's.
        scene: what is to be found; None where the message is to be rejected.
        tolerance: of the box, in pixels.
        damage: turns the serialised message into bytes that are none.
    """

    kind: str
    message: Any
    scene: Scene | None = None
    tolerance: float = 0.02
    damage: Callable[[bytes], bytes] | None = None


def scene(random: Random, colour=CAR) -> Scene:
    height, width = random.choice(SIZES)
    if random.random() < 0.1:
        return Scene((height, width), None)
    box_width, box_height = random.randint(15, 60), random.randint(12, 30)
    x, y = random.randint(2, width - box_width - 2), random.randint(2, height - box_height - 2)
    return Scene((height, width), (x, y, x + box_width, y + box_height), colour)


def raw(pixels, encoding="bgr8", padding=0, *, big_endian=False, excess=0) -> Image:
    pixels = np.ascontiguousarray(pixels)
    if pixels.dtype == np.uint16:
        pixels = pixels.astype(">u2" if big_endian else "<u2")
    rows = np.pad(pixels.view(np.uint8).reshape(len(pixels), -1), ((0, 0), (0, padding)))
    height, width = pixels.shape[:2]
    message = Image(height=height, width=width, encoding=encoding, step=rows.shape[1])
    message.is_bigendian = int(big_endian)
    message.data.frombytes(rows.tobytes() + b"\xff" * excess)
    return message


def good_image(random: Random) -> Sample:
    seen = scene(random)
    return Sample("good", raw(seen.picture), seen)


def odd_image(random: Random) -> Sample:
    """An image that cameras do send, if rarely."""
    kind = random.choice(("colour", "grey", "16 bits", "yuv", "bayer", "excess", "thin", "dark"))
    padding, excess = random.randint(0, 9), random.choice((0, 0, 1, 5000))
    seen = scene(random, CAR if kind in ("colour", "excess") else WHITE)
    picture, tolerance = seen.picture, 0.02
    if kind in ("colour", "excess"):
        code, encoding = random.choice(
            (
                (None, "8UC3"),
                (cv2.COLOR_BGR2RGB, "rgb8"),
                (cv2.COLOR_BGR2BGRA, "bgra8"),
                (cv2.COLOR_BGR2RGBA, "rgba8"),
            )
        )
        pixels = picture if code is None else cv2.cvtColor(picture, code)
    elif kind == "grey":
        pixels, encoding = picture[..., 0], random.choice(("mono8", "8UC1"))
    elif kind == "16 bits":
        wide = picture.astype(np.uint16) * 257
        pixels, encoding = random.choice(
            ((wide, "bgr16"), (wide, "rgb16"), (wide[..., 0], "mono16"))
        )
        padding *= 2
    elif kind == "yuv":
        luma_first = random.random() < 0.5
        encoding = random.choice(("yuv422_yuy2", "yuyv") if luma_first else ("yuv422", "uyvy"))
        picture = picture[:, : picture.shape[1] // 2 * 2]
        luma = np.where(picture[..., 0] > 0, 235, 16).astype(np.uint8)
        neutral = np.full_like(luma, 128)
        pixels = np.dstack([luma, neutral] if luma_first else [neutral, luma])
    elif kind == "bayer":
        pixels, tolerance = picture[..., 0], 1.01
        encoding = f"bayer_{random.choice(('rggb', 'bggr', 'gbrg', 'grbg'))}8"
    else:
        size = random.choice(((1, 1), (1, 32766), (32766, 1), (3, 2))) if kind == "thin" else (9, 9)
        seen = Scene(size, None)
        noise = np.random.default_rng(random.getrandbits(32)).integers(0, 150, (*size, 3))
        pixels, encoding = noise.astype(np.uint8), "bgr8"
    big_endian = random.random() < 0.5
    message = raw(pixels, encoding, padding, big_endian=big_endian, excess=excess)
    if kind == "yuv":
        seen = Scene((message.height, message.width), seen.box, seen.colour)
    return Sample(f"odd: {kind}", message, seen, tolerance)


def bad_image(random: Random) -> Sample:
    """An image of which nothing can be made."""
    seen = scene(random)
    message = raw(seen.picture, padding=random.randint(0, 5))
    row, last = 3 * message.width, 2**32 - 1
    huge = random.choice((last, 2**31, 2**31 - 1, 2**24, 32767))
    side = random.choice(("height", "width"))
    kinds = {
        "short step": {"step": random.randrange(row)},
        "huge step": {"step": random.randint(2**31, last)},
        "long step": {"step": message.step + random.randint(1, 9)},
        "no pixels": {side: 0},
        "huge side": {side: huge},
        "huge sides": {"height": huge, "width": huge, "step": random.choice((0, row, last))},
        "huge and it fits": {"width": 1, "height": last, "step": 0},
        "no data": {"data": b""},
        "truncated": {"data": message.data.tobytes()[: random.randrange(row * message.height)]},
        "no encoding": {"encoding": random.choice(("", " ", "BGR8", "bgr8 ", "bgr", "jpeg", "é"))},
        "float encoding": {"encoding": random.choice(("32FC1", "64FC3", "16UC1", "32SC1", "8SC3"))},
        "long encoding": {"encoding": "bgr8" * 5000},
        "wider encoding": {"encoding": random.choice(("rgba16", "bgra16", "rgb16"))},
        "odd yuv": {"encoding": "yuyv", "width": message.width // 2 * 2 - 1},
    }
    kind = random.choice((*kinds, "cut message"))
    for name, value in kinds.get(kind, {}).items():
        setattr(message, name, value)
    if kind == "cut message":
        return Sample(kind, message, damage=cut(random.random()))
    return Sample(kind, message)


def packed(picture, extension=".png", name=None) -> CompressedImage:
    content = cv2.imencode(extension, picture)[1].tobytes()
    return CompressedImage(format=name or extension[1:], data=content)


def good_file(random: Random) -> Sample:
    seen = scene(random)
    return Sample("good", packed(seen.picture), seen)


def odd_file(random: Random) -> Sample:
    """A file that is not what it says, or more than it need be."""
    kind = random.choice(("jpeg", "grey", "16 bits", "alpha", "excess", "format"))
    seen = scene(random, WHITE if kind in ("grey", "jpeg") else CAR)
    picture, extension, tolerance = seen.picture, ".png", 0.02
    if kind == "grey":
        picture = picture[..., 0]
    elif kind == "16 bits":
        picture = picture.astype(np.uint16) * 257
    elif kind == "alpha":
        picture = cv2.cvtColor(picture, cv2.COLOR_BGR2BGRA)
    elif kind == "jpeg":
        extension, tolerance = ".jpg", 1.01
    message = packed(picture, extension)
    if kind == "format":
        message.format = random.choice(("", "jpeg", "webp", "mono16; png compressed", "x" * 9999))
    if kind == "excess":
        message.data.frombytes(b"\0" * random.randint(1, 9999))
    return Sample(f"odd: {kind}", message, seen, tolerance)


def bad_file(random: Random) -> Sample:
    """A file of which nothing can be made."""
    seen = scene(random)
    png, jpeg = (packed(seen.picture, kind).data.tobytes() for kind in (".png", ".jpg"))
    inside = random.randrange(png.index(b"IDAT"), png.index(b"IEND") - 8)
    frame = jpeg.index(b"\xff\xc0")
    many = random.choice((30000, 65535))
    kinds = {
        "empty": b"",
        "noise": random.randbytes(random.randint(1, 3000)),
        "text": b"<html>404 not found</html>",
        "cut PNG": png[: random.randint(1, len(png) - 13)],
        "cut JPEG": jpeg[: random.randint(1, len(jpeg) - 2)],
        "garbled PNG": png[:inside] + bytes([png[inside] ^ 0x5A]) + png[inside + 1 :],
        "JPEG without a frame": jpeg[:frame] + jpeg[frame + 19 :],
        "JPEG of start and end": b"\xff\xd8\xff\xda nothing \xff\xd9",
        "JPEG that claims to be huge": jpeg[: frame + 5]
        + struct.pack(">HH", many, many)
        + jpeg[frame + 9 :],
        "JPEG without lines": jpeg[: frame + 5] + b"\0\0" + jpeg[frame + 7 :],
        "PNG bomb": png_of(many, many, BOMB),
        "PNG bomb of a million": png_of(2**20, 2**20, zlib.compress(b"\0" * 1000)),
        "PNG that lacks lines": png_of(400, 100, zlib.compress(b"\0" * 1000)),
        "PNG without pixels": png_of(0, 0, b""),
        "wide PNG": png_of(40000, 1, zlib.compress(b"\0" * 120001)),
    }
    kind = random.choice((*kinds, "cut message"))
    if kind == "cut message":
        return Sample(kind, packed(seen.picture), damage=cut(random.random()))
    return Sample(kind, CompressedImage(format="png", data=kinds[kind]))


def cut(part):
    """Leaves so much of a serialised message, and never all of it, which may end in padding."""
    return lambda content: content[: int(part * (len(content) - 4))]


def png_of(width, height, content):
    """A PNG that declares a size, with checksums that fit."""

    def chunk(name, data):
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", content) + chunk(b"IEND", b"")


def publish(publisher, sample: Sample) -> None:
    if sample.damage is None:
        publisher.publish(sample.message)
    else:
        publisher.publish(sample.damage(serialize_message(sample.message)))
