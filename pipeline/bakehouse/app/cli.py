"""What all our doit commands share: options wherever they stand, failures in a sentence, one interrupt, what a narrow console shows."""

from __future__ import annotations

import difflib
import getopt
import signal
import sys
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from doit.cmd_base import Command
from doit.cmdparse import CmdParse, CmdParseError

from bakehouse.app.screen import JSON_HELP, escape_what_cannot_be_shown, is_unread, not_read, show
from bakehouse.errors import Failure
from bakehouse.text import sentence


def options_first(parser: CmdParse, words: list[str]) -> list[str]:
    """The words of a command line with its options before its names, which is where doit looks for them."""
    try:
        options, names = getopt.gnu_getopt(words, parser.get_short(), parser.get_long())
    except getopt.GetoptError as error:
        raise CmdParseError(_wrong(error, parser)) from None
    valued = {f"--{name[:-1]}" for name in parser.get_long() if name.endswith("=")}
    valued |= {f"-{letter}" for letter, colon in pairwise(f"{parser.get_short()} ") if colon == ":"}
    return [word for option, value in options for word in ((option, value) if option in valued else (option,))] + names


def _wrong(error: getopt.GetoptError, parser: CmdParse) -> str:
    """What is wrong with an option, and which one may be meant."""
    flags = [f"--{name.rstrip('=')}" for name in parser.get_long() if not name.startswith("no-")]
    typed = f"{'-' if len(error.opt) == 1 else '--'}{error.opt}"
    if "not recognized" not in error.msg:
        return sentence(error.msg)
    near = difflib.get_close_matches(typed, flags, 1, 0.6)
    return f"{typed} is not an option.{f' Did you mean {near[0]}?' if near else ''}"


def option(name: str, text: str, kind: type = str, default: Any = "") -> dict[str, object]:
    """An option of a command, as doit takes it; its parameter has `_` for `-`."""
    return {"name": name.replace("-", "_"), "long": name, "type": kind, "default": default, "help": text}


JSON = option("json", JSON_HELP, bool, False)


def warn(text: str) -> None:
    """Print a line where it does not get into what a script reads."""
    print(text, file=sys.stderr)


_WRONG_OPTION = 3  # as doit has it; 2 is that of a step that crashed


class Options:
    """Options of a command count wherever they stand: doit alone would take those after a name for names."""

    cmdparser: Any

    def parse_execute(self, in_args: list[str]) -> int:
        """Carry out the command that these words ask for."""
        try:
            return int(super().parse_execute(options_first(self.cmdparser, in_args)))  # type: ignore[misc]
        except CmdParseError as error:
            name = self.get_name()  # type: ignore[attr-defined]
            given = str(error).rpartition("invalid literal for int() with base 10: ")[2].strip()
            what = f"An option takes a whole number, and was given {given}." if "invalid literal" in str(error) else str(error)
            print(f"ERROR: {what} `bakehouse {name} --help` lists the options of `{name}`.", file=sys.stderr)
            return _WRONG_OPTION


def guarded(work: Callable[[], int], *, failed: int, as_json: bool = False) -> int:
    """The exit code of `work`: `failed` after a Failure, 130 after SIGTERM or Ctrl-C; a sentence says which, and no traceback.

    With `as_json` a Failure is also a JSON document on standard output.
    """
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:  # as behind nohup, or in a script's background
            signal.signal(number, _interrupt)
    try:
        code = work()
        sys.stdout.flush()
        return code
    except OSError as error:
        if not is_unread(error):
            raise
        return not_read()  # doit would show it as a fault of ours
    except Failure as failure:
        return show(failure, failed, as_json=as_json)
    except KeyboardInterrupt:
        print("interrupted; run it again: it goes on from the last complete step", file=sys.stderr)
        return 130
    finally:
        for number, handler in before.items():
            if signal.getsignal(number) is _interrupt:  # after an interrupt, both are ignored until the process ends
                signal.signal(number, handler)


def _interrupt(number: int, frame: object) -> None:
    # Once is enough: what follows only ends the children, and must not be broken off itself.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt


class Ours(Options, Command):  # type: ignore[misc]
    """A command that needs no tasks: a Failure is printed without a traceback and ends with exit code 1."""

    def execute(self, params: Any, args: list[str]) -> int:
        """Carry out the command; one whose usage has no names refuses them."""
        escape_what_cannot_be_shown()
        return guarded(lambda: self._checked(params, args), failed=1, as_json=bool(dict(params).get("json")))

    def _checked(self, params: Any, args: list[str]) -> int:
        if args and not self.doc_usage:
            raise Failure(f"`bakehouse {self.get_name()}` takes no names, and was given {', '.join(args)}", remedy="leave them out")
        return self._do(params, args)

    def _do(self, params: Any, args: list[str]) -> int:
        raise NotImplementedError
