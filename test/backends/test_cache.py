"""Converted networks on disk: made once, made again when damaged, never half there."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch
from torch import nn

from centernet_ros.backends import cache
from centernet_ros.backends.cache import DIGEST, KEPT, cache_folder, cached, model_key


class Builder:
    """Writes a file and counts."""

    def __init__(self):
        self.calls = 0

    def __call__(self, folder):
        self.calls += 1
        (folder / "network.bin").write_bytes(b"weights %d" % self.calls)


def test_folder_follows_the_standard(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "centernet_ros"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache" / "centernet_ros"


def test_built_once_with_one_line(capsys):
    build = Builder()
    first, second = (cached("key", build, "a into b") for _ in range(2))
    assert first == second
    assert (first / "network.bin").read_bytes() == b"weights 1"
    assert capsys.readouterr().err == (
        f"centernet_ros: converting a into b, once; kept in {cache_folder()}\n"
    )


@pytest.mark.parametrize("damage", ["cut short", "changed", "missing", "foreign", "digest"])
def test_damaged_is_built_again(damage):
    build = Builder()
    file = cached("key", build, "") / "network.bin"
    if damage == "missing":
        file.unlink()
    elif damage == "foreign":
        (file.parent / "more").touch()
    elif damage == "digest":
        (file.parent / DIGEST).write_bytes(b"\xff\xfe")
    else:
        file.write_bytes({"cut short": b"weigh", "changed": b"weights 7"}[damage])
    assert (cached("key", build, "") / "network.bin").read_bytes() == b"weights 2"


def test_interruption_leaves_nothing():
    def interrupted(folder):
        (folder / "network.bin").write_bytes(b"wei")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cached("key", interrupted, "")
    assert list(cache_folder().iterdir()) == []


def test_oldest_go():
    for i in range(KEPT + 2):
        entry = cached(f"key{i}", Builder(), "")
        os.utime(entry, (i, i))
    assert {path.name for path in cache_folder().iterdir()} == {
        f"key{i}" for i in range(2, KEPT + 2)
    }


def test_what_an_ended_process_left_goes_but_not_what_is_being_written():
    cached("first", Builder(), "")
    left, written = (cache_folder() / f"second.{name}" for name in ("left", "written"))
    for folder in (left, written):
        folder.mkdir()
        (folder / "network.bin").write_bytes(b"wei")
    os.utime(left, (1, 1))
    cached("third", Builder(), "")
    assert {path.name for path in cache_folder().iterdir()} == {"first", "third", written.name}


SECOND = """
import sys
from centernet_ros.backends.cache import cached
print("waits", flush=True)
print((cached("key", lambda folder: sys.exit("converts"), "") / "network.bin").read_text())
"""


def test_processes_that_start_together_convert_once():
    began, go_on = threading.Event(), threading.Event()

    def slow(folder):
        began.set()
        assert go_on.wait(60)
        (folder / "network.bin").write_text("of the first")

    first = threading.Thread(target=cached, args=("key", slow, ""))
    first.start()
    assert began.wait(10)
    with subprocess.Popen(
        [sys.executable, "-c", SECOND], stdout=subprocess.PIPE, text=True
    ) as second:
        assert second.stdout.readline() == "waits\n"
        with pytest.raises(subprocess.TimeoutExpired):
            second.wait(0.3)
        go_on.set()
        assert second.stdout.read() == "of the first\n"
    first.join()
    assert [path.name for path in cache_folder().iterdir()] == ["key"]


KILLED = """
import os, signal
from centernet_ros.backends.cache import cached
cached("key", lambda folder: os.kill(os.getpid(), signal.SIGKILL), "")
"""


def test_a_process_that_is_killed_while_it_converts_hinders_nobody():
    assert subprocess.run([sys.executable, "-c", KILLED], check=False).returncode == -9
    assert (cache_folder() / "key.lock").exists()
    assert (cached("key", Builder(), "") / "network.bin").read_bytes() == b"weights 1"
    assert not (cache_folder() / "key.lock").exists()


def test_file_systems_without_locks_do(monkeypatch):
    def refuse(file, operation):
        raise OSError("Function not implemented")

    monkeypatch.setattr("fcntl.flock", refuse)
    assert (cached("key", Builder(), "") / "network.bin").read_bytes() == b"weights 1"


def test_a_cache_that_can_only_be_read_is_used(monkeypatch):
    build = Builder()
    entry = cached("key", build, "")

    def refuse(path):
        raise PermissionError("Read-only file system")

    monkeypatch.setattr("os.utime", refuse)
    assert cached("key", build, "") == entry
    assert build.calls == 1


def test_entries_are_open_to_others_as_the_users_files_are():
    before = os.umask(0o027)
    try:
        assert cached("key", Builder(), "").stat().st_mode & 0o777 == 0o750
    finally:
        os.umask(before)


@pytest.mark.parametrize("reason", ["no folder", "no home"])
def test_without_a_cache_it_is_converted_for_this_run(monkeypatch, tmp_path, capsys, reason):
    if reason == "no folder":
        (tmp_path / "file").touch()
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    else:

        def homeless():
            raise RuntimeError("Could not determine home directory.")

        monkeypatch.delenv("XDG_CACHE_HOME")
        monkeypatch.setattr(Path, "home", homeless)
    build = Builder()
    entry = cached(f"key of {reason}", build, "a into b")
    assert (entry / "network.bin").read_bytes() == b"weights 1"
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("centernet_ros: converting a into b, for this run only (")
    assert line.endswith(": set XDG_CACHE_HOME to a folder that can be written, which keeps it")
    assert cached(f"key of {reason}", build, "") == entry
    assert build.calls == 1


def test_key_follows_weights_network_and_facts():
    torch.manual_seed(0)
    model = nn.Conv2d(3, 4, 3)
    key = model_key(model, "openvino", "1")
    assert key == model_key(model, "openvino", "1")
    assert key != model_key(model, "openvino", "2")
    strided = nn.Conv2d(3, 4, 3, stride=2)
    strided.load_state_dict(model.state_dict())
    assert key != model_key(strided, "openvino", "1")
    with torch.no_grad():
        model.weight[0, 0, 0, 0] += 1e-6
    assert key != model_key(model, "openvino", "1")


def test_a_folder_for_one_run_can_be_removed_before_pythons_end(monkeypatch):
    monkeypatch.setattr(cache, "cache_folder", lambda: Path("/dev/null/nowhere"))
    cache.remove_temporary_folder()  # there is none
    folder = cached("key", Builder(), "").parent
    assert folder.is_dir()
    cache.remove_temporary_folder()
    assert not folder.exists()
    assert cached("key", Builder(), "").is_dir(), "and there may be another one"
    cache.remove_temporary_folder()
