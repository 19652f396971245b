"""Write the pages of docs/reference that come from the code: commands, fields of a recipe, the manifest.

python -m docs.scripts.reference     (or `make reference`); a test fails if a page is not what this would write
"""

from __future__ import annotations

import ast
import contextlib
import inspect
import io
import json
import os
import re
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from bakehouse.app import documents
from bakehouse.app.main import main as bakehouse
from bakehouse.app.verbs import VERBS
from bakehouse.package.manifest import PackageManifest
from bakehouse.recipe import schema
from bakehouse.records import Written
from tests.architectures import page as models

FOLDER = Path(__file__).resolve().parents[1] / "reference"
WIDTH = "80"
NOTICE = "<!-- Written by `make reference`: change the code, not this page. -->"


def pages() -> dict[str, str]:
    """Name and content of every page that comes from the code."""
    return {
        "commands.md": commands(),
        "fields.md": fields(),
        "json.md": json_documents(),
        "manifest.md": manifest(),
        "models.md": models.of_checkout(NOTICE),
        "manifest.schema.json": json.dumps(PackageManifest.model_json_schema(), indent=1, ensure_ascii=False) + "\n",
    }


def commands() -> str:
    """What `bakehouse --help` and `bakehouse VERB --help` print, a section each."""
    lines = [
        "# Commands",
        NOTICE,
        "`bakehouse COMMAND` works in any folder. It reads recipes from `./recipes` and writes to `./artifacts`, "
        "unless [environment variables](environment.md) name other folders. [Exit codes](exit-codes.md) are on a page of their own. "
        "In a checkout, [doit](doit.md) has the same commands.",
        "| command | what it does |\n|---|---|\n" + "\n".join(f"| [`{verb.name}`](#{verb.name}) | {verb.does} |" for verb in VERBS),
    ]
    for verb in VERBS:
        lines += [f"## {verb.name}", f"```text\n{_help(verb.name)}\n```"]
    return "\n\n".join(lines) + "\n"


def _help(verb: str) -> str:
    """What `bakehouse VERB --help` prints on a terminal of WIDTH columns."""
    printed = io.StringIO()
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = WIDTH
    try:
        with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):  # argparse ends the process after its help
            bakehouse([verb, "--help"])
    finally:
        os.environ.pop("COLUMNS") if before is None else os.environ.update(COLUMNS=before)
    return printed.getvalue().strip()


def fields() -> str:
    """Every field of a recipe, in a table for each part."""
    intro = (
        "A field without a default that is not required may be left out. `bakehouse schema` writes this table and a JSON Schema for "
        "editors next to your own recipes."
    )
    table = re.sub(r"^`([^`\n]+)`$", r"## `\1`", schema.field_table(), flags=re.MULTILINE)
    return f"# Fields of a recipe\n\n{NOTICE}\n\n{intro}\n\n{table}"


def manifest() -> str:
    """The models that `bakehouse.json` consists of, a table each."""
    lines = [
        "# The manifest of a package",
        NOTICE,
        "`bakehouse.json` is in every package. It says what the package is, how it was made and what has been shown of it. "
        "Its JSON Schema is [manifest.schema.json](manifest.schema.json). `build` is the recipe's build with every default spelled out: "
        "its parts have the [fields of a recipe](fields.md).",
        "A reader must accept fields that it does not know: `bakehouse check` does, and so an older Bakehouse checks a newer package. "
        "Packages of early versions have the same content in `manifest.json`.",
    ]
    for model in _models(PackageManifest):
        lines += [f"## {model.__name__}", *_docs(model), *_table(model)]
    return "\n\n".join(lines) + "\n"


def json_documents() -> str:
    """The models of what `--json` prints, a table each."""
    lines = [
        "# Documents of --json",
        NOTICE,
        "`list`, `plan`, `lint`, `check` (of the store and of a folder), `compare`, `doctor`, `support` and `deliver` print one JSON "
        "document with `--json`, and nothing else on standard output; [exit codes](exit-codes.md) stay the same. A command that cannot "
        "do its work prints [Refused](#refused) in place of its own document. `matrix` always prints JSON.",
        "A reader must accept fields that it does not know: a later version only adds some.",
    ]
    roots = (
        documents.Listing,
        documents.Planned,
        documents.Linted,
        documents.CheckedStore,
        documents.CheckedPackage,
        documents.DeliveredFolder,
        documents.Deliveries,
    )
    models = dict.fromkeys(
        one
        for root in (*roots, documents.Compared, documents.Searched, documents.Examined, documents.SupportedModels, documents.Refused)
        for one in _models(root)
    )
    for model in models:
        lines += [f"## {model.__name__}", *_docs(model), *_table(model)]
    return "\n\n".join(lines) + "\n"


def _models(model: type[BaseModel]) -> list[type[Written]]:
    """A model and all that is written as part of it, in the order of the fields that name them."""
    found: dict[type[Written], None] = {}

    def see(one: type[BaseModel]) -> None:
        if issubclass(one, Written) and one not in found:
            found[one] = None
            for info in one.model_fields.values():
                for part in _classes(info.annotation):
                    see(part)

    see(model)
    return list(found)


def _classes(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _classes(part)


def _docs(model: type[BaseModel]) -> Iterable[str]:
    """The docstring's paragraphs, without its list of fields, which the table has."""
    text = inspect.cleandoc(model.__doc__ or "").partition("\nAttributes:")[0]
    return [" ".join(part.split()) for part in text.split("\n\n") if part.strip()]


def _table(model: type[BaseModel]) -> Iterable[str]:
    notes = _comments(model) | _attributes(model)
    rows = [
        f"| `{name}` | {_type(info)} | {_presence(info)} | {notes.get(name, '')} |" for name, info in model.model_fields.items()
    ]  # fmt: skip
    return ["| field | type | default | |\n|---|---|---|---|\n" + "\n".join(rows)]


def _comments(model: type[BaseModel]) -> dict[str, str]:
    """The comment at the end of each field's lines."""
    source = textwrap.dedent(inspect.getsource(model))
    lines = source.splitlines()
    (tree,) = ast.parse(source).body
    assert isinstance(tree, ast.ClassDef)
    found: dict[str, str] = {}
    for node in tree.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.end_lineno and node.end_col_offset is not None:
            rest = lines[node.end_lineno - 1].encode()[node.end_col_offset :].decode()
            found[node.target.id] = rest.partition("#")[2].strip()
    return {name: f"{text[0].upper()}{text[1:]}." for name, text in found.items() if text}


def _attributes(model: type[BaseModel]) -> dict[str, str]:
    """The fields that the docstring describes under `Attributes:`."""
    listed = inspect.cleandoc(model.__doc__ or "").partition("\nAttributes:\n")[2]
    found = re.findall(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", listed, re.MULTILINE)
    return {name: " ".join(f"{text[0].upper()}{text[1:]}".split()) for name, text in found}


def _type(info: FieldInfo) -> str:
    """A field's type in the words of a JSON file."""
    return _named(info.annotation)


def _named(annotation: Any) -> str:
    plain = {str: "text", int: "whole number", float: "number", bool: "`true` or `false`", type(None): "null", Any: "anything"}
    if annotation in plain:
        return plain[annotation]
    arguments = get_args(annotation)
    name = getattr(annotation, "__name__", str(annotation))
    if getattr(annotation, "__origin__", None) is tuple:
        return f"list of {_named(arguments[0])}"
    if getattr(annotation, "__origin__", None) is dict:
        return "mapping" if "JsonValue" in str(arguments[1]) else f"mapping of names to {_named(arguments[1])}"
    if name == "datetime":
        return "time, ISO 8601"
    if isinstance(annotation, type) and issubclass(annotation, Written):
        return f"[{name}](#{name.lower()})"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return name
    if "Literal" in str(annotation):
        return " or ".join(f"`{value}`" for value in arguments)
    return " or ".join(_named(part) for part in arguments)


def _presence(info: FieldInfo) -> str:
    if info.is_required():
        return "always present"
    default = info.get_default(call_default_factory=True, validated_data={})
    if default in (None, (), {}, ""):
        return ""
    return "" if isinstance(default, BaseModel) else f"`{json.dumps(default)}`"


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8", newline="\n")
        print(FOLDER / name)


if __name__ == "__main__":
    main()
