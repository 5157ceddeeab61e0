"""Speed is that of the steps alone, and a full disk at a line ends the run with one line."""

import errno
import json
from pathlib import Path

import pytest

from training.config import OptimiserConfig, RunConfig
from training.engine import StepResult
from training.logs import LOG_FILE, RunLog, read_log
from training.strict import ConfigError

STEP = StepResult(1, 2.5, {"heatmap": 2.5}, learning_rate=0.1, seconds=4.0, waited=1.0)


def log(folder, first_step=0):
    config = RunConfig(output=str(folder), optimiser=OptimiserConfig(batch_size=2))
    return RunLog(config, first_step, 10, silent=False)


def test_a_line_tells_the_speed_of_the_step(tmp_path):
    with log(tmp_path) as run:
        run.add(STEP)

    (line,) = read_log(tmp_path / LOG_FILE)
    assert (line["step"], line["waited"], line["images_per_second"]) == (1, 1.0, 0.5)


def test_lines_behind_the_last_state_are_left_out(tmp_path):
    lines = [json.dumps({"step": step}) for step in (1, 2, 3)]
    (tmp_path / LOG_FILE).write_text("\n".join(lines) + '\n{"step": 4, "lo')

    with log(tmp_path, first_step=2):
        pass

    assert [line["step"] for line in read_log(tmp_path / LOG_FILE)] == [1, 2]
    assert [path.name for path in tmp_path.iterdir()] == [LOG_FILE]


def test_a_full_disk_leaves_the_old_log(tmp_path, monkeypatch):
    whole = "".join(json.dumps({"step": step}) + "\n" for step in range(10))
    (tmp_path / LOG_FILE).write_text(whole)

    def write_half(path, text):
        path.open("w").write(text[: len(text) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", write_half)
    with pytest.raises(ConfigError, match=r"cannot write .*log.jsonl .*No space left"):
        log(tmp_path, first_step=5)
    assert (tmp_path / LOG_FILE).read_text() == whole
    assert [path.name for path in tmp_path.iterdir()] == [LOG_FILE]


def test_a_line_that_cannot_be_written_is_told_with_its_file(tmp_path, monkeypatch):
    # This file is full, and has no end where it is read.
    (tmp_path / LOG_FILE).symlink_to("/dev/full")
    monkeypatch.setattr("training.logs.cut_log", lambda path, steps: None)
    message = r"cannot write .*log.jsonl .*No space left"

    with pytest.raises(ConfigError, match=message), log(tmp_path) as run:
        run.add(STEP)
