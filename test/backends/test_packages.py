"""Optional packages: what they are told before they are loaded, and what is said without them."""

import subprocess
import sys

import pytest
import torch

from centernet_ros.backends import BackendError
from centernet_ros.backends.packages import import_torchvision

ONNXRUNTIME = """
import sys
sys.path.insert(0, sys.argv[1])
from centernet_ros.backends.packages import import_onnxruntime
assert "onnxruntime" not in sys.modules
print(import_onnxruntime().seen)
"""


@pytest.mark.parametrize(("before", "seen"), [(None, "1"), ("0", "0")])
def test_onnxruntime_is_told_to_report_nothing_unless_the_user_says_so(
    tmp_path, monkeypatch, before, seen
):
    (tmp_path / "onnxruntime.py").write_text(
        'import os\nseen = os.environ.get("ORT_DISABLE_TELEMETRY")\n'
    )
    monkeypatch.delenv("ORT_DISABLE_TELEMETRY", raising=False)
    if before is not None:
        monkeypatch.setenv("ORT_DISABLE_TELEMETRY", before)
    command = [sys.executable, "-c", ONNXRUNTIME, str(tmp_path)]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout == f"{seen}\n"


def test_a_torchvision_that_is_missing_or_does_not_fit_has_a_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision.ops", None)
    remedy = rf"\): install the one that was built for torch {torch.__version__[:3]}"
    with pytest.raises(BackendError, match=rf"torchvision cannot be imported \(.*halted.*{remedy}"):
        import_torchvision()

    monkeypatch.delitem(sys.modules, "torchvision.ops")

    def fail(name):
        raise RuntimeError("operator torchvision::nms does not exist")

    monkeypatch.setattr("importlib.import_module", fail)
    with pytest.raises(BackendError, match=rf"\(operator torchvision::nms .*{remedy}"):
        import_torchvision()


def test_onnx_without_torchvision_has_a_remedy(monkeypatch, small):
    pytest.importorskip("onnxscript")
    from centernet_ros.backends.onnxruntime_backend import convert

    monkeypatch.setitem(sys.modules, "torchvision.ops", None)
    with pytest.raises(BackendError, match="torchvision cannot be imported"):
        convert(small)
