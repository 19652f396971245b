"""Puts what the hub's client raises into sentences: what is wrong, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import httpx
from huggingface_hub import constants
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from bakehouse.child import events
from bakehouse.sources.workers import hub_info

LOG_IN = "`hf auth login` or HF_TOKEN"
KEPT = "what was downloaded is kept"


@contextmanager
def explained(repo: str, revision: str) -> Iterator[None]:
    """End with a sentence and a remedy if the body fails on the network or at the hub; let every other error through."""
    try:
        yield
    except OfflineModeIsEnabled:
        events.refuse(
            f"{repo} must be downloaded, and the hub's client is set to stay offline.",
            "Unset HF_HUB_OFFLINE and TRANSFORMERS_OFFLINE, or run it once with a network.",
        )
    except HfHubHTTPError as error:
        refuse_answer(repo, revision, error)
    except httpx.TimeoutException:
        events.refuse(
            f"The hub at {constants.ENDPOINT} did not answer in time.",
            f"Check the network, and HF_ENDPOINT and HTTPS_PROXY if they are set, and run the same command again: {KEPT}.",
        )
    except (hub_info.Unreadable, httpx.DecodingError, httpx.InvalidURL, httpx.TooManyRedirects) as error:
        events.refuse(
            f"The answer of {constants.ENDPOINT} about {repo} is not one of a hub: {error}.",
            "Check HF_ENDPOINT and HTTPS_PROXY if they are set, and run the same command again.",
        )
    except httpx.TransportError as error:
        events.refuse(
            f"The hub at {constants.ENDPOINT} cannot be reached: {error}.",
            f"Check the network, and HF_ENDPOINT and HTTPS_PROXY if they are set, and run the same command again: {KEPT}.",
        )


def refuse_answer(repo: str, revision: str, error: HfHubHTTPError) -> NoReturn:
    """End with what an answer of the hub means that is not a success."""
    status, page = error.response.status_code, f"{constants.ENDPOINT}/{repo}"
    if isinstance(error, RevisionNotFoundError):
        events.refuse(f"{repo} has no commit {revision}.", f"Take a full commit from {page}/commits/main.")
    if isinstance(error, GatedRepoError):
        events.refuse(
            f"{repo} is gated: its owner gives it only to those who have accepted the licence.",
            f"Accept it at {page}, and give a token of that account with {LOG_IN}.",
        )
    if isinstance(error, RepositoryNotFoundError) and status == 404:
        events.refuse(
            f"The hub has no repository {repo}.",
            f"Check source.repo in the recipe; a private repository shows only to a token that may read it ({LOG_IN}).",
        )
    if status == 401:
        events.refuse(
            f"The hub does not show {repo} without a valid token (401): it is private or gated, or does not exist.",
            f"Check source.repo in the recipe; if it is right, accept the licence at {page}, and give a token with {LOG_IN}.",
        )
    if status == 403:
        events.refuse(f"The token may not read {repo} (403).", f"Give a token that may read it, with {LOG_IN}.")
    if status == 429:
        events.refuse(
            "The hub takes no more requests from here for now (429).",
            f"Wait some minutes and run the same command again: {KEPT}. With a token ({LOG_IN}) the hub allows more.",
        )
    if status >= 500:
        events.refuse(f"The hub fails with an error of its own ({status}).", f"Run the same command again later: {KEPT}.")
    events.refuse(
        f"The hub answered {status} to a request for {repo}.", f"Look at {page}; the hub says: {error.server_message or 'nothing'}."
    )
