"""What there is to build, as text: the list of builds, and what to type next."""

from __future__ import annotations

import shutil
import sys
import textwrap
from typing import Literal

from bakehouse.plan.plan import Build, Plan
from bakehouse.recipe.brief import brief
from bakehouse.store.store import Store
from bakehouse.text import count_text

_LITTLE_ROOM, _BELOW = 30, "    "
_HINT = """
  bakehouse plan NAME...   what a build would do, and what it would take
  bakehouse build NAME     make one build, down to its package
  bakehouse build          make all that this machine can make
  bakehouse --help         all commands
"""


def builds(plan: Plan, store: Store, width: int | None = None) -> str:
    """Every build, one line each: its task, how it stands, what is done to the weights, what it is (or why it cannot be made here).

    In a window of `width` columns the last of these is wrapped by words: next to the others, or below them if little room is left.
    """
    rows = [(f"build:{one.name}", standing(one, store), _brief(one), _doc(one)) for one in plan.builds]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    heads = ["  ".join(f"{text:{wide}}" for text, wide in zip(row, widths, strict=False)) for row in rows]
    return "\n".join(_wrapped(head, row[3], width) for head, row in zip(heads, rows, strict=True))


def _wrapped(head: str, text: str, width: int | None) -> str:
    if width is None or len(head) + 2 + len(text) <= width:
        return f"{head}  {text}"
    room = width - len(head) - 2
    if room >= _LITTLE_ROOM:
        return f"{head}  " + f"\n{' ' * (len(head) + 2)}".join(textwrap.wrap(text, room))
    return "\n".join((head.rstrip(), *textwrap.wrap(text, width, initial_indent=_BELOW, subsequent_indent=_BELOW)))


def window() -> int | None:
    """How many columns the terminal has; None if the output goes elsewhere, where lines are as long as what they say."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def welcome(plan: Plan, store: Store) -> str:
    """The builds, and what to type next."""
    return f"{builds(plan, store, window())}\n{_HINT}"


def _brief(build: Build) -> str:
    return f"{count_text(len(build.members), 'build')} in one repository" if build.members else brief(build.resolved.options)


def standing(build: Build, store: Store) -> Literal["built", "-", "cannot"]:
    """How a build stands: in its place as its recipe is now, not made, or not to be made on this machine."""
    if store.is_exposed(build.package, build.name):
        return "built"
    return "-" if build.cannot is None else "cannot"


def _doc(build: Build) -> str:
    return f"not on this machine: {build.cannot}" if build.cannot else build.resolved.description
