import json
import math

import pytest

from training.evaluation.summary import read_run, summarise


def test_mean_and_deviation_of_each_figure():
    runs = [{"ap": value, "Car": {"bev": {"easy": 2 * value}}} for value in (0.2, 0.4, 0.6)]
    summary = summarise(runs)
    assert summary.num_runs == 3
    assert summary.figures["ap"].mean == pytest.approx(0.4)
    assert summary.figures["ap"].deviation == pytest.approx(0.2)
    assert summary.figures["Car.bev.easy"].deviation == pytest.approx(0.4)
    assert summary.table().splitlines()[1].split() == ["ap", "0.4", "±", "0.2"]


def test_a_figure_that_a_run_lacks_has_no_mean():
    summary = summarise([{"ap": 0.5, "small": None}, {"ap": 0.5, "small": 0.1}])
    assert math.isnan(summary.figures["small"].mean)
    assert json.loads(json.dumps(summary.to_dict(), allow_nan=False))["figures"]["small"] == {
        "mean": None,
        "deviation": None,
    }
    single = summarise([{"ap": 0.5}]).figures["ap"]
    assert (single.mean, math.isnan(single.deviation)) == (0.5, True)


def test_runs_of_different_kinds_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"runs 1 and 2 .* one has no AP"):
        summarise([{"ap": 1}, {"ap": 1, "AP": 2}])
    with pytest.raises(ValueError, match="no run"):
        summarise([])


@pytest.mark.parametrize("text", ["[1]", "{}", '{"name": "x"}', "{"])
def test_files_without_figures_are_named(tmp_path, text):
    path = tmp_path / "run.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"run.json (holds no figures|is no JSON)"):
        read_run(path)
    with pytest.raises(ValueError, match=r"other.json: No such file"):
        read_run(tmp_path / "other.json")
