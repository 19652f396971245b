"""Describes what goes wrong while publishing: what is wrong, what the repository holds now, and what to do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from huggingface_hub import constants
from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

from bakehouse.child import events
from bakehouse.child.redact import clean
from bakehouse.sources.workers.hub_errors import LOG_IN

AGAIN = "run the same command again; files that are uploaded already are not sent again"
PASSING = {408, 429, 500, 502, 503, 504}
_CLOSED = "client has been closed"


class Refused(Exception):
    """Publishing cannot go on: a sentence, what to do, and further lines."""

    def __init__(self, what: str, remedy: str, details: tuple[str, ...] = ()) -> None:
        super().__init__(what)
        self.what, self.remedy, self.details = what, remedy, details


def chain(error: BaseException) -> Iterator[BaseException]:
    """The error and its causes; the client wraps errors of an upload."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or current.__context__


def answered(error: BaseException) -> httpx.Response | None:
    """The hub's answer that an error is about."""
    for one in chain(error):
        if isinstance(one, HfHubHTTPError | httpx.HTTPStatusError):
            return one.response
    return None


def unanswered(error: BaseException) -> bool:
    """Whether the connection failed or broke off, so that what the hub did is unknown."""
    if answered(error) is not None:
        return False
    # The client continues with a session that it has closed (huggingface_hub 1.21, `_http_backoff_base`), and reads a proxy's page
    # as JSON.
    return any(
        isinstance(one, httpx.TransportError | json.JSONDecodeError) or (isinstance(one, RuntimeError) and _CLOSED in str(one))
        for one in chain(error)
    )


@contextmanager
def refusing(repo: str) -> Iterator[None]:
    """End with what an error of the body means, and what was noted on it; a bug keeps its traceback."""
    try:
        yield
    except Exception as error:
        words = in_words(error, repo)
        if words is None:
            raise
        notes = [note for one in chain(error) for note in getattr(one, "__notes__", ())]
        events.refuse(words.what, words.remedy, [*words.details, *notes])


def in_words(error: BaseException, repo: str) -> Refused | None:
    """What an error means; None if it is a bug, and not an error of the hub or the network."""
    if isinstance(error, Refused):
        return error
    if any(isinstance(one, OfflineModeIsEnabled) for one in chain(error)):
        return Refused(
            f"{repo} is on the hub, and the hub's client is configured to stay offline.", "Unset HF_HUB_OFFLINE and TRANSFORMERS_OFFLINE."
        )
    if isinstance(error, ValueError) and "Invalid metadata in README.md" in str(error):
        return Refused(
            "The hub does not take the model card's front matter.", "Correct `publish` in the recipe.", tuple(str(error).split("\n")[1:])
        )
    if isinstance(error, ValueError) and str(error).startswith("LFS batch API returned errors"):
        return Refused(
            f"The hub does not take a large file for {repo}.",
            "Change what its answer says; a file may have 50 GB, and each account has its own limits.",
            tuple(clean(line) for line in str(error).split("\n")[1:]),
        )
    response = answered(error)
    if response is not None:
        what, remedy = _status(response, repo)
        answer = _message(error)
        return Refused(what, remedy, (f"the hub says: {answer}",) if answer else ())
    if unanswered(error):
        reason = next((clean(str(one)) for one in chain(error) if isinstance(one, httpx.TransportError)), "it closed the connection")
        return Refused(
            f"The hub at {constants.ENDPOINT} cannot be reached or does not answer: {reason}.",
            f"Check the network, and HF_ENDPOINT and HTTPS_PROXY if they are set, and {AGAIN}.",
        )
    return None


def _status(response: httpx.Response, repo: str) -> tuple[str, str]:
    owner, status = repo.split("/")[0], response.status_code
    sentences = {
        400: ("The hub does not take what it was sent (400), and nothing was committed.", "Change what its answer says."),
        401: (
            "The hub does not take the token (401): it is missing, wrong or expired.",
            f"Create a token that may write to {repo} at {constants.ENDPOINT}/settings/tokens, and set it with {LOG_IN}.",
        ),
        403: (
            f"The token may not do this to {repo} (403).",
            f"Set a token that may write to the repositories of {owner} ({LOG_IN}); or let the recipe open a pull request "
            "(`publish.pull_request: true`); or, if the hub's answer is about storage, free some of it.",
        ),
        404: (
            f"The hub shows no {repo} to this token (404): it or its owner {owner} does not exist or is hidden.",
            f"Check publish.repo in the recipe; {owner} must be an account or an organization that the token may write to.",
        ),
        409: (
            f"Another change to {repo} conflicts with this one (409).",
            f"Look at {constants.ENDPOINT}/{repo} for the other change, wait until it is done, and {AGAIN}.",
        ),
        412: (
            f"{repo} has a newer commit than the one that was read (412), so nothing was committed over it.",
            f"Look at {constants.ENDPOINT}/{repo}/commits, then {AGAIN}.",
        ),
        413: (
            "The hub refuses this as too large (413).",
            "A file may have 50 GB: make a build with fewer bits, or let the runtime's exporter split the weights.",
        ),
        429: (
            "The hub takes no more requests from here for now (429), even after some waiting.",
            f"Wait some minutes, then {AGAIN}.",
        ),
    }
    if status >= 500:
        return f"The hub fails with a server error ({status}), even after some tries.", f"Wait until the hub works again, then {AGAIN}."
    return sentences.get(
        status,
        (f"The hub answered {status} while {repo} was being published.", f"Change what its answer says, and {AGAIN}."),
    )


def _message(error: BaseException) -> str:
    for one in chain(error):
        if isinstance(one, HfHubHTTPError):
            return clean(one.server_message or "").strip()
    return ""
