"""Findings, counts and sizes as text, and samples as one picture."""

from __future__ import annotations

import contextlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch

from centernet_ros.drawing import draw_results, unscored
from centernet_ros.image import Image
from centernet_ros.kitti import to_truth
from centernet_ros.structures import NUM_JOINTS, CameraIntrinsics, Detections2D, Poses
from training.check.geometry import collisions
from training.check.records import Finding, RawImage, Scan
from training.data.images import read_image
from training.data.kitti import camera_of
from training.data.sample import DataError

EXAMPLES = 3
"""Places that are named of each kind of finding."""

TILE_WIDTH = 400
"""Pixels of a sample on the contact sheet; its height is that of most images."""

CAPTION = 18
"""Pixels below a sample for its name."""


def summary(scan: Scan) -> str:
    """Counts of images, objects and classes, sizes of images and boxes, collisions."""
    objects = [item for image in scan.images for item in image.objects]
    counts = Counter(item.name for item in objects)
    images = Counter(name for image in scan.images for name in {i.name for i in image.objects})
    ignored = sum(item.ignored for item in objects)
    lines = [f"{scan.form}: {len(scan.images)} images, {len(objects)} objects"]
    if ignored:
        lines[0] += f", {ignored} of them crowds or difficult: neither learnt nor background"
    width = max([len(name) for name in counts], default=0)
    for name, count in counts.most_common():
        lines.append(f"  {name:<{width}}  {count:>7} objects in {images[name]:>6} images")
    sizes = Counter(image.size for image in scan.images if image.size)
    shown = [f"{w}x{h} ({n})" for (h, w), n in sizes.most_common(EXAMPLES)]
    if shown:
        more = f" and {len(sizes) - len(shown)} more" if len(sizes) > len(shown) else ""
        lines.append(f"image sizes: {', '.join(shown)}{more}")
    if objects:
        sides = np.array([[i.box[2] - i.box[0], i.box[3] - i.box[1]] for i in objects])
        low, middle, high = np.percentile(
            np.sqrt(np.clip(sides, 0, None).prod(axis=1)), [5, 50, 95]
        )
        lines.append(
            f"box sizes (side of an equal square): 5 % below {low:.0f}, half below "
            f"{middle:.0f}, 95 % below {high:.0f} pixels"
        )
        lines.append(
            f"pairs of one class with their centres in one cell: {collisions(scan.images)}"
        )
    return "\n".join(lines)


def findings_text(findings: Sequence[Finding], examples: int | None = EXAMPLES) -> str:
    """Findings by kind, errors first, each kind with so many places, or with all."""
    kinds: dict[tuple[bool, str], list[Finding]] = defaultdict(list)
    for finding in findings:
        kinds[(not finding.is_error, finding.kind)].append(finding)
    lines = []
    for (only_a_warning, kind), group in sorted(kinds.items(), key=lambda pair: pair[0]):
        lines.append(f"{'warning' if only_a_warning else 'ERROR'}: {kind} ({len(group)})")
        lines += [f"  {item.where}: {item.message}" for item in group[:examples]]
        if examples is not None and len(group) > examples:
            lines.append(f"  ... and {len(group) - examples} more (--all names them)")
    return "\n".join(lines) or "nothing wrong was found"


def contact_sheet(scan: Scan, count: int) -> Image:
    """Samples from all over the data set with their labels, as tiles of one picture."""
    shown = [image for image in scan.images if image.objects and image.path.is_file()]
    picks = np.linspace(0, len(shown) - 1, min(count, len(shown))).astype(int)
    found = (item.name or "?" for image in scan.images for item in image.objects)
    names = list(dict.fromkeys([*scan.class_names, *found]))
    pictures = [(shown[pick].path.name, _drawn(shown[pick], names)) for pick in picks]
    if not pictures:
        return np.zeros((CAPTION, TILE_WIDTH, 3), np.uint8)
    height = round(TILE_WIDTH * float(np.median([p.shape[0] / p.shape[1] for _, p in pictures])))
    tiles = [_tile(name, picture, height) for name, picture in pictures]
    columns = min(len(tiles), max(1, round((len(tiles) * height / TILE_WIDTH) ** 0.5)))
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % columns)
    return np.vstack([np.hstack(tiles[i : i + columns]) for i in range(0, len(tiles), columns)])


def _tile(name: str, picture: Image, height: int) -> Image:
    """A picture scaled into a tile, its name below."""
    scale = min(height / picture.shape[0], TILE_WIDTH / picture.shape[1])
    size = (max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale)))
    tile = np.zeros((height + CAPTION, TILE_WIDTH, 3), np.uint8)
    tile[: size[1], : size[0]] = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    corner, white = (4, height + CAPTION - 5), (255, 255, 255)
    cv2.putText(tile, name, corner, cv2.FONT_HERSHEY_SIMPLEX, 0.4, white)
    return tile


def _drawn(image: RawImage, names: Sequence[str]) -> Image:
    """An image with its labels, of the data set's classes; black where it cannot be read."""
    try:
        pixels = read_image(image.path, image.size)
    except DataError:
        return np.zeros((TILE_WIDTH, TILE_WIDTH, 3), np.uint8)
    truth, class_names, camera = _results(image, names, pixels)
    return draw_results(pixels, unscored(truth), class_names, camera)


def _results(
    image: RawImage, names: Sequence[str], pixels: Image
) -> tuple[Detections2D, Sequence[str], CameraIntrinsics | None]:
    """What is drawn of an image: 3D boxes, people or boxes, whatever the label holds."""
    solids = [item.solid for item in image.objects if item.solid is not None]
    if solids and image.calibration is not None:
        try:
            camera = camera_of(image.calibration, (pixels.shape[0], pixels.shape[1]))
            return to_truth(solids, names)[0], names, camera
        except (OSError, ValueError):
            pass
    boxes = Detections2D(
        torch.tensor([item.box for item in image.objects]).reshape(-1, 4),
        torch.ones(len(image.objects)),
        torch.tensor([names.index(item.name or "?") for item in image.objects]),
    )
    if any(len(item.joints) != 3 * NUM_JOINTS for item in image.objects):
        return boxes, names, None
    joints = torch.tensor([item.joints for item in image.objects]).reshape(-1, NUM_JOINTS, 3)
    visible = (joints[..., 2] > 0).float()
    people = Poses(boxes.boxes, boxes.scores, boxes.labels, joints[..., :2], visible)
    return people, names, None


def write_sheet(path: Path, scan: Scan, count: int) -> None:
    """Write the contact sheet as a picture file.

    Raises:
        DataError: The file cannot be written.
    """
    written = False
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        written = cv2.imwrite(str(path), contact_sheet(scan, count))
    if not written:
        raise DataError(f"{path}: cannot write a picture there")


def check_sheet(path: Path, count: int) -> None:
    """Refuse a contact sheet that cannot be, before the data set is read.

    Raises:
        DataError: The ending is no picture's, the path is a folder's, or the count is negative.
    """
    if count < 0:
        raise DataError(f"--samples {count}: expected 0 or more")
    if path.is_dir():
        raise DataError(f"--sheet {path}: this is a folder, expected a picture file (samples.png)")
    if not cv2.haveImageWriter(str(path)):
        raise DataError(f"--sheet {path}: expected the ending of a picture file (.png, .jpg)")
