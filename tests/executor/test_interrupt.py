"""An interrupt at any moment leaves no child, not even one that is stopped and cannot end by itself when its parent is gone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from bakehouse.executor.process import Children
from tests.support.bench import ROOT

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no signal stops a process there")

STOPPED = ("sh", "-c", "kill -STOP $$")  # a worker that stops itself at once
# Interrupts itself at the first line of code after Python says that it is about to start a child, then at the second, and so on until it
# waits for the child; prints at how many lines it was interrupted, and after which of them a child was left.
SWEEP = f"""
import json, os, signal, subprocess, sys, threading
from pathlib import Path
import psutil
from bakehouse.executor import interrupt, process
from bakehouse.executor.process import Children, run
from bakehouse.steps.maker import Command

TRACED = {{process.__file__, interrupt.__file__, subprocess.__file__}}
passed, at, waited, starting = 0, 0, False, False

def audit(event, _):
    global starting
    starting |= event == "subprocess.Popen"

def trace(frame, event, _):
    global passed
    if frame.f_code.co_filename not in TRACED:
        return None
    if event == "line" and starting:
        passed += 1
        if passed == at:
            os.kill(os.getpid(), signal.SIGINT)
    return trace

def waiting():
    global waited
    waited = True
    os.kill(os.getpid(), signal.SIGINT)

signal.signal(signal.SIGINT, signal.default_int_handler)
sys.addaudithook(audit)
left = []
while not waited:
    passed, at, starting = 0, at + 1, False
    timer = threading.Timer(1, waiting)
    timer.start()
    try:
        sys.settrace(trace)
        run(Command({STOPPED!r}), children=Children(), log=Path("log.txt"), scratch=Path("scratch"), on_progress=lambda _: None)
    except KeyboardInterrupt:
        sys.settrace(None)
        timer.cancel()
    alive = [one for one in psutil.Process().children() if one.status() != psutil.STATUS_ZOMBIE]
    left += [at for one in alive]
    for one in alive:
        one.kill()
print(json.dumps({{"tries": at, "left": left}}))
"""


@pytest.mark.whole
def test_no_interrupt_at_any_line_of_a_start_leaves_a_stopped_child(tmp_path: Path) -> None:
    env = {**os.environ, "PYTHONPATH": str(ROOT / "pipeline")}
    done = subprocess.run([sys.executable, "-c", SWEEP], cwd=tmp_path, env=env, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert found["left"] == []
    assert found["tries"] > 50


def test_stopping_waits_for_a_child_that_another_thread_starts() -> None:
    children, forked = Children(), threading.Event()
    started: list[subprocess.Popen[bytes]] = []

    def launch() -> subprocess.Popen[bytes]:
        started.append(subprocess.Popen(STOPPED, start_new_session=True))
        forked.set()
        time.sleep(0.2)  # so much later its number is known to the thread that started it
        return started[0]

    thread = threading.Thread(target=children.start, args=(launch,))
    thread.start()
    forked.wait()
    children.stop()
    thread.join()
    assert started[0].wait(10) == -signal.SIGKILL


HELD_BACK = """
import signal

from bakehouse.executor import interrupt

done = []
try:
    with interrupt.held_back():
        signal.raise_signal(signal.SIGINT)
        done.append("the block")
except KeyboardInterrupt:
    done.append("the interrupt")
assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
signal.signal(signal.SIGINT, signal.SIG_IGN)
with interrupt.held_back():
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    done.append("still ignored")
print(*done, sep=", ")
"""


def test_an_interrupt_that_is_held_back_comes_after_the_block_unless_it_is_ignored() -> None:
    # In a process of its own: libraries that other tests load here may have handlers of theirs.
    env = {**os.environ, "PYTHONPATH": str(ROOT / "pipeline")}
    begin = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"  # also where the tests run in the background
    done = subprocess.run([sys.executable, "-c", begin + HELD_BACK], env=env, capture_output=True, text=True, check=True)
    assert done.stdout == "the block, the interrupt, still ignored\n"
