"""What `run`, `chat`, `bench` and `serve` share: their arguments, a package that is loaded, and its numbers in words."""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import get_args

from bakehouse.app.workspace import artifacts_folder
from bakehouse.backends.base import Device
from bakehouse.errors import Failure
from bakehouse.inference import runner
from bakehouse.inference.found import Found, find
from bakehouse.inference.runner import Runner
from bakehouse.tasks.text_generation.workers.jobs import Answered, Job, Loaded
from bakehouse.text import count_text, size_text

DEVICES: tuple[Device, ...] = get_args(Device)


def parser(verb: str, does: str, *, packages: str | None = None) -> argparse.ArgumentParser:
    """The parser of a verb over one package, or over several (`packages` is then argparse's `nargs`)."""
    made = argparse.ArgumentParser(f"bakehouse {verb}", description=does)
    made.add_argument("package", nargs=packages, metavar="NAME|DIR", help="a build that is made here, or the folder of any package")
    made.add_argument("--device", type=str.upper, choices=DEVICES, help="where it runs; by default what the package is made for")
    return made


def add_answer_options(to: argparse.ArgumentParser) -> None:
    """The options of whoever answers a person."""
    to.add_argument("--max-tokens", type=positive, default=1024, metavar="N", help="the most tokens of an answer (default: 1024)")
    to.add_argument(
        "--temperature",
        type=_temperature,
        default=0.0,
        metavar="T",
        help="draw each token by its probability at this temperature; by default the most likely one is taken, as in validation",
    )
    to.add_argument("--seed", type=int, metavar="N", help="with --temperature: draw the same tokens again")
    to.add_argument("--system", metavar="TEXT", help="a system message before the prompt")


def positive(text: str) -> int:
    """A whole number from 1 on, as argparse takes it."""
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError("it must be at least 1")
    return number


def _temperature(text: str) -> float:
    if not 0 <= (number := float(text)) <= 2:
        raise argparse.ArgumentTypeError("it must be between 0 and 2")
    return number


def package(name: str, device: Device | None, *, any_task: bool = False) -> Found:
    """The package that somebody means; `any_task`: it need not be a model that writes text.

    Raises:
        Failure: there is none, or it is incomplete.
    """
    return find(name, artifacts_folder() / "packages", device, any_task=any_task)


@contextmanager
def shown_loading(name: str) -> Iterator[Callable[[], None]]:
    """On a terminal a line says that a package is being loaded: as long as this lasts, or until what it gives is called."""
    shows = [True] if sys.stderr.isatty() else []

    def clear() -> None:
        if shows:
            shows.clear()
            print("\r\033[K", end="", file=sys.stderr, flush=True)

    if shows:
        print(f"loading {name} ...", end="", file=sys.stderr, flush=True)
    try:
        yield clear
    finally:
        clear()


@contextmanager
def loaded(found: Found, device: Device | None) -> Iterator[Runner]:
    """The package in its runtime, as long as this lasts.

    Raises:
        Failure: it does not run here.
    """
    with shown_loading(found.name) as clear, runner.opened(found, device) as opened:
        clear()
        if opened.loaded.note:
            print(opened.loaded.note, file=sys.stderr)
        yield opened


def job(given: argparse.Namespace, *, messages: list[dict[str, str]] | None = None, raw: str | None = None) -> Job:
    """A job with the options of `add_answer_options`."""
    seed = random.randrange(2**31) if given.seed is None else given.seed
    chat = tuple(messages) if messages else None
    return Job(messages=chat, raw=raw, max_new_tokens=given.max_tokens, temperature=given.temperature, seed=seed)


def numbers(answered: Answered, loaded: Loaded) -> str:
    """What an answer took, as one sentence."""
    speed = f", then {answered.tokens_per_s:.1f} tokens/s" if answered.tokens_per_s else ""
    return (
        f"{count_text(answered.prompt_tokens, 'token')} in and {answered.tokens} out on {loaded.device} ({loaded.device_name}): "
        f"the first after {seconds_text(answered.first_token_s)}{speed}; "
        f"loaded in {seconds_text(loaded.load_s)}, {size_text(answered.peak_memory_bytes)} of memory at most."
    )


def seconds_text(seconds: float) -> str:
    """A short time: 42 ms, 1.30 s."""
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.2f} s"


def cut_short(answered: Answered, loaded: Loaded, most: int) -> str:
    """A sentence on why an answer that is not finished ends; "" for one that is."""
    if answered.finish != "length":
        return ""
    if loaded.context and answered.prompt_tokens + answered.tokens >= loaded.context:
        return f"The answer is cut: the model's context of {loaded.context} tokens is full."
    return f"The answer is cut after {most} tokens; --max-tokens sets another limit."


def stdin_text() -> str:
    """What comes in through a pipe.

    Raises:
        Failure: nothing does.
    """
    text = "" if sys.stdin.isatty() else sys.stdin.read().strip()
    if not text:
        raise Failure("the prompt is missing", remedy="give it as the last argument, in quotes, or through a pipe")
    return text
