"""Result files, read back by those who use them."""

import json
import math

import pytest
import torch
from pycocotools.coco import COCO

from centernet_ros.bag import SourceError
from centernet_ros.class_names import COCO_CATEGORY_IDS, COCO_CLASSES
from centernet_ros.detect.coco import (
    category_ids,
    check_coco_names,
    image_id,
    read_annotations,
    write_coco,
)
from centernet_ros.detect.frames import Unusable
from centernet_ros.detect.records import (
    Record,
    above,
    check_kitti_names,
    write_json,
    write_kitti,
)
from centernet_ros.kitti import read_objects
from centernet_ros.structures import CameraIntrinsics, Detections2D, Detections3D, Poses

NAMES = ("pedestrian", "car")
BOXES = Detections2D(
    torch.tensor([[1.0, 2.0, 11.5, 22.25], [5.0, 6.0, 7.0, 8.0]]),
    torch.tensor([0.875, 0.25]),
    torch.tensor([1, 0]),
)
SPACE = Detections3D(
    boxes=BOXES.boxes,
    scores=BOXES.scores,
    labels=BOXES.labels,
    dimensions=torch.tensor([[1.5, 1.75, 4.25], [1.75, 0.5, 0.5]]),
    locations=torch.tensor([[1.0, 1.5, 20.0], [-3.0, 1.5, 8.0]]),
    yaws=torch.tensor([0.5, -1.5]),
    alphas=torch.tensor([0.25, -1.25]),
)
PEOPLE = Poses(
    BOXES.boxes,
    BOXES.scores,
    torch.zeros(2, dtype=torch.int64),
    torch.arange(68.0).view(2, 17, 2) + 0.125,
    torch.linspace(0, 1, 34).view(2, 17),
)


def written_json(tmp_path, *records, unusable=(), names=NAMES, **facts):
    path = tmp_path / "results.json"
    write_json(path, records, unusable, names, facts)
    return json.loads(path.read_text())


def test_json_of_boxes(tmp_path):
    record = Record("a/1.png", (48, 96), BOXES, stamp=123)
    content = written_json(tmp_path, record, unusable=[Unusable("2.png", "empty")], task="t")
    assert content["task"] == "t"
    assert content["class_names"] == ["pedestrian", "car"]
    assert content["unusable"] == [{"name": "2.png", "reason": "empty"}]
    (image,) = content["images"]
    assert (image["name"], image["width"], image["height"]) == ("a/1.png", 96, 48)
    assert image["stamp"] == 123
    assert image["detections"][0] == {
        "class": "car",
        "label": 1,
        "score": 0.875,
        "box": [1.0, 2.0, 11.5, 22.25],
    }


def test_json_of_3d_boxes(tmp_path):
    camera = CameraIntrinsics.pinhole(100.0, (48.0, 24.0), (48, 96))
    content = written_json(tmp_path, Record("1.png", (48, 96), SPACE, camera))
    (image,) = content["images"]
    assert image["projection"] == camera.projection.tolist()
    assert "stamp" not in image
    found = image["detections"][1]
    assert found["dimensions"] == [1.75, 0.5, 0.5]
    assert found["location"] == [-3.0, 1.5, 8.0]
    assert (found["yaw"], found["alpha"]) == (-1.5, -1.25)


def test_json_of_people(tmp_path):
    content = written_json(tmp_path, Record("1.png", (48, 96), PEOPLE), names=("person",))
    assert content["joint_names"][:2] == ["nose", "left_eye"]
    found = content["images"][0]["detections"][1]
    assert found["keypoints"] == PEOPLE.keypoints[1].tolist()
    assert found["keypoint_scores"] == pytest.approx(PEOPLE.keypoint_scores[1].tolist(), rel=1e-6)


def test_json_without_anything_and_without_sense(tmp_path):
    content = written_json(tmp_path, Record("1.png", (48, 96), Poses.empty()))
    assert content["images"][0]["detections"] == []
    broken = Detections2D(
        torch.tensor([[math.nan, 1.0, math.inf, 2.0]]), torch.ones(1), torch.zeros(1).long()
    )
    content = written_json(tmp_path, Record("1.png", (48, 96), broken))
    assert content["images"][0]["detections"][0]["box"] == [None, 1.0, None, 2.0]
    assert written_json(tmp_path)["images"] == []


def test_kitti_files(tmp_path):
    records = [
        Record("000003.png", (48, 96), SPACE),
        Record("000007.png", (48, 96), Detections3D.empty()),
    ]
    write_kitti(tmp_path / "kitti", records, NAMES)
    assert sorted(path.name for path in (tmp_path / "kitti").iterdir()) == [
        "000003.txt",
        "000007.txt",
    ]
    walker, car = read_objects((tmp_path / "kitti/000003.txt").read_text())
    assert (walker.kind, walker.score) == ("Pedestrian", 0.25)
    assert (car.kind, car.location, car.dimensions) == ("Car", (1, 1.5, 20), (1.5, 1.75, 4.25))
    assert (car.yaw, car.alpha, car.score) == (0.5, 0.25, 0.875)
    assert (tmp_path / "kitti/000007.txt").read_text() == ""


def test_kitti_files_need_names_of_their_own():
    check_kitti_names(["1.png", "2.png"])
    with pytest.raises(SourceError, match=r"left/1\.png and right/1\.png would share 1\.txt"):
        check_kitti_names(["left/1.png", "right/1.png"])


def annotations(tmp_path, images=(("street.jpg", 139),), categories=(("car", 3), ("person", 1))):
    path = tmp_path / "annotations.json"
    content = {
        "images": [{"file_name": name, "id": number} for name, number in images],
        "categories": [{"name": name, "id": number} for name, number in categories],
        "annotations": [],
    }
    path.write_text(json.dumps(content))
    return path


@pytest.mark.parametrize(("results", "kind"), [(BOXES, "bbox"), (PEOPLE, "keypoints")])
def test_coco_reads_its_results(tmp_path, results, kind):
    images = (("street.jpg", 139), ("1.jpg", 1))
    path = annotations(tmp_path, images, (("pedestrian", 1), ("car", 2)))
    records = [
        Record("street.jpg", (48, 96), results),
        Record("1.jpg", (1, 1), type(results).empty()),
    ]
    names = NAMES if kind == "bbox" else ("pedestrian",)
    write_coco(tmp_path / "coco.json", records, names, read_annotations(path))
    loaded = COCO(str(path)).loadRes(str(tmp_path / "coco.json"))
    entries = loaded.loadAnns(loaded.getAnnIds())
    assert [entry["image_id"] for entry in entries] == [139, 139]
    box = next(entry for entry in entries if entry["score"] == 0.875)
    assert box["category_id"] == (2 if kind == "bbox" else 1)
    if kind == "bbox":
        assert box["bbox"] == [1.0, 2.0, 10.5, 20.25]
    else:
        assert len(box["keypoints"]) == 51
        assert box["keypoints"][:6] == [0.12, 1.12, 1.0, 2.12, 3.12, 1.0]


def test_scores_with_the_authors_decimals(tmp_path):
    records = [Record("139.png", (48, 96), SPACE)]
    write_kitti(tmp_path, records, NAMES, score_decimals=2)
    assert (tmp_path / "139.txt").read_text().splitlines()[1].endswith(" 0.50 0.88")
    write_coco(tmp_path / "coco.json", records, NAMES, None, score_decimals=2)
    scores = [entry["score"] for entry in json.loads((tmp_path / "coco.json").read_text())]
    assert sorted(scores) == [0.25, 0.88]


def test_coco_numbers_are_given_once(tmp_path):
    check_coco_names(["1.png", "2.png"], None)
    with pytest.raises(SourceError, match=r"give a/1\.png and b/1\.jpg one number, 1"):
        check_coco_names(["a/1.png", "b/1.jpg"], None)
    ids = read_annotations(annotations(tmp_path))
    with pytest.raises(SourceError, match=r"give a/street\.jpg and b/street\.jpg one number, 139"):
        check_coco_names(["a/street.jpg", "b/street.jpg"], ids)


def test_annotations_may_begin_with_a_mark(tmp_path):
    """Editors of another system write a byte order mark."""
    path = annotations(tmp_path)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert read_annotations(path).images == {"street.jpg": 139}


def test_annotations_may_leave_sizes_empty(tmp_path):
    path = annotations(tmp_path)
    content = json.loads(path.read_text())
    sizes = {"height": 48, "width": 96}
    content["images"].append({"file_name": "b.jpg", "id": 2, **dict.fromkeys(sizes)})
    content["images"].append({"file_name": "c.jpg", "id": 3, **sizes})
    path.write_text(json.dumps(content))
    assert read_annotations(path).sizes == {"c.jpg": (48, 96)}


def test_numbers_of_images(tmp_path):
    assert image_id("000000000139.jpg", None) == 139
    assert image_id("val/000000000139.jpg", None) == 139
    ids = read_annotations(annotations(tmp_path))
    assert image_id("val/street.jpg", ids) == 139
    with pytest.raises(SourceError, match=r"needs a number for image street\.jpg: .*--annotations"):
        image_id("street.jpg", None)
    with pytest.raises(SourceError, match=r"know no image 000000000139\.jpg"):
        image_id("000000000139.jpg", ids)


def test_numbers_of_classes(tmp_path):
    assert category_ids(COCO_CLASSES, None) == COCO_CATEGORY_IDS
    assert len(COCO_CATEGORY_IDS) == len(COCO_CLASSES)
    assert dict(zip(COCO_CLASSES, COCO_CATEGORY_IDS, strict=True))["toothbrush"] == 90
    assert category_ids(("person",), None) == (1,)
    assert category_ids(NAMES, None) == (1, 2)
    ids = read_annotations(annotations(tmp_path))
    assert category_ids(("person", "car"), ids) == (1, 3)
    with pytest.raises(SourceError, match="no category 'pedestrian'; they have car, person"):
        category_ids(NAMES, ids)


@pytest.mark.parametrize(
    ("text", "reason"),
    [("{", "cannot be read"), ("[]", "not of COCO's form"), ('{"images": []}', "'categories'")],
)
def test_other_annotations_are_refused(tmp_path, text, reason):
    path = tmp_path / "annotations.json"
    path.write_text(text)
    with pytest.raises(SourceError, match=rf"annotations\.json .*{reason}"):
        read_annotations(path)


def test_thresholds_keep_equal_scores():
    assert above(BOXES, 0.25).scores.tolist() == [0.875, 0.25]
    assert above(BOXES, 0.26).scores.tolist() == [0.875]
