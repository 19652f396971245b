"""What `bakehouse --help` and `bakehouse VERB --help` print: made from the table of verbs and from each command's options."""

from __future__ import annotations

import argparse
import importlib
import shutil
import textwrap
from collections.abc import Iterator

from bakehouse.app.verbs import ALONE, OF_DOIT, OF_TASKS, VERBS, Verb

# Of doit's own options those that mean something here, in our words; the others are left to `doit`.
_DOITS = {
    "continue": ("-c, --continue", "after a build has failed, go on with the others"),
    "num_process": ("-n N", "run up to N steps at once, as far as memory allows"),
    "quiet": ("-q, --quiet", "print names only"),
}
_WIDEST = 100


def of_all() -> str:
    """The list of all verbs."""
    width = max(len(verb.name) for verb in VERBS)
    return "\n".join(
        (
            "usage: bakehouse COMMAND [...]",
            "",
            "Recipes in, validated model packages for AI PCs out. Recipes are read from ./recipes, results go to ./artifacts.",
            "",
            *(f"  {verb.name:{width}}  {verb.does}" for verb in VERBS),
            "",
            "`--untrusted`, after any command: recipes come from somebody else, and may read nothing outside their folder.",
            "`bakehouse COMMAND --help` explains one. Begin with `bakehouse init OWNER/NAME`.",
        )
    )


def of_verb(verb: Verb) -> str:
    """The usage of one verb that doit carries out, its options and examples."""
    if verb.name in ALONE:
        return with_examples(importlib.import_module(ALONE[verb.name]).parser(), verb.name).format_help()
    module, _, name = {**OF_DOIT, **OF_TASKS}[verb.name].partition(":")
    command = getattr(importlib.import_module(module), name)
    options = list(_options(command))
    lines = [f"usage: bakehouse {verb.name} {command.doc_usage or ''}".rstrip(), "", f"{verb.does[0].upper()}{verb.does[1:]}."]
    if options:
        width = max(len(flag) for flag, _ in options)
        lines += ["", *(line for flag, text in options for line in _row(flag, text, width))]
    if verb.examples:
        lines += ["", "examples:", *(f"  bakehouse {verb.name} {words}".rstrip() for words in verb.examples)]
    return "\n".join(lines)


def with_examples(parser: argparse.ArgumentParser, verb: str) -> argparse.ArgumentParser:
    """A parser whose help ends with the verb's examples."""
    examples = next(one.examples for one in VERBS if one.name == verb)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = "\n".join(["examples:", *(f"  bakehouse {verb} {words}".rstrip() for words in examples)])
    width = min(shutil.get_terminal_size().columns, _WIDEST)
    parser.description = textwrap.fill(parser.description or "", width)
    return parser


def _options(command: type) -> Iterator[tuple[str, str]]:
    """Flag and text of each option: ours, and those of doit that have words here."""
    base = next(one for one in command.__mro__ if one.__module__.startswith("doit."))
    for option in getattr(command, "cmd_options"):  # noqa: B009 (doit is untyped)
        if option["name"] in _DOITS:
            yield _DOITS[option["name"]]
        elif option not in getattr(base, "cmd_options"):  # noqa: B009
            value = "" if option["type"] is bool else f" {option['name'].upper()}"
            yield f"--{option['long']}{value}", option["help"]


def _row(flag: str, text: str, width: int) -> list[str]:
    start = f"  {flag:{width}}  "
    most = min(shutil.get_terminal_size().columns, _WIDEST)
    return textwrap.wrap(text, most, initial_indent=start, subsequent_indent=" " * len(start))
