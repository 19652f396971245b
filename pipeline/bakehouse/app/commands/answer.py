"""`bakehouse run`: one prompt, one answer; or what a model of another task makes of some texts, a recording or a picture."""

from __future__ import annotations

import argparse
import sys
from contextlib import closing

from bakehouse.app import running
from bakehouse.app.screen import escape_what_cannot_be_shown
from bakehouse.errors import Failure
from bakehouse.inference import direct
from bakehouse.inference.found import Found
from bakehouse.inference.runner import Runner
from bakehouse.recipe.kinds import DEFAULT_TASK
from bakehouse.steps.seam import Request
from bakehouse.tasks.speech.task import with_times
from bakehouse.tasks.text_generation.workers.jobs import Answered, Job


def parser() -> argparse.ArgumentParser:
    """The arguments of `run`."""
    made = running.parser(
        "run",
        "Load a package in its own runtime and have it answer one prompt; the answer is printed as it comes. A model of embeddings gets "
        "several texts and compares them with the first, a speech model gets a WAV file, a vision-language model a picture and a "
        "prompt, a text-to-image model a prompt and a file for the picture.",
    )
    made.add_argument(
        "prompt",
        nargs="*",
        metavar="PROMPT",
        help="what to answer; without it, what comes through a pipe (other tasks: texts, or a file)",
    )
    running.add_answer_options(made)
    made.add_argument("--raw", action="store_true", help="continue the prompt as it is, without the chat template")
    made.add_argument("--timestamps", choices=("segments", "words"), help="of a speech model: say when each segment or word is said")
    return made


def run(given: argparse.Namespace) -> int:
    """Answer one prompt: the answer to standard output, all else to standard error.

    Raises:
        Failure: the prompt is missing, or the package cannot be run.
    """
    escape_what_cannot_be_shown()
    package = running.package(given.package, given.device, any_task=True)
    if package.manifest.build.task != DEFAULT_TASK:
        return _direct(package, given)
    if given.timestamps:
        raise Failure("--timestamps is for models of speech recognition", where=package.name, remedy="leave it out")
    if given.raw and given.system is not None:
        raise Failure("--system is a message of a chat, and --raw leaves the chat template out", remedy="give one of them")
    if len(given.prompt) > 1:
        raise Failure(f"a prompt is one argument, and {len(given.prompt)} are given", remedy="put it in quotes")
    prompt = given.prompt[0] if given.prompt else running.stdin_text()
    system = [{"role": "system", "content": given.system}] if given.system is not None else []
    chat = [*system, {"role": "user", "content": prompt}]
    job = running.job(given, raw=prompt) if given.raw else running.job(given, messages=chat)
    with running.loaded(package, given.device) as runner:
        answered = _printed(runner, job)
        print(("\n" if sys.stderr.isatty() else "") + running.numbers(answered, runner.loaded), file=sys.stderr)
        if cut := running.cut_short(answered, runner.loaded, given.max_tokens):
            print(cut, file=sys.stderr)
    return 0


def _direct(package: Found, given: argparse.Namespace) -> int:
    """Give a model of another task the words of the command line, and print what comes of them."""
    made, task = parser(), package.manifest.build.task
    for name in ("max_tokens", "temperature", "seed", "system", "raw"):
        if getattr(given, name) != made.get_default(name):
            flag = f"--{name.replace('_', '-')}"
            raise Failure(f"{flag} would have no effect on a model of {task}", where=package.name, remedy="leave it out")

    def asked(request: Request) -> Request:
        return with_times(request, given.timestamps) if given.timestamps else request

    with running.shown_loading(package.name):
        lines = direct.give(package, given.prompt, given.device, lambda _: None, asked)
    for line in lines:
        print(line)
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
