"""Puts what goes wrong while publishing into sentences: what is wrong, what the repository holds now, and what to do about it."""

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

AGAIN = "run the same command again: what is uploaded already is not sent a second time"
PASSING = {408, 429, 500, 502, 503, 504}
_CLOSED = "client has been closed"


class Refused(Exception):
    """Publishing cannot go on: a sentence, what to do, and further lines."""

    def __init__(self, what: str, remedy: str, details: tuple[str, ...] = ()) -> None:
        super().__init__(what)
        self.what, self.remedy, self.details = what, remedy, details


def chain(error: BaseException) -> Iterator[BaseException]:
    """The error and what it came from; the client wraps what goes wrong in an upload."""
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
    """Whether it is about a connection that failed or broke off, so that nobody knows what the hub did."""
    if answered(error) is not None:
        return False
    # The client goes on with a session that it has closed itself (huggingface_hub 1.21, `_http_backoff_base`), and reads
    # a proxy's page as JSON.
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
    """What an error means; None if it is none of the hub's or the network's, but a bug."""
    if isinstance(error, Refused):
        return error
    if any(isinstance(one, OfflineModeIsEnabled) for one in chain(error)):
        return Refused(
            f"{repo} is on the hub, and the hub's client is set to stay offline.", "Unset HF_HUB_OFFLINE and TRANSFORMERS_OFFLINE."
        )
    if isinstance(error, ValueError) and "Invalid metadata in README.md" in str(error):
        return Refused(
            "The hub does not take the model card's front matter.", "Correct `publish` in the recipe.", tuple(str(error).split("\n")[1:])
        )
    if isinstance(error, ValueError) and str(error).startswith("LFS batch API returned errors"):
        return Refused(
            f"The hub does not take a large file for {repo}.",
            "Its answer says what to change: a file may have 50 GB, and an account has limits of its own.",
            tuple(clean(line) for line in str(error).split("\n")[1:]),
        )
    response = answered(error)
    if response is not None:
        what, remedy = _status(response, repo)
        told = _message(error)
        return Refused(what, remedy, (f"the hub says: {told}",) if told else ())
    if unanswered(error):
        reason = next((clean(str(one)) for one in chain(error) if isinstance(one, httpx.TransportError)), "it closed the connection")
        return Refused(
            f"The hub at {constants.ENDPOINT} cannot be reached, or does not answer: {reason}.",
            f"Check the network, and HF_ENDPOINT and HTTPS_PROXY if they are set, and {AGAIN}.",
        )
    return None


def _status(response: httpx.Response, repo: str) -> tuple[str, str]:
    owner, status = repo.split("/")[0], response.status_code
    sentences = {
        400: ("The hub does not take what it was sent (400).", "Its answer says what to change; nothing was committed."),
        401: (
            "The hub does not take the token (401): there is none, or it is wrong or expired.",
            f"Make a token that may write to {repo} at {constants.ENDPOINT}/settings/tokens, and give it with {LOG_IN}.",
        ),
        403: (
            f"The token may not do this to {repo} (403).",
            f"Give a token that may write to the repositories of {owner} ({LOG_IN}); or let the recipe open a pull request "
            "(`publish.pull_request: true`); or, if the hub speaks of storage, make room there.",
        ),
        404: (
            f"The hub has no {repo} for this token (404): it or its owner {owner} is not there, or is hidden from it.",
            f"Check publish.repo in the recipe; {owner} must be an account or an organization that the token may write to.",
        ),
        409: (
            f"The hub is at odds with another change to {repo} (409).",
            f"See at {constants.ENDPOINT}/{repo} who else works on it, wait until that is done, and {AGAIN}.",
        ),
        412: (
            f"{repo} has got another commit since it was looked at (412), so nothing was committed over it.",
            f"Look at {constants.ENDPOINT}/{repo}/commits, then {AGAIN}.",
        ),
        413: (
            "The hub refuses this as too large (413).",
            "One file may have 50 GB: make a build with fewer bits, or let the runtime's exporter split the weights.",
        ),
        429: (
            "The hub takes no more requests from here for now (429), also after some waiting.",
            f"Wait some minutes, then {AGAIN}.",
        ),
    }
    if status >= 500:
        return f"The hub fails with an error of its own ({status}), also after some tries.", f"Wait until it is well, then {AGAIN}."
    return sentences.get(
        status,
        (f"The hub answered {status} while {repo} was being published.", f"If its answer says what to change, change it and {AGAIN}."),
    )


def _message(error: BaseException) -> str:
    for one in chain(error):
        if isinstance(one, HfHubHTTPError):
            return clean(one.server_message or "").strip()
    return ""
