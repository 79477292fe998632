"""The supervisor with children of no weight: restarts, their pace, the order of the end, and who is killed."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from parkade.supervisor import Child, Started, Supervisor


def shell(script: str, log: Path, name: str = "child") -> Callable[[], Started]:
    """A child that runs ``script``, in which ``say X`` appends to ``log``, and that is ready when it writes to descriptor 9."""
    program = f'say() {{ echo "{name} $1" >> {log}; }}; exec 9>&1; {script}'

    def start() -> Started:
        ready, say_ready = os.pipe()
        process = subprocess.Popen(["sh", "-c", program], stdout=say_ready)
        process.returncode = 0
        os.close(say_ready)
        return Started(process.pid, ready)

    return start


def ran(supervisor: Supervisor, *signals: tuple[float, int]) -> int:
    """``run``, with signals sent to ourselves at seconds from now."""
    timers = [threading.Timer(at, os.kill, (os.getpid(), number)) for at, number in signals]
    for timer in timers:
        timer.start()
    try:
        return supervisor.run()
    finally:
        for timer in timers:
            timer.cancel()


def said(log: Path) -> list[str]:
    return log.read_text().splitlines() if log.exists() else []


READY_AND_WAIT = "trap 'say ended; exit 0' TERM; say began; echo >&9; while :; do sleep 0.02; done"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


def test_children_begin_in_order_are_ready_once_and_end_in_the_reverse_order(log: Path) -> None:
    ready: list[bool] = []
    children = [Child(name, shell(READY_AND_WAIT, log, name), 5) for name in ("media", "signalling")]
    supervisor = Supervisor(children, lambda: None, lambda: ready.append(True))
    assert ran(supervisor, (0.5, signal.SIGTERM)) == 0
    assert ready == [True]
    assert said(log)[-2:] == ["signalling ended", "media ended"]


def test_a_child_that_dies_is_started_again_at_once(log: Path) -> None:
    pids: list[int] = []
    child = Child("child", shell(READY_AND_WAIT, log), 5)
    supervisor = Supervisor([child], lambda: pids.append(child.pid), lambda: None)
    killers = [threading.Timer(at, lambda: os.kill(child.pid, signal.SIGKILL)) for at in (0.3, 0.6)]
    for killer in killers:
        killer.start()
    assert ran(supervisor, (1.0, signal.SIGTERM)) == 0
    assert len(set(pids)) == 3
    assert said(log) == ["child began"] * 3 + ["child ended"]


def test_a_child_that_keeps_dying_is_started_ever_later(log: Path) -> None:
    steady = Child("steady", shell(READY_AND_WAIT, log, "steady"), 5)
    dying = Child("dying", shell("echo >&9; sleep 0.03; exit 3", log), 5)
    began: list[float] = []
    supervisor = Supervisor([steady, dying], lambda: began.append(time.monotonic()), lambda: None)
    assert ran(supervisor, (2.0, signal.SIGTERM)) == 0
    assert 4 <= len(began) <= 8


def test_a_child_that_cannot_be_started_again_is_tried_until_it_can(log: Path) -> None:
    start = shell(READY_AND_WAIT, log)
    refusals = [OSError(errno.ENOSPC, "no space left on device"), OSError(errno.EAGAIN, "no process left")]
    began: list[float] = []

    def start_or_not() -> Started:
        if began and refusals:
            raise refusals.pop()
        return start()

    child = Child("child", start_or_not, 5)
    supervisor = Supervisor([child], lambda: began.append(time.monotonic()), lambda: None)
    killer = threading.Timer(0.3, lambda: os.kill(child.pid, signal.SIGKILL))
    killer.start()
    assert ran(supervisor, (1.5, signal.SIGTERM)) == 0
    assert not refusals
    assert said(log) == ["child began"] * 2 + ["child ended"]


def test_a_child_that_ends_before_it_was_ready_ends_the_whole_with_its_status(log: Path) -> None:
    children = [Child("good", shell(READY_AND_WAIT, log, "good"), 5), Child("bad", shell("exit 7", log), 5)]
    assert ran(Supervisor(children, lambda: None, lambda: None)) == 7
    assert said(log) in (["good began", "good ended"], [])  # it may have been told to end before it said anything


def test_a_child_that_does_not_end_is_killed(log: Path) -> None:
    stubborn = Child("stubborn", shell("trap '' TERM; say began; echo >&9; while :; do sleep 0.02; done", log), 0.2)
    began = time.monotonic()
    assert ran(Supervisor([stubborn], lambda: None, lambda: None), (0.3, signal.SIGTERM)) == 0
    assert time.monotonic() - began < 3


def test_a_second_signal_is_passed_on(log: Path) -> None:
    script = "trap 'say told' TERM; echo >&9; while [ $(grep -c told LOG) -lt 2 ]; do sleep 0.02; done; say done"
    log.touch()
    child = Child("child", shell(script.replace("LOG", str(log)), log), 10)
    assert ran(Supervisor([child], lambda: None, lambda: None), (0.3, signal.SIGTERM), (0.6, signal.SIGINT)) == 0
    assert said(log) == ["child told", "child told", "child done"]


def test_a_process_that_is_not_our_child_is_watched_and_replaced(log: Path) -> None:
    helper = subprocess.Popen(["sh", "-c", "sleep 60 & echo $!"], stdout=subprocess.PIPE, text=True)
    assert helper.stdout is not None
    stranger = int(helper.stdout.readline())
    helper.stdout.close()
    helper.wait()
    start, left_behind = shell(READY_AND_WAIT, log), [stranger]

    def adopt_or_start() -> Started:
        return Started(left_behind.pop(), ours=False) if left_behind else start()

    ready: list[bool] = []
    other = Child("other", shell(READY_AND_WAIT, log, "other"), 5)
    supervisor = Supervisor([Child("media", adopt_or_start, 5), other], lambda: None, lambda: ready.append(True))
    threading.Timer(0.4, os.kill, (stranger, signal.SIGKILL)).start()
    assert ran(supervisor, (0.9, signal.SIGTERM)) == 0
    assert ready == [True]
    assert "child began" in said(log)


def test_a_child_that_is_not_vital_begins_last_and_holds_nobody_up(log: Path) -> None:
    ready: list[float] = []
    children = [
        Child("media", shell(READY_AND_WAIT, log, "media"), 5),
        Child("web", shell("sleep 0.2; " + READY_AND_WAIT, log, "web"), 5, vital=False),
        Child("signalling", shell("sleep 0.2; " + READY_AND_WAIT, log, "signalling"), 5),
    ]
    supervisor = Supervisor(children, lambda: None, lambda: ready.append(time.monotonic()))
    assert ran(supervisor, (1.2, signal.SIGTERM)) == 0
    assert len(ready) == 1
    assert said(log)[-4:] == ["web began", "signalling ended", "web ended", "media ended"]


def test_a_child_that_is_not_vital_and_never_gets_ready_stops_nobody(log: Path) -> None:
    ready: list[bool] = []
    web = Child("web", shell("say began; exit 3", log, "web"), 5, vital=False)
    signalling = Child("signalling", shell(READY_AND_WAIT, log, "signalling"), 5)
    supervisor = Supervisor([web, signalling], lambda: None, lambda: ready.append(True))
    assert ran(supervisor, (1.0, signal.SIGTERM)) == 0
    assert ready == [True]
    assert said(log).count("web began") >= 3
    assert said(log)[-1] == "signalling ended"


def test_a_child_that_is_not_vital_and_takes_too_long_is_not_waited_for(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("parkade.supervisor.PATIENCE_S", 0.2)
    ready: list[bool] = []
    web = Child("web", shell("trap 'exit 0' TERM; while :; do sleep 0.02; done", log, "web"), 5, vital=False)
    signalling = Child("signalling", shell(READY_AND_WAIT, log, "signalling"), 5)
    supervisor = Supervisor([web, signalling], lambda: None, lambda: ready.append(True))
    assert ran(supervisor, (0.8, signal.SIGTERM)) == 0
    assert ready == [True]


def test_a_vital_child_that_dies_while_another_gets_ready_is_started_again(log: Path) -> None:
    ready: list[bool] = []
    web = Child("web", shell("sleep 0.6; " + READY_AND_WAIT, log, "web"), 5, vital=False)
    signalling = Child("signalling", shell(READY_AND_WAIT, log, "signalling"), 5)
    supervisor = Supervisor([web, signalling], lambda: None, lambda: ready.append(True))
    killer = threading.Timer(0.3, lambda: os.kill(signalling.pid, signal.SIGKILL))
    killer.start()
    assert ran(supervisor, (1.4, signal.SIGTERM)) == 0
    assert ready == [True]
    assert said(log).count("signalling began") == 2


def test_a_child_that_dies_while_another_is_told_to_end_hurries_nobody(log: Path) -> None:
    script = "trap 'say told; sleep 0.5; say ended; exit 0' TERM; echo >&9; while :; do sleep 0.02; done"
    web = Child("web", shell(READY_AND_WAIT, log, "web"), 5, vital=False)
    signalling = Child("signalling", shell(script, log, "signalling"), 5)
    supervisor = Supervisor([web, signalling], lambda: None, lambda: None)
    killer = threading.Timer(0.7, lambda: os.kill(web.pid, signal.SIGKILL))
    killer.start()
    assert ran(supervisor, (0.5, signal.SIGTERM)) == 0
    assert said(log).count("signalling told") == 1
    assert said(log)[-1] == "signalling ended"
