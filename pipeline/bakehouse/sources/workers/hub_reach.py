"""Asks whether the hub answers: with one request for the headers of its first page."""

from __future__ import annotations

import urllib.error
import urllib.request

from bakehouse.child import events, start
from bakehouse.sources.seams import ReachRequest, ReachResult

_WAIT_S = 8.0


def run(request: ReachRequest) -> ReachResult:
    """The hub's address, as huggingface_hub takes it from the environment."""
    from huggingface_hub import constants

    try:
        with urllib.request.urlopen(urllib.request.Request(constants.ENDPOINT, method="HEAD"), timeout=_WAIT_S):
            pass
    except urllib.error.HTTPError:
        pass  # it answers, if only that it does not like the question
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        events.refuse(f"the hub at {constants.ENDPOINT} does not answer: {reason}")
    return ReachResult(endpoint=constants.ENDPOINT)


if __name__ == "__main__":
    start.run(run, ReachRequest, online=True)
