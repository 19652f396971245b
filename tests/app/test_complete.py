"""Completion in a shell: the candidates, what they cost, and the four scripts that ask for them."""

from __future__ import annotations

import argparse
import importlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bakehouse.app import complete, usage
from bakehouse.app.completion import SCRIPTS
from bakehouse.app.init import command
from bakehouse.app.main import main
from bakehouse.app.verbs import ALONE, OF_DOIT, OF_TASKS, VERBS
from bakehouse.app.workspace import open_workspace
from bakehouse.plan import places
from tests.app.test_start import imported
from tests.support.bench import ROOT

pytestmark = pytest.mark.needs_backend("openvino")

RECIPE = """\
schema_version: 1
name: tiny  # of a model for tests
source:
  type: local
builds:
  # the small one
  int4-a: {runtime: openvino}
  int8-a:
    runtime: openvino
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a recipe, that of no checkout."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PIPELINE_RECIPES", raising=False)
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "tiny.yaml").write_text(RECIPE, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        (["=li"], ["list\tlist the builds of all recipes, and how they stand", "lint\tcheck all recipes; every error of every file"]),
        (["build", "="], ["tiny", "tiny-int4-a", "tiny-int8-a"]),
        (["build", "tiny-int4-a", "=tiny-"], ["tiny-int8-a"]),
        (["compare", "="], ["tiny-int4-a", "tiny-int8-a"]),
        (["compare", "--html", "="], []),
        (["publish", "=--d"], ["--dry-run"]),
        (["completion", "=f"], ["fish"]),
        (["init", "="], []),
        (["deliver", "tiny-int4-a", "="], ["tiny-int8-a"]),
        (["nonsense", "=--"], ["--help"]),
        ([], []),
    ],
    ids=lambda value: " ".join(value) if value and value[0][:1] != "t" else "",
)
def test_candidates_are_verbs_flags_and_names(typed: list[str], offered: list[str], here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--complete", *typed]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert said.out.splitlines()[: len(offered) or None] == offered or not typed


FLOW = {
    "all of it": '{schema_version: 1, name: tiny, builds: {int4-a: {runtime: openvino}, "int8-a": {runtime: openvino}}}',
    "JSON": '{"name": "tiny",\n "builds": {\n  "int4-a": {},\n  "int8-a": {"runtime": "x"}}}',
    "the section": "name: tiny\nbuilds: {int4-a: {runtime: openvino}, int8-a: {runtime: openvino}}\n",
    "the section from the next line on": "name: tiny\nbuilds:\n  {int4-a: {runtime: openvino},\n   int8-a: {}}\n",
    "an anchor": "name: tiny\nbuilds: &all\n  int4-a: {}\n  int8-a: {}\n",
    "a merged key": "name: tiny\nx: &more {int8-a: {}}\nbuilds:\n  int4-a: {}\n  <<: *more\n",
    "a folded name": "name: >-\n  tiny\nbuilds:\n  int4-a: {}\n  int8-a: {}\n",
}


@pytest.mark.parametrize("form", FLOW)
def test_a_recipe_in_another_form_of_yaml_offers_its_names(form: str, here: Path) -> None:
    (here / "recipes" / "tiny.yaml").write_text(FLOW[form], encoding="utf-8")
    (here / "recipes" / "wrong.yaml").write_text("{name: wrong, builds: [", encoding="utf-8")
    assert sorted(complete.names(recipes_too=True)) == ["tiny", "tiny-int4-a", "tiny-int8-a"]


def test_a_recipe_in_flow_style_imports_the_reader_of_yaml_and_no_more(here: Path) -> None:
    (here / "recipes" / "tiny.yaml").write_text(FLOW["the section"], encoding="utf-8")
    found = imported("bakehouse.app.main", "--complete", "build", "=", folder=here)
    assert "yaml" in found
    assert not {"pydantic", "doit", "argparse", "rich"} & found


@pytest.mark.parametrize("text", ["", "builds: {", "name:\nbuilds:\n- x\n", "\0", "a: b: c\n  d:\n"])
def test_a_recipe_that_cannot_be_read_offers_nothing(text: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "recipes" / "tiny.yaml").write_text(text, encoding="utf-8")
    assert main(["--complete", "build", "="]) == 0
    assert capsys.readouterr() == ("", "")


def test_without_recipes_nothing_is_offered_and_nothing_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIPELINE_RECIPES", str(tmp_path / "none"))
    assert main(["--complete", "build", "="]) == 0


def test_the_names_of_the_shipped_recipes_are_those_of_their_builds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PIPELINE_RECIPES", str(ROOT / "recipes"))
    monkeypatch.setenv("PIPELINE_ARTIFACTS", str(tmp_path))
    assert sorted(complete.names(recipes_too=False)) == sorted(build.name for build in open_workspace().plan.builds)


def test_candidates_import_nothing_but_python_and_the_failure(here: Path) -> None:
    found = imported("bakehouse.app.main", "--complete", "build", "=", folder=here)
    assert {name for name in found if name.startswith("bakehouse")} <= {
        "bakehouse", "bakehouse.app", "bakehouse.app.complete", "bakehouse.app.main", "bakehouse.errors", "bakehouse.text",
    }  # fmt: skip
    assert not {"yaml", "pydantic", "doit", "argparse", "dataclasses"} & found


def _of_parser(parser: argparse.ArgumentParser) -> dict[str, bool]:
    """The flags of a parser, and whether a value follows."""
    own = {action.option_strings[-1]: action.nargs != 0 for action in parser._actions if action.option_strings}
    return {flag: value for flag, value in own.items() if flag != "--help"}


def test_every_verb_and_flag_is_offered() -> None:
    assert set(complete.FLAGS) == {verb.name for verb in VERBS}
    for verb in VERBS:
        if verb.name in ALONE:
            assert complete.FLAGS[verb.name] == _of_parser(importlib.import_module(ALONE[verb.name]).parser()), verb.name
        elif verb.name in {**OF_DOIT, **OF_TASKS}:
            module, _, name = {**OF_DOIT, **OF_TASKS}[verb.name].partition(":")
            options = usage._options(getattr(importlib.import_module(module), name))
            own = {flag.split(", ")[-1].partition(" ")[0]: " " in flag.split(", ")[-1] for flag, _ in options}
            assert complete.FLAGS[verb.name] == own, verb.name
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    assert complete.FLAGS["init"] == _of_parser(parser)


_DRIVERS = {
    "bash": """
eval "$(bakehouse completion bash)"
complete -p bakehouse
for line in "bakehouse bui" "bakehouse build tiny-" "bakehouse publish --dr"; do
    COMP_WORDS=($line); COMP_CWORD=$((${#COMP_WORDS[@]}-1))
    _bakehouse bakehouse "${COMP_WORDS[COMP_CWORD]}"
    echo "${COMPREPLY[*]}"
done
""",
    "zsh": """
autoload -Uz compinit && compinit -u -d "$PWD/dump"
eval "$(bakehouse completion zsh)"
print -r -- "complete ${_comps[bakehouse]}"
_describe() { print -r -- "${(@P)2%%:*}" }
_files() { print -r -- files }
for line in "bakehouse bui" "bakehouse build tiny-" "bakehouse publish --dr"; do
    words=(${=line}); CURRENT=${#words}
    _bakehouse
done
""",
    "fish": """
bakehouse completion fish | source
echo complete (complete -c bakehouse | string match -r __bakehouse_complete)
for line in "bakehouse bui" "bakehouse build tiny-" "bakehouse publish --dr"
    echo (complete -C $line | string replace -r '\\t.*' '')
end
""",
}


@pytest.mark.parametrize("shell", ["bash", *(pytest.param(one, marks=pytest.mark.whole) for one in ("zsh", "fish"))])
def test_the_script_completes_in_the_real_shell(shell: str, here: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell}")
    program = here / "bin" / "bakehouse"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m bakehouse.app.main "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    env = {
        **os.environ,
        "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT / "pipeline"),
        "HOME": str(here),
    }
    done = subprocess.run([shell, "-c", _DRIVERS[shell]], cwd=here, env=env, capture_output=True, text=True, check=True)
    registered, *lines = done.stdout.splitlines()
    assert "complete" in registered and "_bakehouse" in registered
    assert lines == ["build", "tiny-int4-a tiny-int8-a", "--dry-run"], done.stderr


def test_the_script_of_powershell_gives_the_last_word_with_its_mark() -> None:
    assert '"=$last"' in SCRIPTS["powershell"] and "Register-ArgumentCompleter -Native -CommandName bakehouse" in SCRIPTS["powershell"]


def test_a_shell_that_is_not_known_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "tcsh"]) == 2
    assert "bash|zsh|fish|powershell" in capsys.readouterr().err


def test_the_places_that_packages_are_delivered_to_are_those_of_the_backends(here: Path) -> None:
    assert complete.candidates(["deliver", "tiny-int4-a", "--to"], "") == sorted(places.all_of())
