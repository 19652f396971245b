"""Reading recipes: what loads, and every error to the letter, with the input that provokes it."""

from __future__ import annotations

import ast
import random
import re
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml
from inline_snapshot import snapshot

from bakehouse.errors import Failure
from bakehouse.recipe import field_paths
from bakehouse.recipe import yaml_errors as syntax
from bakehouse.recipe import yaml_tree as document
from bakehouse.recipe.loader import RecipeErrors, load, load_all
from bakehouse.recipe.recipe import Recipe
from bakehouse.text import sentence

pytestmark = pytest.mark.needs_backend("npu_library", "onnxruntime", "onnxruntime_genai", "openvino", "openvino_npu")

ROOT = Path(__file__).parents[2]
CASES = Path(__file__).parent / "recipe_errors.txt"
BASE = """\
schema_version: 1
name: tiny
description: A model for tests
source:
  type: huggingface
  repo: owner/tiny
  revision: f39ac1d28e925b323eae81227eaba4464caced4e
  license: mit
golden:
  - prompt: What is the capital of France?
    contains: [Paris]
builds:
  int4:
    runtime: openvino
    quantization: {weights: int4, ratio: 0.6}
"""


class Case(NamedTuple):
    """A change to BASE, in whole lines, and what is said of it."""

    title: str
    old: str
    new: str
    said: str


def cases() -> tuple[Case, ...]:
    """tests/recipe/recipe_errors.txt: `#### title`, the lines taken out (`- `) and put in (`+ `), `====`, the error."""
    parts = re.split(r"^#### ", CASES.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    return tuple(map(_case, parts))


def _case(part: str) -> Case:
    edit, said = part.split("====\n", 1)
    title, *lines = edit.splitlines()
    old = "".join(f"{line[2:]}\n" for line in lines if line.startswith("- "))
    new = "".join(f"{line[2:]}\n" for line in lines if line.startswith("+ "))
    return Case(title, old, new, said.rstrip("\n"))


def said(folder: Path) -> str:
    """What loading the recipes of `folder` is refused with, paths relative to it."""
    with pytest.raises(RecipeErrors) as caught:
        load_all(folder)
    return str(caught.value).replace(f"{folder.as_posix()}/", "").replace(r"C:\models\tiny, and a relative one with", "/models/tiny, with")


@pytest.fixture
def recipes(tmp_path: Path) -> Path:
    folder = tmp_path / "recipes"
    folder.mkdir()
    return folder


def test_the_recipe_that_the_errors_are_made_from_is_right(recipes: Path) -> None:
    (recipes / "tiny.yaml").write_text(BASE, encoding="utf-8", newline="\n")
    (loaded,) = load_all(recipes)
    assert (loaded.path, loaded.text, loaded.recipe.name) == (recipes / "tiny.yaml", BASE, "tiny")


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.title)
def test_an_error_is_reported_to_the_letter(case: Case, recipes: Path, request: pytest.FixtureRequest) -> None:
    assert BASE.count(case.old) == 1
    (recipes / "tiny.yaml").write_text(BASE.replace(case.old, case.new), encoding="utf-8")
    now = said(recipes)
    if request.config.getoption("--update") and now != case.said:
        _update(case, now)
    else:
        assert now == case.said


def _update(case: Case, now: str) -> None:
    """Write what is said now into the file of cases; the diff is for a person to read."""
    text = CASES.read_text(encoding="utf-8")
    head = text.index(f"#### {case.title}\n")
    begin = text.index("====\n", head) + len("====\n")
    end = text.find("\n#### ", begin)
    CASES.write_text(text[:begin] + now + "\n" + (text[end:] if end >= 0 else ""), encoding="utf-8")


def test_every_reason_of_every_rule_has_an_input_that_provokes_it() -> None:
    text = CASES.read_text(encoding="utf-8")
    models = dict.fromkeys(model for _, model, _, _ in field_paths.walk(Recipe))
    reasons = [reason for model in models for reason in (*(rule.reason for rule in model.rules), *model.elsewhere.values())]
    assert [reason for reason in reasons if sentence(reason) not in text] == []
    assert len(reasons) > 40


# Said of files that are not made by changing lines of BASE; RAW below has them.
OTHERWISE = {" bytes, and a recipe may have at most ", "The file starts with a byte order mark.", "The file is UTF-16.", " is not UTF-8."}
OTHERWISE |= {"A control character is not allowed here.", "This is nested more than "}


@pytest.mark.parametrize(
    "module",
    [
        "recipe/types",
        "backends/openvino/options",
        "backends/onnxruntime_genai/options",
        "recipe/publish",
        "recipe/recipe",
        "recipe/fits",
        "recipe/source",
        "recipe/search",
        "recipe/yaml_tree",
        "recipe/yaml_errors",
    ],
)
def test_every_refusal_in_the_source_has_an_input_that_provokes_it(module: str) -> None:
    text = CASES.read_text(encoding="utf-8")
    calls = [
        node
        for node in ast.walk(ast.parse((ROOT / f"pipeline/bakehouse/{module}.py").read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
    ]
    names = ("refusal", "Problem", "refuse", "Fault")
    refusals = [call for call in calls if getattr(call.func, "id", getattr(call.func, "attr", "")) in names]
    pieces = [max(_literals(call), key=len, default="") for call in refusals]
    assert [piece for piece in pieces if not {piece, piece[:1].upper() + piece[1:]} & OTHERWISE and not _in(piece, text)] == []
    assert pieces


def test_every_complaint_about_syntax_has_an_input_that_provokes_it() -> None:
    text = CASES.read_text(encoding="utf-8")
    assert [what for _, what, _ in syntax.WORDS if what not in text] == []


def _in(piece: str, text: str) -> bool:
    """Whether a fixed piece of an error is in the text; at its beginning it gets a capital letter."""
    return piece in text or piece[:1].upper() + piece[1:] in text


def _literals(call: ast.Call) -> list[str]:
    """The fixed pieces of the texts that a refusal says; the remedy aside."""
    texts = [argument for argument in call.args if isinstance(argument, ast.Constant | ast.JoinedStr)][:1]
    return [node.value for text in texts for node in ast.walk(text) if isinstance(node, ast.Constant) and isinstance(node.value, str)]


GAP = "\N{REPLACEMENT CHARACTER}"
START = "help: Start it with `schema_version: 1` and `name: ...`."
RAW = {
    "an empty file": (b"", f"tiny.yaml:1:1: The file is empty.\n{START}"),
    "a file of a comment": (b"# soon\n", f"tiny.yaml:1:1: The file is empty.\n  1 | # soon\n    | ^\n{START}"),
    "a list": (b"- name: tiny\n", f"tiny.yaml:1:1: A recipe must be a mapping of fields.\n  1 | - name: tiny\n    | ^\n{START}"),
    "a text": (b"tiny\n", f"tiny.yaml:1:1: A recipe must be a mapping of fields.\n  1 | tiny\n    | ^^^^\n{START}"),
    "nothing written out": (b"~\n", "tiny.yaml:1:1: The file has no value.\n  1 | ~\n    | ^\nhelp: Write something here."),
    "a byte order mark": (
        b"\xef\xbb\xbfname: tiny\n",
        "tiny.yaml:1:1: The file starts with a byte order mark.\nhelp: Save it as UTF-8 without BOM.",
    ),
    "UTF-16": ("name: tiny\n".encode("utf-16"), "tiny.yaml:1:1: The file is UTF-16.\nhelp: Save it as UTF-8 without BOM."),
    "Latin-1": (
        "name: tiny\ndescription: Modèle\n".encode("latin-1"),
        f"tiny.yaml:2:17: The byte 0xe8 is not UTF-8.\n  2 | description: Mod{GAP}le\n    |                 ^\n"
        "help: Save the file as UTF-8.",
    ),
    "a null byte": (
        b"name: tiny\ndescription: a\x00b\n",
        f"tiny.yaml:2:15: A control character is not allowed here.\n  2 | description: a{GAP}b\n    |               ^\n"
        "help: Remove it, or write it as an escape in double quotes.",
    ),
    "a file too large": (
        b"# " + b"x" * 262_143,
        "tiny.yaml:1:1: The file has 262,145 bytes, and a recipe may have at most 262,144.\nhelp: Check that it is a recipe.",
    ),
    "a file too deep": (
        b"name: " + b"[" * 24 + b"\n",
        f"tiny.yaml:1:30: This is nested more than 24 levels deep.\n  1 | name: {'[' * 24}\n    | {' ' * 29}^\n"
        "help: A recipe has at most seven.",
    ),
}


@pytest.mark.parametrize(("raw", "expected"), RAW.values(), ids=RAW.keys())
def test_what_is_not_a_recipe_at_all_is_refused(raw: bytes, expected: str, recipes: Path) -> None:
    (recipes / "tiny.yaml").write_bytes(raw)
    assert said(recipes) == f"{expected}\n\n1 error in 1 recipe."


def test_a_million_brackets_are_refused_at_once(recipes: Path) -> None:
    (recipes / "tiny.yaml").write_bytes(b"[" * 262_144)
    assert said(recipes).startswith("tiny.yaml:1:25: This is nested more than 24 levels deep.\n")


def test_all_errors_of_all_files_come_in_order(recipes: Path) -> None:
    (recipes / "b.yaml").write_text(
        BASE.replace("name: tiny", "name: b").replace("license: mit", "license: ''").replace("[Paris]", "Paris"), encoding="utf-8"
    )
    (recipes / "a.yaml").write_text(BASE.replace("name: tiny", "name: a").replace("int4, ratio", "int8, ratio"), encoding="utf-8")
    (recipes / "c.yml").write_text(BASE, encoding="utf-8")
    assert said(recipes) == snapshot(
        """\
a.yaml:15:35: int8 puts all weights in 8 bits with one scale a channel; ratio does not apply.
  15 |     quantization: {weights: int8, ratio: 0.6}
     |                                   ^^^^^
help: Leave it out.

b.yaml:8:12: `` is not a valid SPDX identifier.
  8 |   license: ''
    |            ^^
help: Write one as in MIT or Apache-2.0, or LicenseRef-NAME for a licence that is not on the list.

b.yaml:11:15: `contains` must be a list, not the text `Paris`.
  11 |     contains: Paris
     |               ^^^^^
help: Write a list of one, [Paris]. Texts that the answer must contain, all of them.

c.yml:1:1: The name of a recipe's file ends with .yaml, not with .yml.
help: Rename it to c.yaml.

4 errors in 3 recipes.\
"""
    )


def test_the_name_of_a_recipe_is_the_name_of_its_file(recipes: Path) -> None:
    (recipes / "small.yaml").write_text(BASE, encoding="utf-8")
    assert said(recipes) == snapshot(
        """\
small.yaml:2:7: The recipe in small.yaml is called `tiny`.
  2 | name: tiny
    |       ^^^^
help: Call it small, or rename the file.

1 error in 1 recipe.\
"""
    )


def test_one_file_may_be_read_under_any_name(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(BASE, encoding="utf-8")
    assert load(path).name == "tiny"


def test_two_builds_of_one_full_name_are_refused(recipes: Path) -> None:
    (recipes / "a.yaml").write_text(BASE.replace("name: tiny", "name: a").replace("  int4:", "  b-c:"), encoding="utf-8")
    (recipes / "a-b.yaml").write_text(BASE.replace("name: tiny", "name: a-b").replace("  int4:", "  c:"), encoding="utf-8")
    assert said(recipes) == snapshot(
        """\
a.yaml:13:3: Another build is called `a-b-c` too.
  13 |   b-c:
     |   ^^^
help: Rename one; the other is at a-b.yaml:13:3.

1 error in 1 recipe.\
"""
    )


def test_an_editors_files_are_left_alone(recipes: Path) -> None:
    (recipes / "tiny.yaml").write_text(BASE, encoding="utf-8")
    (recipes / ".#tiny.yaml").symlink_to(recipes / "gone")
    (recipes / "texts.txt").write_text("not a recipe", encoding="utf-8")
    assert len(load_all(recipes)) == 1


def test_line_ends_of_windows_are_read(recipes: Path) -> None:
    (recipes / "tiny.yaml").write_bytes(BASE.replace("\n", "\r\n").replace("mit", "m!t").encode())
    assert said(recipes).startswith("tiny.yaml:8:12: `m!t` is not a valid SPDX identifier.\n  8 |   license: m!t\n    |            ^^^\n")


def test_no_folder_of_recipes_is_a_failure_that_says_where_to_set_it(tmp_path: Path) -> None:
    remedy = "Write a recipe there, or set PIPELINE_RECIPES to the folder with the recipes."
    gone, empty, file = tmp_path / "gone", tmp_path / "empty", tmp_path / "file"
    empty.mkdir()
    file.write_text("", encoding="utf-8")
    for folder, what in (
        (gone, "The folder of recipes does not exist."),
        (empty, "The folder has no recipes."),
        (file, "It is not a folder."),
    ):
        with pytest.raises(Failure) as caught:
            load_all(folder)
        assert str(caught.value) == f"{folder}: {what}\n  what to do: {remedy}"


def test_a_file_that_cannot_be_read_hides_no_other_error(recipes: Path) -> None:
    (recipes / "a.yaml").mkdir()
    (recipes / "tiny.yaml").write_text(BASE.replace("mit", "m!t"), encoding="utf-8")
    assert said(recipes).replace("Permission denied", "Is a directory") == snapshot(
        """\
a.yaml:1:1: The recipe cannot be read: Is a directory.
help: Check that it is a file that you may read.

tiny.yaml:8:12: `m!t` is not a valid SPDX identifier.
  8 |   license: m!t
    |            ^^^
help: Write one as in MIT or Apache-2.0, or LicenseRef-NAME for a licence that is not on the list.

2 errors in 2 recipes.\
"""
    )


def test_a_recipe_is_not_advised_to_take_a_name_that_none_may_have(recipes: Path) -> None:
    (recipes / "T.yaml").write_text(BASE, encoding="utf-8")
    assert "help: Rename the file to tiny.yaml.\n" in said(recipes)


def test_the_shipped_recipes_load() -> None:
    names = {loaded.recipe.name: tuple(loaded.recipe.builds) for loaded in load_all(ROOT / "recipes")}
    openvino = ("int4-openvino", "int8-openvino", "fp16-openvino")
    onnx = ("int4-ort-cpu", "int4-ort-directml", "fp16-ort-directml")
    assert names["phi3"][:6] == (*openvino, *onnx)
    assert names["smollm2"][:3] == ("int4-openvino", "int8-openvino", "int4-ort-cpu")


def test_the_shipped_recipes_name_the_schema_next_to_them() -> None:
    for loaded in load_all(ROOT / "recipes"):
        assert loaded.text.startswith("# yaml-language-server: $schema=recipe.schema.json\n")


PIECES = (
    "\n",
    " ",
    "  ",
    "\t",
    ":",
    ": ",
    "-",
    "- ",
    "[",
    "]",
    "{",
    "}",
    ",",
    "&a ",
    "*a",
    "!!str ",
    "<<: ",
    "? ",
    "|",
    ">",
    "'",
    '"',
    "#",
    "%",
    "@",
    "`",
    "~",
)
PIECES += (
    "null",
    "no",
    "true",
    "0x1f",
    "1e9",
    ".nan",
    "\\ud800",
    "\x00",
    "\x85",
    "\u2028",
    "é",
    "🏳️",
    "---\n",
    "...\n",
    "{{ x }}",
    "weights",
    "fp16",
    "type",
    "-1",
    "9" * 30,
)


def mutated(text: str, chance: random.Random) -> str:
    """The text with a few cuts, doubles and insertions."""
    for _ in range(chance.randint(1, 4)):
        start = chance.randrange(len(text) + 1)
        end = min(len(text), start + chance.choice((0, 1, 3, 20)))
        put = chance.choice((*PIECES, "", text[start:end] * 2, text[end : end + 30]))
        text = text[:start] + put + text[end:]
    return text


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.whole) for seed in (1, 2, 3))])
def test_whatever_a_recipe_says_it_loads_or_is_refused_with_its_lines(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    texts = [path.read_text(encoding="utf-8") for path in sorted((ROOT / "recipes").glob("*.yaml"))]
    path = tmp_path / "recipe.yaml"
    refused = 0
    for _ in range(250):
        text = mutated(chance.choice(texts), chance)
        path.write_bytes(text.encode(errors="replace"))
        try:
            assert isinstance(load(path), Recipe)
        except RecipeErrors as errors:
            refused += 1
            assert errors.diagnostics
            for diagnostic in errors.diagnostics:
                assert str(diagnostic).startswith(f"{path.as_posix()}:")
                assert str(diagnostic).replace("\n", "").isprintable() or "\N{ZERO WIDTH JOINER}" in text
    assert 100 < refused < 250


@pytest.mark.skipif(not hasattr(yaml, "CSafeLoader"), reason="PyYAML was built without libyaml")
def test_both_parsers_read_the_same_of_what_both_take() -> None:
    compared = 0
    for text in (BASE, *(BASE.replace(case.old, case.new) for case in cases())):
        try:
            trees = [document._Builder(text).filled(loader) for loader in (yaml.CSafeLoader, yaml.SafeLoader)]
        except (yaml.YAMLError, document._TooDeep):
            continue
        fast, slow = trees
        compared += 1
        if "!!!" not in text:  # where such a tag ends is another question to each of them
            assert (repr(fast.root), fast.problems) == (repr(slow.root), slow.problems)
    assert compared > 200


def test_a_question_mark_in_a_flow_list_is_text(recipes: Path) -> None:
    (recipes / "tiny.yaml").write_text(BASE.replace("[Paris]", "[Pa?ris]"), encoding="utf-8")
    (loaded,) = load_all(recipes)
    assert loaded.recipe.golden[0].contains == ("Pa?ris",)
