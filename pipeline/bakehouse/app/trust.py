"""Whether the recipes are the user's own, and may name files anywhere on this machine."""

from __future__ import annotations

import os
from collections.abc import Mapping

from bakehouse.errors import Failure

VARIABLE = "BAKEHOUSE_UNTRUSTED"
SWITCH = "--untrusted"


def trusted(environ: Mapping[str, str] = os.environ) -> bool:
    """BAKEHOUSE_UNTRUSTED=0 or 1; without it, only what CI runs for a pull request or a merge request is not trusted.

    Raises:
        Failure: the variable has another value.
    """
    given = environ.get(VARIABLE, "")
    if given not in ("", "0", "1"):
        raise Failure(f"{VARIABLE} is {given}.", remedy="Set it to 1 (recipes may name only files next to them), to 0, or not at all.")
    # https://docs.github.com/actions/reference/workflows-and-actions/variables, https://docs.gitlab.com/ci/variables/predefined_variables
    asked = environ.get("GITHUB_EVENT_NAME") in ("pull_request", "pull_request_target") or bool(environ.get("CI_MERGE_REQUEST_ID"))
    return given == "0" or (given == "" and not asked)
