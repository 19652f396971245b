"""What all commands share, in the process of whoever calls them."""

from __future__ import annotations

import signal

from bakehouse.app import cli

BOTH = (signal.SIGTERM, signal.SIGINT)


def test_a_command_that_ends_leaves_signals_as_they_were() -> None:
    before = [signal.getsignal(number) for number in BOTH]
    during = []

    def work() -> int:
        during.extend(signal.getsignal(number) for number in BOTH)
        return 0

    assert cli.guarded(work, failed=3) == 0
    assert during[0] is during[1] is not before[0]
    assert [signal.getsignal(number) for number in BOTH] == before
