"""Puts what a file system of fsspec's raises into sentences: a wrong setting, a refusal, a broken line; and lets bugs through."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from bakehouse.child import events, start
from bakehouse.child.redact import clean
from bakehouse.errors import FULL
from bakehouse.executor.seams import StoreResult

_REFUSING = (401, 403, "401", "403")  # HTTP statuses
# Clients' own errors for having nothing to show (botocore, google-auth, azure-core, paramiko), which cannot be imported here.
_WITHOUT_CREDENTIALS = {
    "NoCredentialsError",
    "PartialCredentialsError",
    "DefaultCredentialsError",
    "ClientAuthenticationError",
    "AuthenticationException",
}


class Corrupt(Exception):
    """The shared store holds something that is not what its name says."""


@contextmanager
def of_the_url() -> Iterator[None]:
    """End with a sentence if the body cannot make a file system out of PIPELINE_REMOTE."""
    try:
        yield
    except ImportError as error:
        driver = getattr(error.__cause__, "name", None) or error.name or "its driver"
        brings = "'bakehouse[s3]'" if driver == "s3fs" else driver
        events.refuse(f"PIPELINE_REMOTE: {driver} is not installed ({error})", f"`pip install {brings}` here, or unset PIPELINE_REMOTE.")
    except ValueError as error:
        events.refuse(f"PIPELINE_REMOTE: {error}", "Write a URL that fsspec knows, as file:///shared/store or s3://bucket/store.")


@contextmanager
def of_the_address() -> Iterator[None]:
    """End with a sentence if the body, the first contact, finds an address that no connection can be made to.

    Drivers only look at a port or an endpoint when they connect: botocore 1.43 and yarl 1.25 raise a plain ValueError then.
    """
    try:
        yield
    except ValueError as error:
        if type(error) is not ValueError:  # an answer that cannot be read
            raise
        events.refuse(
            f"the shared store's address cannot be used: {in_a_line(error)}",
            "Correct PIPELINE_REMOTE, or AWS_ENDPOINT_URL where that is set, or unset PIPELINE_REMOTE.",
        )


def explained(work: Callable[[], StoreResult]) -> StoreResult:
    """What `work` comes to; in a sentence, why it failed on the remote. Every other error passes."""
    try:
        return work()
    except Corrupt as corrupt:
        events.refuse(f"the shared store is corrupt: {corrupt}", "Delete that object in it, and find out who wrote it.")
    except NotImplementedError:
        events.refuse("this kind of shared store cannot be written to", "Set PIPELINE_REMOTE_MODE to read, or take another URL.")
    except Exception as error:
        if isinstance(error, OSError) and error.errno in FULL:
            events.refuse(f"no room is left: {in_a_line(error)}", "Free space, here or in the shared store, and run it again.")
        if refuses(error):
            return StoreResult(refuses=in_a_line(error))
        if is_bug(error):
            raise
        return StoreResult(unreachable=in_a_line(error))


@contextmanager
def answering(patience_s: float) -> Iterator[None]:
    """End with the result that the remote is out of reach if the body takes longer than `patience_s`: not every driver has timeouts."""

    def give_up() -> None:
        start.leave(StoreResult(unreachable=f"no answer for {patience_s:g} s"))
        os._exit(0)

    timer = threading.Timer(patience_s, give_up)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def refuses(error: BaseException) -> bool:
    """Whether the remote answered that the account it takes us for may not do this."""
    seen: BaseException | None = error
    while seen is not None:
        statuses = (
            getattr(one, name, None) for one in (seen, getattr(seen, "response", None)) for name in ("status_code", "status", "code")
        )
        if isinstance(seen, PermissionError) or type(seen).__name__ in _WITHOUT_CREDENTIALS or any(one in _REFUSING for one in statuses):
            return True
        seen = seen.__cause__
    return False


def is_bug(error: BaseException) -> bool:
    """Whether an error says nothing of the remote: the system's errors do, and those that a client has of its own."""
    return type(error).__module__ == "builtins" and not isinstance(error, OSError | EOFError)


def in_a_line(error: BaseException) -> str:
    """An error in one line, without secrets."""
    return f"{type(error).__name__}: {clean(' '.join(str(error).split()))[:300]}"
