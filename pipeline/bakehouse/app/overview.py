"""What there is to build, as text: the list of builds, and what to type next."""

from __future__ import annotations

import shutil
import sys
import textwrap
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from bakehouse.plan.plan import Build, Plan
from bakehouse.recipe.brief import brief
from bakehouse.records import Fidelity
from bakehouse.store import package_files
from bakehouse.store.store import Store
from bakehouse.text import count_text, figure_text

_LITTLE_ROOM, _BELOW = 30, "    "
_HINT = """
  bakehouse plan NAME...   what a build would do, and what it would take
  bakehouse build NAME     make one build, down to its package
  bakehouse build          make all that this machine can make
  bakehouse --help         all commands
"""


def builds(plan: Plan, store: Store, width: int | None = None) -> str:
    """Every build, one line each: its task, how it stands, its mean KL divergence, what is done to the weights, what it is.

    One that cannot be made here has the reason instead.

    In a window of `width` columns the last of these is wrapped by words: next to the others, or below them if little room is left.
    """
    rows = [(f"build:{one.name}", *_standing_and_kld(one, store), _brief(one), _doc(one)) for one in plan.builds]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    # without figures, no column is left empty
    heads = ["  ".join(f"{text:{wide}}" for text, wide in zip(row, widths, strict=False) if wide) for row in rows]
    return "\n".join(_wrapped(head, row[4], width) for head, row in zip(heads, rows, strict=True))


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


def fidelity(build: Build, store: Store) -> Fidelity | None:
    """What was measured of a build that is in its place; None if nothing was. The rest of its manifest is not read."""
    try:
        return _Measured.model_validate_json(package_files.file_in(store.package(build.name)).read_bytes()).fidelity
    except (OSError, ValidationError):
        return None


class _Measured(BaseModel):
    model_config = ConfigDict(defer_build=True)

    fidelity: Fidelity | None = None


def _standing_and_kld(build: Build, store: Store) -> tuple[str, str]:
    stands = standing(build, store)
    found = fidelity(build, store) if stands == "built" else None
    return stands, f"KLD {figure_text(found.figures.kl_mean.value)}" if found else ""


def _doc(build: Build) -> str:
    return f"not on this machine: {build.cannot}" if build.cannot else build.resolved.description
