"""`bakehouse run`: one prompt, one answer."""

from __future__ import annotations

import argparse
import sys
from contextlib import closing

from bakehouse.app import running
from bakehouse.app.screen import escape_what_cannot_be_shown
from bakehouse.errors import Failure
from bakehouse.inference.runner import Runner
from bakehouse.tasks.text_generation.workers.jobs import Answered, Job


def parser() -> argparse.ArgumentParser:
    """The arguments of `run`."""
    made = running.parser("run", "Load a package in its own runtime and have it answer one prompt; the answer is printed as it comes.")
    made.add_argument("prompt", nargs="?", metavar="PROMPT", help="what to answer; without it, what comes through a pipe")
    running.add_answer_options(made)
    made.add_argument("--raw", action="store_true", help="continue the prompt as it is, without the chat template")
    return made


def run(given: argparse.Namespace) -> int:
    """Answer one prompt: the answer to standard output, all else to standard error.

    Raises:
        Failure: the prompt is missing, or the package cannot be run.
    """
    escape_what_cannot_be_shown()
    if given.raw and given.system is not None:
        raise Failure("--system is a message of a chat, and --raw leaves the chat template out", remedy="give one of them")
    prompt = running.stdin_text() if given.prompt is None else given.prompt
    system = [{"role": "system", "content": given.system}] if given.system is not None else []
    chat = [*system, {"role": "user", "content": prompt}]
    job = running.job(given, raw=prompt) if given.raw else running.job(given, messages=chat)
    with running.loaded(running.package(given.package, given.device), given.device) as runner:
        answered = _printed(runner, job)
        print(("\n" if sys.stderr.isatty() else "") + running.numbers(answered, runner.loaded), file=sys.stderr)
        if cut := running.cut_short(answered, runner.loaded, given.max_tokens):
            print(cut, file=sys.stderr)
    return 0


def _printed(runner: Runner, job: Job) -> Answered:
    """Print an answer as it comes, and a line end after it."""
    text = ""
    with closing(runner.stream(job)) as stream:
        for piece in stream:
            if isinstance(piece, Answered):
                print(end="" if text.endswith("\n") else "\n", flush=True)
                return piece
            text += piece
            print(piece, end="", flush=True)
    raise AssertionError("a stream ends with what was counted")
