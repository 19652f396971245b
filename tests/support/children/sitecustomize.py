"""On the PYTHONPATH of the children of tests.

BAKEHOUSE_TEST_LIGHT refuses an import of torch (torch_guard.py).

BAKEHOUSE_TEST_HURRY is what the seconds of each `time.sleep` are divided by: what waits for a hub to recover, product and client,
then waits less and is otherwise what it is.

BAKEHOUSE_TEST_KILL_AT kills doit, or a child of doit, right before a certain thing, as a power cut would.

It is one of
- `EVENT TEXT`: doit, at one of Python's audit events ("os.rename", "os.link", "os.mkdir") with TEXT in its arguments;
- `parent`, `child`: doit, or its child, as the child starts;
- `stop`: nothing is killed; the child stops as it starts, until it is told to go on.
"""

import os
import signal
import sys
import time

import torch_guard

torch_guard.install()

_sleep = time.sleep


def hurry() -> None:
    """Have `time.sleep` be as short as the environment says."""
    if factor := float(os.environ.get("BAKEHOUSE_TEST_HURRY", "0")):
        time.sleep = lambda seconds: _sleep(seconds / factor)


hurry()

_EVENT, _, _TEXT = os.environ.get("BAKEHOUSE_TEST_KILL_AT", "").partition(" ")


def _hook(event: str, arguments: tuple[object, ...]) -> None:
    if event == _EVENT and any(_TEXT in os.fsdecode(one) for one in arguments if isinstance(one, str | bytes | os.PathLike)):
        os.kill(os.getpid(), signal.SIGKILL)


if _TEXT and "doit" in sys.orig_argv:
    sys.addaudithook(_hook)
if any(".workers." in word and word.startswith("bakehouse.") for word in sys.orig_argv):
    if _EVENT == "parent":
        os.kill(os.getppid(), signal.SIGKILL)
    elif _EVENT == "child":
        os.kill(os.getpid(), signal.SIGKILL)
    elif _EVENT == "stop":
        os.kill(os.getpid(), signal.SIGSTOP)
