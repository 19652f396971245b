"""The site: pages that come from the code are as the code is, links lead somewhere, and shell blocks are run to the letter."""

from __future__ import annotations

import ast
import re
import shutil
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest
import yaml

import dodo
from bakehouse.app.verbs import OF_DOIT, VERBS
from bakehouse.app.workspace import open_workspace
from bakehouse.backends.table import BACKENDS
from bakehouse.recipe import loader
from bakehouse.recipe.types import is_repository
from bakehouse.release import archive
from bakehouse.store import files
from bakehouse.toolchains.table import INSTALLED
from docs.scripts import reference, screen
from tests.app.test_init import model
from tests.formats.test_gguf_header import PLAIN, write
from tests.support import hub as hubs
from tests.support import pages, published
from tests.support.bench import ROOT, recipe
from tests.support.hub_write import Workshop
from tests.support.packed import pack

pytestmark = pytest.mark.needs_backend("openvino", "openvino_npu", "onnxruntime", "onnxruntime_genai", "npu_library")
DOCS = ROOT / "docs"
PACKAGE = ROOT / "pipeline" / "bakehouse"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
posix = pytest.mark.skipif(sys.platform == "win32", reason="they are lines for sh")


# --- pages that come from the code ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["commands.md", "fields.md", "json.md", "manifest.md", "manifest.schema.json"])
def test_a_page_that_comes_from_the_code_is_up_to_date(name: str) -> None:
    written = (DOCS / "reference" / name).read_text(encoding="utf-8")
    assert written == reference.pages()[name], "run `make reference`"


def test_no_other_page_claims_to_come_from_the_code() -> None:
    claiming = {path.name for path in DOCS.rglob("*.md") if reference.NOTICE in path.read_text(encoding="utf-8")}
    assert claiming == {name for name in reference.pages() if name.endswith(".md")}


def _named_in_code() -> set[str]:
    """Every environment variable of ours, and every other that the code reads."""
    found: set[str] = set()
    for path in PACKAGE.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        found |= set(re.findall(r"\b(?:PIPELINE|BAKEHOUSE)_[A-Z_]+[A-Z]\b", text))
        found |= set(re.findall(r"environ(?:\.get\(|\[|\.pop\(|\.setdefault\()[\"']([A-Z_]+)[\"']", text))
    return found


def test_every_environment_variable_is_in_the_table_and_no_other_of_ours() -> None:
    listed = set(re.findall(r"`([A-Z][A-Z_]+)`", (DOCS / "reference" / "environment.md").read_text(encoding="utf-8")))
    assert _named_in_code() - listed == set()
    assert {name for name in listed if name.startswith(("PIPELINE_", "BAKEHOUSE_"))} <= _named_in_code()


def test_the_screen_shows_what_stays_on_a_terminal() -> None:
    live = "\x1b[?25l\rworking 1 s\r\x1b[2Kworking 2 s\r\n\r\x1b[1A\x1b[2K\x1b[32mok\x1b[0m\r\ndone\r\n\x1b[?25h"
    assert screen.shown(live) == ["\x1b[32mok\x1b[0m", "done"]
    assert "<svg" in (DOCS / "screen.svg").read_text(encoding="utf-8")


# --- the site ------------------------------------------------------------------------------------------------------


def _texts(node: object) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    for part in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from _texts(part)


def test_every_page_is_in_the_navigation() -> None:
    settings = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    named = list(_texts(settings["nav"]))
    assert sorted(named) == sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))
    assert settings["strict"] is True


def _anchors(page: Path) -> set[str]:
    heads = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S), re.M)
    return {re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", head).strip().lower()) for head in heads}


@pytest.mark.parametrize("page", pages.pages(), ids=lambda page: page.as_posix())
def test_every_link_of_a_page_leads_to_a_file_and_a_heading(page: Path) -> None:
    text = re.sub(r"^```.*?^```$|`[^`\n]*`", "", (ROOT / page).read_text(encoding="utf-8"), flags=re.M | re.S)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith(("https://", "http://")):
            continue
        name, _, anchor = unquote(target).partition("#")
        path = (ROOT / page).parent / name if name else ROOT / page
        assert path.exists(), target
        assert not anchor or anchor in _anchors(path), target


@pytest.mark.parametrize("page", [*pages.pages(), Path("SECURITY.md"), Path("CONTRIBUTING.md")], ids=lambda page: page.as_posix())
def test_a_page_names_only_commands_that_exist(page: Path) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    named = re.findall(r"(?:`|^|\$ )bakehouse ([a-z]+)", text, re.M)
    assert [name for name in named if name not in {verb.name for verb in VERBS}] == []
    tasks = {name.removeprefix("task_") for name in vars(dodo)}
    of_doit = re.findall(r"(?:`|^|\$ )doit ([a-z][a-z-]*)", text, re.M)
    assert [name for name in of_doit if name not in {*OF_DOIT, *tasks, "clean"}] == []


def test_the_files_of_a_new_backend_are_where_the_page_says() -> None:
    listed = pages.table_of((DOCS / "guides" / "backend.md").read_text(encoding="utf-8"))
    assert "pyproject.toml" in listed and [name for name in listed if not (ROOT / name.replace("NAME", "openvino")).exists()] == []


def test_the_tools_of_the_site_are_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    pinned = {line.partition("==")[0].lower() for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()}
    extras = project["project"]["optional-dependencies"]
    assert {re.split(r"[<>=\[]", one)[0].lower() for one in extras["docs"]} <= pinned


def test_every_script_of_the_site_has_a_docstring_that_says_how_to_run_it() -> None:
    for path in sorted((DOCS / "scripts").glob("[a-z]*.py")):
        described = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        assert f"python -m docs.scripts.{path.stem}" in described


def test_every_test_that_the_threat_model_names_exists() -> None:
    named = re.findall(r"`((?:\w+/)?test_\w+)`", (DOCS / "concepts" / "threat-model.md").read_text(encoding="utf-8"))
    assert named and [name for name in named if not (ROOT / "tests" / f"{name}.py").is_file()] == []


# --- examples and forms --------------------------------------------------------------------------------------------


def test_every_example_is_a_recipe_and_has_a_line_in_the_readme(tmp_path: Path) -> None:
    examples = sorted((ROOT / "examples").glob("*.yaml"))
    shutil.copytree(ROOT / "examples", tmp_path / "recipes")
    model(tmp_path / "recipes" / "my-model", license="mit")
    write(tmp_path / "recipes" / "my-model.gguf", {**PLAIN, "tokenizer.chat_template": "{{ messages }}"})
    assert len(open_workspace({"PIPELINE_RECIPES": str(tmp_path / "recipes"), "PIPELINE_ARTIFACTS": str(tmp_path)}).loaded) == len(examples)
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert re.findall(r"^- \[`.+`\]\(examples/(.+)\): ", "\n".join(lines), re.M) != []
    for path in examples:
        assert sum(f"](examples/{path.name})" in line for line in lines) == 1
        assert path.read_text(encoding="utf-8").startswith("# yaml-language-server: $schema=../recipes/recipe.schema.json\n# ")


@pytest.mark.parametrize("path", sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("[!c]*.yml")), ids=lambda path: path.stem)
def test_a_form_for_issues_has_fields_with_labels_and_names_of_their_own(path: Path) -> None:
    form = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert {"name", "description", "body"} <= form.keys()
    asked = [part for part in form["body"] if part["type"] != "markdown"]
    assert all(part["type"] in ("input", "textarea") and part["attributes"]["label"] for part in asked)
    assert len({part["id"] for part in asked}) == len(asked) > 0
    assert any(part.get("validations", {}).get("required") for part in asked)


@posix
@pytest.mark.whole
@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("--help", 0), ("lint", 0), ("bild", 2), ("build tiny-int9", 3), ("build --all", 3), ("clean tiny-int9", 3), ("check package", 0),
        ("check package --all", 2), ("check recipes", 1), ("rebuild nowhere", 1), ("plan tiny-int9", 1), ("init nowhere.gguf", 1),
    ],
)  # fmt: skip
def test_exit_codes_are_those_of_the_page(words: str, code: int, tmp_path: Path) -> None:
    published.bench(tmp_path)
    pack(tmp_path / "package")
    assert pages.sh(f"bakehouse {words} >/dev/null 2>&1 && echo 0 || echo $?", tmp_path) == f"{code}\n"


@posix
@pytest.mark.whole
@pytest.mark.parametrize(("words", "code"), [("lint", 1), ("list", 3), ("build", 3), ("clean tiny-int4", 3), ("plan", 1), ("matrix", 1)])
def test_exit_codes_after_an_error_in_a_recipe_are_those_of_the_page(words: str, code: int, tmp_path: Path) -> None:
    published.bench(tmp_path, golden=[])
    assert pages.sh(f"bakehouse {words} >/dev/null 2>&1 && echo 0 || echo $?", tmp_path) == f"{code}\n"


@pytest.mark.parametrize("page", ["directml-webgpu", "npu", "publish"])
def test_the_parts_of_a_recipe_that_a_page_shows_are_well_formed(page: str, tmp_path: Path) -> None:
    parts = [yaml.safe_load(one.text) for one in pages.blocks(f"docs/guides/{page}.md") if one.kind == "yaml"]
    assert parts
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(recipe(source=published.SOURCE, **{key: value for part in parts for key, value in part.items()})))
    assert loader.load(path).builds


# --- shell blocks --------------------------------------------------------------------------------------------------

# The pages whose blocks are run by the tests below; README's are run in test_readme.py.
RUN = {
    "README.md",
    *(f"docs/guides/{name}.md" for name in ("first-model", "publish", "release", "shared-store", "verify", "backend")),
}


def test_every_page_with_shell_blocks_is_run() -> None:
    assert {page.as_posix() for page in pages.pages() if pages.runnable(page)} == RUN


def run(page: str, folder: Path, **environ: str) -> list[str]:
    """Run the blocks of a page one after the other; what each printed."""
    return [pages.sh(text, folder, environ) for text in pages.runnable(f"docs/guides/{page}.md")]


@posix
@pytest.mark.parametrize(("part_bytes", "parts"), [(10**9, 1), (20_000, 3)])
def test_the_line_that_puts_a_release_together_is_right_for_one_part_and_for_many(tmp_path: Path, part_bytes: int, parts: int) -> None:
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "model.bin").write_bytes(bytes(range(256)) * 190)
    (tmp_path / "release").mkdir()
    packed = archive.write(tmp_path / "package", "NAME", tmp_path / "release", part_bytes)
    files.write(tmp_path / "release" / "NAME.tar.sha256", f"{packed.sha256}  NAME.tar\n")
    assert len(packed.parts) == parts
    for _ in range(2):  # also when it was put together before
        assert run("release", tmp_path / "release") == ["NAME.tar: OK\n"]
    assert files.records(tmp_path / "release" / "NAME") == files.records(tmp_path / "package")


@posix
def test_the_page_on_downloads_is_right_about_a_package(tmp_path: Path) -> None:
    hashed, checked = run("verify", pack(tmp_path / "package"))
    assert "openvino_model.bin: OK\n" in hashed
    assert checked.endswith("nothing wrong\n")


@pytest.mark.whole
@posix
def test_the_page_on_publishing_shows_what_would_change(tmp_path: Path, workshop: Workshop) -> None:
    published.package(published.bench(tmp_path))
    (shown,) = run("publish", tmp_path)
    assert "bakers/tiny-int4" in shown


@pytest.mark.whole
@posix
def test_the_page_on_the_shared_store_plans_with_one(tmp_path: Path) -> None:
    model(tmp_path / "recipes" / "tiny", license="mit")
    pages.sh("bakehouse init recipes/tiny --runtime openvino", tmp_path)
    (shown,) = run("shared-store", tmp_path)
    assert "tiny-int4-openvino" in shown


@pytest.mark.whole
@posix
def test_the_page_on_backends_names_commands_of_the_checkout(tmp_path: Path) -> None:
    (shown,) = run("backend", ROOT, PIPELINE_ARTIFACTS=str(tmp_path / "artifacts"))
    assert "well formed" in shown and "build:smollm2-int4-openvino" in shown


@posix
@pytest.mark.model
def test_the_page_on_the_first_model_ends_with_a_package_and_what_compare_shows(
    tmp_path: Path, hub: hubs.Hub, tiny_checkpoint: Path
) -> None:
    hub.serve(tiny_checkpoint, "HuggingFaceTB/SmolLM2-135M-Instruct", COMMIT)
    *_, closing = run("first-model", tmp_path, HF_ENDPOINT=hub.endpoint, HF_HOME=str(tmp_path / "hf"))
    assert "smollm2-int8-openvino" in closing and "nothing wrong" in closing
    assert (tmp_path / "artifacts" / "packages" / "smollm2-int8-openvino" / "bakehouse.json").is_file()


# --- the page of models --------------------------------------------------------------------------------------------------------


@pytest.mark.needs_backend("openvino", "openvino_npu", "onnxruntime_genai")
def test_the_page_of_models_says_what_each_backend_takes() -> None:
    text = (ROOT / "docs" / "guides" / "models.md").read_text(encoding="utf-8")
    rows = [[cell.strip().strip("`") for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.count("|") == 8]
    assert len(rows) > 12
    for _, repo, kind, *cells, _ in rows[2:]:
        works = [BACKENDS[name].model_types().get(kind, ()) for name in ("openvino", "onnxruntime-genai", "openvino-npu")]
        assert cells == ["-" if not one else "yes" if INSTALLED in one else one[0] for one in works], kind
        assert is_repository(repo)
