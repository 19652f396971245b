"""Reads recipes from YAML files, or raises every error of every file with its line. `recipe` defines what a recipe may say."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from bakehouse.errors import Failure
from bakehouse.recipe.fits import full_name
from bakehouse.recipe.locations import Diagnostic, Errors, Span
from bakehouse.recipe.messages import explain
from bakehouse.recipe.recipe import Recipe
from bakehouse.recipe.types import may_be_named, quoted
from bakehouse.recipe.yaml_errors import LINE_ENDS
from bakehouse.recipe.yaml_tree import Node, read
from bakehouse.text import sentence


class RecipeErrors(Errors):
    """All errors of all recipes."""


@dataclass(frozen=True)
class Loaded:
    """A recipe, its file, and the file's text and tree."""

    path: Path
    text: str
    recipe: Recipe
    root: Node = field(repr=False)

    def at(self, place: Iterable[str | int], what: str, help_: str) -> Diagnostic:
        """An error about the value at a place of the recipe, which must exist: names of fields and places in lists, from the top."""
        node = self.root
        for name in place:
            node = node.value[name] if isinstance(name, int) else node.value[name].node
        return _diagnostic(self.path, self.text, node.span, what, help_)

    def at_key(self, place: Iterable[str], what: str, help_: str) -> Diagnostic:
        """As `at`, about the field's name: if a value has many lines, its name shows better which is meant."""
        *before, last = place
        node = self.root
        for name in before:
            node = node.value[name].node
        return _diagnostic(self.path, self.text, node.value[last].key, what, help_)


@dataclass(frozen=True)
class _Read:
    """One file: its recipe, if it is valid, and what is wrong with it."""

    path: Path
    text: str
    root: Node | None
    recipe: Recipe | None
    diagnostics: tuple[Diagnostic, ...]

    def at(self, span: Span, what: str, help_: str) -> Diagnostic:
        return _diagnostic(self.path, self.text, span, what, help_)


def load(path: Path) -> Recipe:
    """The recipe in one file of any name; RecipeErrors if anything is wrong with it."""
    return _together([_read(path)])[0].recipe


def load_all(folder: Path) -> tuple[Loaded, ...]:
    """The recipes of all `*.yaml` files of a folder, by file name; files whose name starts with a dot belong to editors.

    RecipeErrors has the errors of all files; Failure means that no recipe was found.
    """
    remedy = "Write a recipe there, or set PIPELINE_RECIPES to the folder with the recipes."
    if not folder.is_dir():
        raise Failure(
            "The folder of recipes does not exist." if not folder.exists() else "It is not a folder.", where=str(folder), remedy=remedy
        )
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in (".yaml", ".yml") and not path.name.startswith("."))
    if not files:
        raise Failure("The folder has no recipes.", where=str(folder), remedy=remedy)
    read_ = [_read(path) for path in files]
    return _together(read_, [*(diagnostic for file in read_ for diagnostic in _misnamed(file)), *_clashes(read_)])


def _together(files: list[_Read], more: Iterable[Diagnostic] = ()) -> tuple[Loaded, ...]:
    diagnostics = [*(diagnostic for file in files for diagnostic in file.diagnostics), *more]
    if diagnostics:
        raise RecipeErrors(tuple(diagnostics))
    return tuple(
        Loaded(file.path, file.text, file.recipe, file.root) for file in files if file.recipe is not None and file.root is not None
    )


def _read(path: Path) -> _Read:
    if path.suffix != ".yaml":
        help_ = f"Rename it to {path.stem}.yaml."
        return _Read(
            path,
            "",
            None,
            None,
            (_diagnostic(path, "", Span(0, 0, 1), f"The name of a recipe's file ends with .yaml, not with {path.suffix}.", help_),),
        )
    try:
        raw = path.read_bytes()
    except OSError as error:
        what = f"The recipe cannot be read: {error.strerror}."
        return _Read(path, "", None, None, (_diagnostic(path, "", Span(0, 0, 1), what, "Check that it is a file that you may read."),))
    root, text, problems = read(raw)
    found = [_diagnostic(path, text, *problem) for problem in problems]
    if root is None or not isinstance(root.value, dict):
        if not found:
            what = "The file is empty." if root is None else "A recipe must be a mapping of fields."
            help_ = "Start it with `schema_version: 1` and `name: ...`."
            found.append(_diagnostic(path, text, root.span if root else Span(0, 0, 1), what, help_))
        return _Read(path, text, None, None, tuple(found))
    try:
        recipe = Recipe.model_validate_json(json.dumps(root.data))
    except ValidationError as error:
        explained = [explain(details, root) for details in error.errors(include_url=False)]
        found.extend(_diagnostic(path, text, *words) for words in explained if words is not None)
        return _Read(path, text, root, None, tuple(found))
    return _Read(path, text, root, None if found else recipe, tuple(found))


def _diagnostic(path: Path, text: str, span: Span, what: str, help_: str) -> Diagnostic:
    lines = LINE_ENDS.split(text)
    return Diagnostic(path, span, sentence(what), sentence(help_), lines[span.line] if span.line < len(lines) else "")


def _misnamed(file: _Read) -> Iterator[Diagnostic]:
    """The file and its recipe must have one name: a recipe is then found without opening every file, and names are unique."""
    entry = file.root.value.get("name") if file.root else None
    if entry is None or not isinstance(entry.node.value, str) or any(entry.node.span == reported.span for reported in file.diagnostics):
        return
    if entry.node.value != file.path.stem:
        name = quoted(entry.node.value)
        help_ = (
            f"Call it {file.path.stem}, or rename the file." if may_be_named(file.path.stem) else f"Rename the file to {name[1:-1]}.yaml."
        )
        yield file.at(entry.node.span, f"The recipe in {file.path.name} is called {name}.", help_)


def _clashes(files: list[_Read]) -> Iterator[Diagnostic]:
    first: dict[str, str] = {}
    for file in files:
        if file.recipe is None or file.root is None:
            continue
        for build in file.recipe.builds:
            name = full_name(file.recipe.name, build)
            span = file.root.value["builds"].node.value[build].key
            here = f"{file.path.as_posix()}:{span.line + 1}:{span.column + 1}"
            if name in first:
                yield file.at(span, f"Another build is called {quoted(name)} too.", f"Rename one; the other is at {first[name]}.")
            first.setdefault(name, here)
