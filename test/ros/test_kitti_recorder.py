"""The recorder of KITTI results: its files, and what it says when something is amiss."""

import pytest
import torch
from std_msgs.msg import Header

from centernet_ros.class_names import KITTI_CLASSES
from centernet_ros.kitti import format_results, read_objects
from centernet_ros.kitti_bag.__main__ import main as write_bag
from centernet_ros.kitti_bag.frames import START, BagFrame, read_frames
from centernet_ros.ros.kitti_recorder import BOXES, SOLIDS, ResultFiles, main
from centernet_ros.structures import CameraIntrinsics, Detections2D, Detections3D
from centernet_ros.tasks.detection2d.messages import to_messages as to_boxes
from centernet_ros.tasks.detection3d.messages import to_messages as to_solids
from training.data.street import StreetDataset
from training.data.street.export import write_kitti

CAMERA = CameraIntrinsics.pinhole(700.0, (600.0, 180.0), (375, 1242))
NAMES = "000004", "000001", "000009"
FRAMES = {START + i: BagFrame(name, START + i, CAMERA) for i, name in enumerate(NAMES)}
FOUND = Detections3D(
    boxes=torch.tensor([[600.0, 150.0, 700.0, 250.0], [10.0, 20.0, 30.0, 60.0]]),
    scores=torch.tensor([0.9, 0.4]),
    labels=torch.tensor([1, 0]),
    dimensions=torch.tensor([[1.5, 1.6, 4.0], [1.7, 0.5, 0.75]]),
    locations=torch.tensor([[1.0, 1.5, 14.0], [-8.5, 1.6, 10.0]]),
    yaws=torch.tensor([0.5, -1.5]),
    alphas=torch.tensor([0.5, -1.5])
    - torch.atan2(torch.tensor([1.0, -8.5]), torch.tensor([14, 10])),
)


def header(number, frame_id="camera_optical_frame"):
    header = Header(frame_id=frame_id)
    stamp = START + number
    header.stamp.sec, header.stamp.nanosec = stamp // 10**9, stamp % 10**9
    return header


@pytest.fixture
def files(tmp_path):
    return ResultFiles(tmp_path / "out", FRAMES, KITTI_CLASSES, "detection3d")


def add(files, results, number):
    """Both arrays of an image; gives what `add` says of each."""
    boxes = to_boxes(results, KITTI_CLASSES, header(number))
    solids = to_solids(results, KITTI_CLASSES, header(number))
    return files.add(SOLIDS, solids), files.add(BOXES, boxes)


def test_a_file_tells_what_was_found(files, tmp_path):
    assert add(files, FOUND, 1) == (False, True)
    assert (tmp_path / "out/000001.txt").read_text() == format_results(FOUND, KITTI_CLASSES)
    pedestrian, car = read_objects((tmp_path / "out/000001.txt").read_text())
    assert (pedestrian.kind, car.kind, car.score) == ("Pedestrian", "Car", 0.9)
    assert car.location == (1, 1.5, 14)
    assert list(files.missing.values()) == ["000004", "000009"]


def test_an_empty_array_is_an_empty_file(files, tmp_path):
    assert add(files, Detections3D.empty(), 0) == (False, True)
    assert (tmp_path / "out/000004.txt").read_text() == ""
    assert not files.flat


def test_images_may_overlap_and_come_again(files, tmp_path):
    boxes = [to_boxes(FOUND, KITTI_CLASSES, header(number)) for number in range(3)]
    solids = [to_solids(FOUND, KITTI_CLASSES, header(number)) for number in range(3)]
    assert not files.add(BOXES, boxes[0])
    assert not files.add(BOXES, boxes[2])
    assert files.add(SOLIDS, solids[2])
    assert files.add(SOLIDS, solids[0])
    assert add(files, FOUND, 2) == (False, True)
    assert list(files.missing.values()) == ["000001"]
    assert len(list((tmp_path / "out").iterdir())) == 2


def test_without_a_place_in_space_the_boxes_stay(files, tmp_path):
    flat = Detections2D(FOUND.boxes, FOUND.scores, FOUND.labels)
    assert add(files, flat, 0) == (False, False)
    assert files.flat == {START: "000004"}
    assert START not in files.missing
    objects = read_objects((tmp_path / "out/000004.txt").read_text())
    assert [item.location for item in objects] == [(-1000, -1000, -1000)] * 2
    add(files, FOUND, 1)
    add(files, FOUND, 2)
    assert not files.missing
    assert not files.complete
    assert add(files, FOUND, 0) == (False, True)
    assert files.complete


def test_other_stamps_are_counted_and_left_alone(files, tmp_path):
    assert add(files, FOUND, -1) == (False, False)
    assert files.strangers == 2
    assert list((tmp_path / "out").iterdir()) == []


def test_what_cannot_be_written_names_the_frame(files):
    files.add(SOLIDS, to_solids(FOUND, KITTI_CLASSES, header(2, "base_link")))
    with pytest.raises(ValueError, match="frame 000009: 3D boxes are in the frame 'base_link'"):
        files.add(BOXES, to_boxes(FOUND, KITTI_CLASSES, header(2)))


def test_boxes_alone(tmp_path):
    files = ResultFiles(tmp_path, FRAMES, KITTI_CLASSES, "detection2d")
    assert files.add(BOXES, to_boxes(FOUND, KITTI_CLASSES, header(0)))
    flat = Detections2D(FOUND.boxes, FOUND.scores, FOUND.labels)
    assert (tmp_path / "000004.txt").read_text() == format_results(flat, KITTI_CLASSES)


@pytest.fixture(scope="module")
def bag(tmp_path_factory):
    folder = tmp_path_factory.mktemp("street")
    write_kitti(StreetDataset(900_200, 2), folder / "kitti")
    assert write_bag([str(folder / "kitti"), str(folder / "bag")]) == 0
    return folder / "bag"


def test_bags_and_folders_that_cannot_be_used(bag, tmp_path, capsys):
    assert main([str(tmp_path), str(tmp_path / "out")]) == 2
    assert "has no metadata.yaml" in capsys.readouterr().err
    (tmp_path / "000003.txt").write_text("")
    assert main([str(bag), str(tmp_path)]) == 2
    assert f"{tmp_path} holds text files already" in capsys.readouterr().err


def test_interrupted_it_names_what_is_missing(bag, peer, start_node, tmp_path):
    """One frame of two comes, from a node of another name."""
    out = tmp_path / "out"
    script = ["-m", "centernet_ros.ros.kitti_recorder", str(bag), str(out)]
    script += ["--task", "detection2d", "--node", "/front/net"]
    (stamp, frame), (_, other) = read_frames(bag).items()
    array = to_boxes(FOUND, KITTI_CLASSES, header(stamp - START))
    with start_node(script=script) as recorder:
        topic = "/front/net/detections_2d"
        with (
            peer.listening(Header, "/kitti_recorder/recorded") as recorded,
            peer.publishing(type(array), topic) as publisher,
        ):
            peer.spin_until(lambda: recorded, every=0.5, do=lambda: publisher.publish(array))
        assert recorded[0] == array.header
        status = recorder.stop(60.0)
    assert status == 1
    assert "1 of 2 frames in" in recorder.output
    assert f"no results came of frame {other.name}: was the node slower" in recorder.output
    assert [path.name for path in out.iterdir()] == [f"{frame.name}.txt"]


def test_of_an_unknown_class_it_says_so_and_ends(bag, peer, start_node, tmp_path):
    script = ["-m", "centernet_ros.ros.kitti_recorder", str(bag), str(tmp_path / "out")]
    script += ["--task", "detection2d", "--classes", "person"]
    stamp = next(iter(read_frames(bag)))
    array = to_boxes(FOUND, KITTI_CLASSES, header(stamp - START))
    with start_node(script=script) as recorder:
        with peer.publishing(type(array), "/centernet/detections_2d") as publisher:
            peer.spin_until(
                lambda: recorder.process.poll() is not None,
                every=0.5,
                do=lambda: publisher.publish(array),
            )
        assert recorder.process.wait(1) == 2
    assert "frame 000000: class 'car' of a detection, known: person" in recorder.output
