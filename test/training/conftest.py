"""Small data sets of every form, to be spoilt by the tests."""

import json

import cv2
import numpy as np
import pytest

IMAGE_SIZE = (48, 64)


def write_image(path, size=IMAGE_SIZE, seed=0):
    """A smooth coloured picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse = np.random.default_rng(seed).integers(0, 256, (3, 4, 3)).astype(np.uint8)
    assert cv2.imwrite(str(path), cv2.resize(coarse, (size[1], size[0])))


class CocoFolder:
    """Two images of 64x48 pixels with three boxes of the classes cup (id 3) and fork (id 7)."""

    def __init__(self, folder):
        self.images = folder / "images"
        self.annotations = folder / "instances.json"
        names = ["a.jpg", "b.jpg"]
        for seed, name in enumerate(names):
            write_image(self.images / name, seed=seed)
        self.content = {
            "images": [
                {"id": 10 + i, "file_name": name, "height": 48, "width": 64}
                for i, name in enumerate(names)
            ],
            "categories": [{"id": 7, "name": "fork"}, {"id": 3, "name": "cup"}],
            "annotations": [
                self.annotation(1, 10, 7, [4, 6, 20, 10]),
                self.annotation(2, 11, 3, [30.5, 8, 20, 30], area=250.0),
                self.annotation(3, 10, 3, [0, 0, 30, 40], iscrowd=1),
            ],
        }
        self.write()

    @staticmethod
    def annotation(number, image, category, bbox, **more):
        return {"id": number, "image_id": image, "category_id": category, "bbox": bbox, **more}

    def write(self):
        self.annotations.write_text(json.dumps(self.content))


@pytest.fixture
def coco(tmp_path):
    """See `CocoFolder`."""
    return CocoFolder(tmp_path)


class PoseFolder(CocoFolder):
    """Two images, the first with a person with three labelled joints."""

    def __init__(self, folder):
        super().__init__(folder)
        joints = np.zeros((17, 3))
        joints[[0, 5, 6]] = [(20, 10, 2), (16, 20, 1), (24, 20, 2)]
        self.content["categories"] = [{"id": 1, "name": "person"}]
        self.content["annotations"] = [
            self.annotation(1, 10, 1, [10, 5, 20, 40], area=300, keypoints=joints.ravel().tolist())
        ]
        self.write()


@pytest.fixture
def people(tmp_path):
    """See `PoseFolder`."""
    return PoseFolder(tmp_path)


VOC_OBJECT = """  <object>
    <name>{name}</name>
    <difficult>{difficult}</difficult>
    <bndbox>
      <xmin>{box[0]}</xmin>
      <ymin>{box[1]}</ymin>
      <xmax>{box[2]}</xmax>
      <ymax>{box[3]}</ymax>
    </bndbox>
  </object>
"""


class VocFolder:
    """Images one (cat, difficult dog) and two (dog) of 64x48 pixels, and a list of the first."""

    def __init__(self, folder):
        self.folder = folder
        self.write("one", ("cat", 0, (1, 1, 32, 24)), ("dog", 1, (10, 10, 64, 48)))
        self.write("two", ("dog", 0, (5, 6, 7, 8)))
        (folder / "train.txt").write_text("one\n")

    def write(self, name, *objects):
        write_image(self.folder / "JPEGImages" / f"{name}.jpg", seed=len(name))
        entries = [VOC_OBJECT.format(name=n, difficult=d, box=box) for n, d, box in objects]
        self.write_text(name, "".join(entries))

    def write_text(self, name, text):
        path = self.folder / "Annotations" / f"{name}.xml"
        path.parent.mkdir(exist_ok=True)
        size = "  <size><width>64</width><height>48</height><depth>3</depth></size>\n"
        path.write_text(f"<annotation>\n{size}{text}</annotation>\n")


@pytest.fixture
def voc(tmp_path):
    """See `VocFolder`."""
    return VocFolder(tmp_path)


KITTI_LABEL = """Car 0.00 1 -1.50 10.00 10.00 40.00 30.00 1.50 1.60 3.90 1.00 1.70 12.00 -1.40
Van 0.00 0 0.10 40.00 5.00 60.00 30.00 2.00 1.90 5.00 3.00 1.80 20.00 0.25
Person_sitting 0.00 0 0.10 1.00 20.00 9.00 40.00 1.20 0.60 0.80 -3.00 1.80 9.00 0.00
Tram 0.00 0 0.10 1.00 2.00 30.00 12.00 3.00 2.50 15.00 -9.00 1.80 40.00 0.00
DontCare -1 -1 -10 50.00 2.00 60.00 8.00 -1 -1 -1 -1000 -1000 -1000 -10
"""


class KittiFolder:
    """Frames 000000 (car and all kinds to ignore) and 000001 (nothing), 64x48 pixels."""

    def __init__(self, folder):
        self.folder = folder / "training"
        self.list_file = folder / "frames.txt"
        self.list_file.write_text("000001\n000000\n")
        for part in ("image_2", "label_2", "calib"):
            (self.folder / part).mkdir(parents=True)
        for seed, text in enumerate((KITTI_LABEL, "")):
            write_image(self.folder / f"image_2/{seed:06d}.png", seed=seed)
            self.label(f"{seed:06d}").write_text(text)
            self.calib(f"{seed:06d}").write_text("P2: 40 0 32 0.5 0 40 24 0 0 0 1 0.003\n")

    def label(self, name):
        return self.folder / "label_2" / f"{name}.txt"

    def calib(self, name):
        return self.folder / "calib" / f"{name}.txt"


@pytest.fixture
def kitti(tmp_path):
    """See `KittiFolder`."""
    return KittiFolder(tmp_path)
