"""Every set of the folder is used, and its evaluator gives the recorded values."""

import dataclasses
import json
import math

import numpy as np
import pytest

from training.evaluation import coco, voc_files
from training.evaluation.kitti import CLASSES, KittiClass, evaluate_kitti, read_frames
from training.evaluation.kitti.overlaps import solid_ious

METRICS = {"bbox": "2d", "aos": "aos", "bev": "bev", "3d": "3d"}
DIFFICULTIES = ("easy", "moderate", "hard")
FILES = {
    "kitti": {"expected.json", "curves.json", "label_2.zip", "det.zip"},
    "voc": {"expected.json", "annotations.zip", "det.zip"},
    "coco": {"expected.json", "gt_det.zip"},
}


def test_the_sets_are_complete(metrics_folder):
    assert metrics_folder.is_dir(), f"no folder {metrics_folder}"
    found = []
    for kind, names in FILES.items():
        for path in metrics_folder.glob(f"**/{kind}/**/expected.json"):
            missing = names - {file.name for file in path.parent.iterdir()}
            assert not missing, f"{path.parent} lacks {', '.join(sorted(missing))}"
            found.append(path)
    assert found, f"{metrics_folder} holds no set of {', '.join(FILES)}"


def numbers(values):
    """Recorded numbers, where a text says nan."""
    return [float(value) for value in values]


def close(recorded, tolerance):
    return pytest.approx(numbers(recorded), abs=tolerance, rel=0, nan_ok=True)


def frames_of(kitti_set, folder):
    """The frames of a set; where result files are missing, only the frames that have one."""
    labels = kitti_set.unpack("label_2.zip", folder / "label_2")
    results = kitti_set.unpack("det.zip", folder / "det")
    missing = {p.name for p in labels.glob("*.txt")} - {p.name for p in results.glob("*.txt")}
    if not missing:
        return read_frames(labels, results)
    with pytest.raises(ValueError, match=min(missing)):
        read_frames(labels, results)
    # What the offline programs do unasked.
    return read_frames(labels, results, sorted(path.stem for path in results.glob("*.txt")))


def test_kitti(kitti_set, tmp_path):
    expected, recorded = kitti_set.json("expected.json"), kitti_set.json("curves.json")
    known = {item.name: item for item in CLASSES}
    classes = [
        dataclasses.replace(
            known.get(name, KittiClass(name, None, ())), overlaps=tuple(map(float, by_overlap))
        )
        for name, by_overlap in expected["results"].items()
    ]
    metrics = evaluate_kitti(frames_of(kitti_set, tmp_path), classes)
    for name, by_overlap in expected["results"].items():
        assert by_overlap, f"no value is recorded for {name}"
        counted = expected["n_gt"][name]
        assert counted in ([None] * 3, list(metrics.num_truths[name]))
        for overlap, by_metric in by_overlap.items():
            for key, metric in METRICS.items():
                entry = metrics.entry(name, metric, float(overlap))
                samples = recorded["precision_curves"][name][overlap][key]
                counts = None if key == "aos" else recorded["counts"][name][overlap][key]
                if by_metric[key] is None:
                    assert (entry.r11, entry.r40, entry.curves) == (None, None, None)
                    assert samples is None
                    continue
                assert list(entry.r11) == close(by_metric[key]["R11"], 1e-6)
                assert list(entry.r40) == close(by_metric[key]["R40"], 1e-6)
                for row, curve in enumerate(entry.curves):
                    own = curve.orientations() if key == "aos" else curve.precisions()
                    assert own.tolist() == close(samples[row], 1e-6)
                    if counts is not None:
                        similar = key == "bbox" and by_metric["aos"] is not None
                        same_counts(curve, counts[DIFFICULTIES[row]], similar=similar)


def same_counts(curve, counts, similar):
    assert curve.num_truths == counts["n_gt"]
    assert curve.thresholds.tolist() == counts["thresholds"]
    assert curve.hits.tolist() == counts["tp"]
    assert curve.alarms.tolist() == counts["fp"]
    assert curve.misses.tolist() == counts["fn"]
    if similar:
        assert curve.similarities.tolist() == close(counts["similarity"], 1e-6)


def test_kitti_overlaps_of_rotated_boxes(metrics_folder):
    files = sorted(metrics_folder.glob("**/iou_pairs.json"))
    if not files:
        pytest.skip(f"{metrics_folder} holds no iou_pairs.json")
    for file in files:
        same_overlaps(json.loads(file.read_text()))


def same_overlaps(pairs):
    assert pairs["columns"][1:5] == ["det", "gt", "bev_iou", "iou_3d"]
    assert pairs["pairs"]
    ones, others = (np.array([row[k] for row in pairs["pairs"]]) for k in (1, 2))
    for order in ((ones, others), (others, ones)):
        ground, space = solid_ious(*order)
        assert ground.tolist() == close([row[3] for row in pairs["pairs"]], 1e-6)
        assert space.tolist() == close([row[4] for row in pairs["pairs"]], 1e-6)


def test_voc(voc_set, tmp_path):
    expected = voc_set.json("expected.json")
    folder = voc_set.unpack("annotations.zip", tmp_path / "voc")
    results = voc_set.unpack("det.zip", tmp_path / "det")
    metrics = voc_files.evaluate_files(folder, results, class_names=expected["classes"])
    for own, mean, key in (
        (metrics.ap07, metrics.mean_ap07, "voc07_11point"),
        (metrics.ap, metrics.mean_ap, "voc10_allpoint"),
    ):
        # Results of a class without an object that counts are NaN there and 0 here.
        recorded = {name: float(value) for name, value in expected["results"][key].items()}
        numbers = {name: 0 if math.isnan(v) else v for name, v in recorded.items()}
        assert own == pytest.approx(numbers, abs=1e-9)
        if numbers == recorded:
            assert mean == pytest.approx(expected["mAP"][key], abs=1e-9)
    objects = {name: counts[0] for name, counts in expected["n_objects_and_difficult"].items()}
    assert metrics.num_objects == objects


def figures(metrics):
    """The figures in the names of the records, where -1 says that there is no truth."""
    names = {"ar1": "AR_1", "ar10": "AR_10", "ar100": "AR_100"}
    values = {f.name: getattr(metrics, f.name) for f in dataclasses.fields(metrics)}
    del values["per_class"]
    spelled = {names.get(k, k[:2].upper() + k[2:]): v for k, v in values.items()}
    return {name: -1 if math.isnan(value) else value for name, value in spelled.items()}


def test_coco(coco_set, tmp_path):
    expected = coco_set.json("expected.json")
    folder = coco_set.unpack("gt_det.zip", tmp_path / "coco")
    truth, results = folder / "gt.json", folder / "det.json"
    assert expected["iou_type"] in ("bbox", "keypoints")
    keypoints = expected["iou_type"] == "keypoints"

    metrics = coco.evaluate_files(truth, results, keypoints=keypoints)
    assert figures(metrics) == pytest.approx(expected["stats"], abs=1e-9)
    assert set(metrics.per_class) == set(expected["per_category"])
    for name, values in expected["per_category"].items():
        assert figures(metrics.per_class[name]) == pytest.approx(values, abs=1e-9)

    if keypoints:
        records = json.loads(results.read_text())
        bare = [{k: v for k, v in record.items() if k != "bbox"} for record in records]
        results.write_text(json.dumps(bare))
        metrics = coco.evaluate_files(truth, results, keypoints=True)
        values = expected["stats_without_bbox_field"]
    else:
        metrics = coco.evaluate_files(truth, results, by_class=False)
        values = expected["stats_useCats_0"]
    assert figures(metrics) == pytest.approx(values, abs=1e-9)

    results.write_text("[]")
    metrics = coco.evaluate_files(truth, results, keypoints=keypoints)
    assert figures(metrics)["AP"] == min(0, expected["stats"]["AP"])
