"""What there is to build, as text: the list of builds, and what to type next."""

from __future__ import annotations

from typing import Literal

from bakehouse.plan.plan import Build, Plan
from bakehouse.recipe.brief import brief
from bakehouse.store.store import Store
from bakehouse.text import count_text

_HINT = """
  bakehouse plan NAME...   what a build would do, and what it would take
  bakehouse build NAME     make one build, down to its package
  bakehouse build          make all that this machine can make
  bakehouse --help         all commands
"""


def builds(plan: Plan, store: Store) -> str:
    """Every build, one line each: its task, how it stands, what is done to the weights, what it is (or why it cannot be made here)."""
    rows = [(f"build:{one.name}", standing(one, store), _brief(one), _doc(one)) for one in plan.builds]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return "\n".join("  ".join((*(f"{text:{width}}" for text, width in zip(row, widths, strict=False)), row[3])) for row in rows)


def welcome(plan: Plan, store: Store) -> str:
    """The builds, and what to type next."""
    return f"{builds(plan, store)}\n{_HINT}"


def _brief(build: Build) -> str:
    return f"{count_text(len(build.members), 'build')} in one repository" if build.members else brief(build.resolved.options)


def standing(build: Build, store: Store) -> Literal["built", "-", "cannot"]:
    """How a build stands: in its place as its recipe is now, not made, or not to be made on this machine."""
    if store.is_exposed(build.package, build.name):
        return "built"
    return "-" if build.cannot is None else "cannot"


def _doc(build: Build) -> str:
    return f"not on this machine: {build.cannot}" if build.cannot else build.resolved.description
