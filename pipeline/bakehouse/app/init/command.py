"""`bakehouse init SOURCE`: from a model to a recipe and the next command."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.prompt import Prompt

from bakehouse.app.init import bounds, fit, kinds, origin, text
from bakehouse.app.init.kinds import PROMPT, WORD
from bakehouse.app.init.origin import Origin
from bakehouse.app.init.text import Draft
from bakehouse.app.workspace import artifacts_folder, recipes_folder
from bakehouse.backends.table import BACKENDS
from bakehouse.errors import Failure
from bakehouse.executor.process import Children
from bakehouse.executor.session import Session
from bakehouse.recipe.kinds import DEFAULT_TASK
from bakehouse.recipe.spdx import UNSTATED
from bakehouse.recipe.types import may_be_named, quoted
from bakehouse.store import files
from bakehouse.store.store import Store


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The words of the command line."""
    parser.add_argument("source", metavar="SOURCE", help="a hub repository (owner/name or address), a checkpoint folder, a .gguf file")
    parser.add_argument("--runtime", action="append", choices=_proposing(), help="only builds for this runtime (as often as you like)")
    parser.add_argument("--name", help="the recipe's name (default: from the model's)")
    parser.add_argument("--prompt", help=f"a prompt that every build must answer rightly (default: {PROMPT!r})")
    parser.add_argument("--contains", help=f"what the answer to it must contain (default: {WORD!r})")
    parser.add_argument("--audio", metavar="FILE", help="of a speech model: a WAV file that every build must write down as the source does")
    parser.add_argument(
        "--picture", metavar="FILE", help="of a vision-language model: a PNG or JPEG file that every build must answer a prompt about"
    )
    parser.add_argument("--bounds", action="store_true", help="SOURCE is a build that is made: propose bounds from its measured fidelity")
    parser.add_argument("--yes", action="store_true", help="ask nothing, also on a terminal")


def run(given: argparse.Namespace, children: Children) -> int:
    """Look at the source, write the recipe, and say what to type next.

    Raises:
        Failure: the source is not a model that a recipe can name, no build fits it, or the recipe exists.
    """
    if given.bounds:
        return bounds.run(given.source)
    if (given.prompt is None) != (given.contains is None):
        raise Failure("A prompt proves nothing without the text that its answer must contain.", remedy="Give both --prompt and --contains.")
    recipes, session = recipes_folder(), Session(Store(artifacts_folder()), children)
    found = origin.find(given.source, recipes, session)
    print(f"{found.title}: {_source(found)}")
    name, runtimes = _answers(given, found, recipes)
    golden = kinds.golden(found.task, given, found.chat, recipes)
    draft = fit.fitted(Draft(name, found, golden, ()), recipes, runtimes, session)
    path = recipes / f"{name}.yaml"
    files.write(path, text.recipe(draft))
    _closing(path, draft)
    return 0


def _proposing(task: str = DEFAULT_TASK) -> tuple[str, ...]:
    """The runtimes that have builds for a new recipe of a task."""
    return tuple(runtime for runtime, backend in BACKENDS.items() if fit.proposed(backend.proposals(None), task))


def _source(found: Origin) -> str:
    source = found.source
    where = f"{source.repo} at {source.revision[:12]}" if source.type == "huggingface" else getattr(source, "path", "")
    return f"{where}, licence {'not stated' if source.license == UNSTATED else source.license_name or source.license}"


def _answers(given: argparse.Namespace, found: Origin, recipes: Path) -> tuple[str, Sequence[str]]:
    """The recipe's name and the runtimes: as given, else asked for on a terminal, else the usual.

    Raises:
        Failure: the name is none, or taken.
    """
    asks = sys.stdin.isatty() and sys.stdout.isatty() and not given.yes
    able = _proposing(found.task)
    runtimes = given.runtime or (_ask_runtimes(able) if asks and len(able) > 1 else able)
    if unable := [runtime for runtime in runtimes if runtime not in able]:
        raise Failure(f"{unable[0]} makes no models for {found.task} here.", remedy=f"Name {' or '.join(able)}.")
    name = given.name or (Prompt.ask("Name of the recipe", default=found.name) if asks else found.name)
    if not may_be_named(name):
        raise Failure(f"{quoted(name)} cannot be a recipe's name.", remedy="Use lower-case letters, digits, `.`, `_` and `-`.")
    if (recipes / f"{name}.yaml").exists():
        raise Failure(f"{recipes / name}.yaml exists.", remedy="Edit it, or give another --name.")
    return name, runtimes


def _ask_runtimes(known: Sequence[str]) -> Sequence[str]:
    said = Prompt.ask(f"Runtimes ({', '.join(known)})", default="all")
    wanted = known if said.strip() == "all" else tuple(said.replace(",", " ").split())
    if unknown := [one for one in wanted if one not in known]:
        raise Failure(f"{quoted(unknown[0])} is not a runtime that init proposes builds for.", remedy=f"Name some of {', '.join(known)}.")
    return wanted


def _closing(path: Path, draft: Draft) -> None:
    print(f"wrote {path}")
    for proposal in draft.builds:
        print(f"  {draft.name}-{proposal.name}")
    for name, reason in draft.left_out:
        print(f"  left out: {name}: {reason}")
    first = f"{draft.name}-{draft.builds[0].name}"
    print(f"next: bakehouse build {first}")
