"""On the PYTHONPATH of a doit under test: kills it right before it does a certain thing, as a power cut would.

BAKEHOUSE_TEST_KILL_AT is `EVENT TEXT`: one of Python's audit events ("os.rename", "os.link", "os.mkdir"), and what stands in its arguments.
"""

import os
import signal
import sys

_EVENT, _, _TEXT = os.environ.get("BAKEHOUSE_TEST_KILL_AT", "").partition(" ")


def _hook(event: str, arguments: tuple[object, ...]) -> None:
    if event == _EVENT and any(_TEXT in os.fsdecode(one) for one in arguments if isinstance(one, str | bytes | os.PathLike)):
        os.kill(os.getpid(), signal.SIGKILL)


if _EVENT and "doit" in sys.orig_argv:
    sys.addaudithook(_hook)
