import io
import os
import time

import pytest

import demo.session
from centernet_ros.bag import SourceError
from demo.recorder import LiveLine
from demo.records import Received, Sent, Timed, to_line
from demo.session import DemoError, Session
from demo.tasks import TASKS

SLEEP = "import time; time.sleep(100)"
"""Ends with an error when interrupted."""

PATIENT = (
    "from signal import *; pthread_sigmask(SIG_BLOCK, [SIGINT]); print('on', flush=True); "
    "sigwait([SIGINT])"
)
"""Ends well when interrupted."""


@pytest.fixture
def session(tmp_path):
    with Session(TASKS["detection3d"], tmp_path, dict(os.environ)) as session:
        yield session
        processes = [child.process for child in session._children.values()]
    assert all(process.poll() is not None for process in processes)


def start(session, camera=PATIENT, node=PATIENT, recorder=PATIENT):
    for name, text in (("camera", camera), ("node", node), ("recorder", recorder)):
        session.start(name, ["-c", text])


def wait_for_output(session, name, text):
    deadline = time.monotonic() + 20
    while text not in session._children[name].output:
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("name", ["camera", "node", "recorder"])
def test_the_death_of_one_is_told_and_ends_all(session, name):
    start(session, **{name: "print('lens broken'); raise SystemExit(3)"})
    with pytest.raises(DemoError) as error:
        session.play()
    assert f"the {name} ended too early (exit status 3)" in str(error.value)
    assert "lens broken" in str(error.value)


def test_a_node_that_ends_well_but_early_is_missed_too(session):
    start(session, node="raise SystemExit(0)")
    with pytest.raises(DemoError, match="the node ended too early"):
        session.play()


def test_an_unreadable_source_is_told_in_the_cameras_words(session):
    start(session, camera="print('bag x is damaged'); raise SystemExit(2)")
    with pytest.raises(SourceError, match=r"^bag x is damaged$"):
        session.play()


def test_who_never_gets_ready_is_told_with_all_logs(session, monkeypatch):
    monkeypatch.setattr(demo.session, "READY_TIMEOUT", 0.3)
    start(session)
    with pytest.raises(DemoError, match=r"do not hear each other") as error:
        session.play()
    assert all(f"{name}: " in str(error.value) for name in ("camera", "node", "recorder"))


def test_a_camera_that_generates_much_gets_time_for_it_and_is_shown(session, monkeypatch):
    monkeypatch.setattr(demo.session, "READY_TIMEOUT", 0.1)
    monkeypatch.setattr(demo.session, "PER_IMAGE", 0.01)
    session._live = LiveLine(shown := io.StringIO())
    working = f"print('generated 7 of 60 images', flush=True); {SLEEP}"
    start(session, camera=working, recorder=SLEEP)
    wait_for_output(session, "camera", "generated")
    begin = time.monotonic()
    with pytest.raises(DemoError, match=r"after 1 s"):
        session.play(generated=90)
    assert time.monotonic() - begin >= 1
    assert shown.getvalue() == "generated 7 of 60 images\n"


def test_play_ends_when_the_camera_has_and_nothing_more_comes(session, monkeypatch):
    monkeypatch.setattr(demo.session, "QUIET", 0.2)
    line = to_line(Sent(0, 1, 1, "camera"))
    start(session, camera=f"open({str(session.sent_path)!r}, 'w').write({line!r})")
    session.play()
    assert session.records == [Sent(0, 1, 1, "camera")]


def test_an_image_is_answered_when_every_topic_of_the_task_is_heard(session):
    session.records = [Sent(0, 5, 5, "camera"), Received(5, "camera", 6, ()), Timed(5, 6, {}, 0)]
    assert not session._all_answered()
    session.records.append(Received(5, "camera", 7, (), "detections_3d"))
    assert session._all_answered()


def test_an_end_with_an_error_is_told(session):
    start(session, recorder=f"print('on', flush=True); {SLEEP}")
    for name in ("camera", "node", "recorder"):
        wait_for_output(session, name, "on")
    with pytest.raises(DemoError, match="the recorder did not end well when interrupted"):
        session.stop()


def test_records_of_an_earlier_demo_do_not_count(tmp_path):
    for name in ("sent.jsonl", "received.jsonl"):
        (tmp_path / name).write_text(to_line(Sent(0, 1, 1, "camera")))
    session = Session(TASKS["detection2d"], tmp_path, {})
    session._read()
    assert session.records == []


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_the_live_line_is_rewritten_on_a_terminal_only():
    terminal, file = Terminal(), io.StringIO()
    for stream in (terminal, file):
        live = LiveLine(stream, interval=1e-9)
        for text in ("one", "two"):
            live.show(text)
            time.sleep(0.001)
        live.close()
    assert terminal.getvalue() == "\rone\x1b[K\rtwo\x1b[K\n"
    assert file.getvalue() == "one\ntwo\n"
    patient = LiveLine(calm := io.StringIO())
    patient.show("one")
    patient.show("two")
    assert calm.getvalue() == "one\n"
