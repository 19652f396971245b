"""`bakehouse chat`: a conversation with a package, on a terminal or one line a turn through a pipe."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import closing, suppress

from bakehouse.app import running
from bakehouse.app.screen import escape_what_cannot_be_shown
from bakehouse.inference.runner import Declined, Runner
from bakehouse.tasks.text_generation.workers.jobs import Answered

_HELP = "/reset forgets the conversation, /quit or Ctrl-D ends it, Ctrl-C stops an answer."
_PROMPT = "> "


def parser() -> argparse.ArgumentParser:
    """The arguments of `chat`."""
    made = running.parser("chat", f"Talk with a package in its own runtime; it remembers the conversation. {_HELP}")
    running.add_answer_options(made)
    return made


def run(given: argparse.Namespace) -> int:
    """Answer every line until the input ends.

    Raises:
        Failure: the package cannot be run.
    """
    escape_what_cannot_be_shown()
    first = [{"role": "system", "content": given.system}] if given.system is not None else []
    with running.loaded(running.package(given.package, given.device), given.device) as runner:
        on_terminal = sys.stdin.isatty()
        if on_terminal:
            print(f"{runner.name} on {runner.loaded.device}. {_HELP}", file=sys.stderr)
        history = list(first)
        for line in _lines(on_terminal):
            match line.strip():
                case "":
                    continue
                case "/quit":
                    break
                case "/reset":
                    history = list(first)
                    print("The conversation is forgotten.", file=sys.stderr)
                case word if word.startswith("/") and word.lstrip("/").isalpha():
                    print(f"{word} is not a command. {_HELP}", file=sys.stderr)
                case text:
                    history = _turn(runner, given, history, text, on_terminal)
    return 0


def _lines(on_terminal: bool) -> Iterator[str]:
    """What is typed, or comes through a pipe, line by line; Ctrl-C at an empty prompt says how to leave."""
    if not on_terminal:
        yield from sys.stdin
        return
    with suppress(ImportError):  # Windows' own console does what it does
        import readline  # noqa: F401 (has `input` edit and remember lines)
    while True:
        try:
            yield input(_PROMPT)
        except EOFError:
            print(file=sys.stderr)
            return
        except KeyboardInterrupt:
            print(f"\n{_HELP}", file=sys.stderr)


def _turn(runner: Runner, given: argparse.Namespace, history: list[dict[str, str]], text: str, on_terminal: bool) -> list[dict[str, str]]:
    """Print the answer to a line as it comes; the conversation with both, or as it was if the model does not take it.

    An answer that is stopped stays in the conversation as far as it came.
    """
    asked = [*history, {"role": "user", "content": text}]
    answer = ""
    try:
        with closing(runner.stream(running.job(given, messages=asked))) as stream:
            for piece in stream:
                if isinstance(piece, Answered):
                    _after(piece, runner, given, on_terminal)
                else:
                    answer += piece
                    print(piece, end="", flush=True)
    except KeyboardInterrupt:
        if not on_terminal:
            raise
        print("\nThe answer is stopped.", file=sys.stderr)
    except Declined as declined:
        print(f"{declined}\n  what to do: /reset forgets the conversation, or write less.", file=sys.stderr)
        return history
    return [*asked, {"role": "assistant", "content": answer}]


def _after(answered: Answered, runner: Runner, given: argparse.Namespace, on_terminal: bool) -> None:
    print(flush=True)
    if cut := running.cut_short(answered, runner.loaded, given.max_tokens):
        print(cut, file=sys.stderr)
    if on_terminal and answered.tokens_per_s:
        speed = f"{answered.tokens_per_s:.1f} tokens/s, the first after {running.seconds_text(answered.first_token_s)}"
        print(f"\033[2m{answered.tokens} tokens, {speed}\033[0m", file=sys.stderr)
