"""What doit's commands and options are refused with where they would do nothing, and how names and options are read."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from doit.cmdparse import CmdOption, CmdParse
from inline_snapshot import snapshot

from bakehouse.app import cli, screen, selection, tasks
from bakehouse.app.commands.check import Check
from bakehouse.app.commands.compare import Compare
from bakehouse.app.commands.lint import Lint
from bakehouse.app.commands.plan import Plan as PlanCommand
from bakehouse.app.commands.prune import Prune
from bakehouse.app.commands.run import Run
from bakehouse.app.commands.schema import Schema
from bakehouse.app.workspace import Workspace, open_workspace
from bakehouse.errors import Failure
from bakehouse.executor.session import Session
from bakehouse.plan.plan import Plan
from bakehouse.recipe.loader import RecipeErrors
from bakehouse.stages import preflight
from tests.support import fakes
from tests.support.bench import ROOT, Bench, command, recipe
from tests.support.fakes import HUB
from tests.support.packed import pack
from tests.support.standin import safetensors
from tests.support.systems import needs_converters, not_under_wine

pytestmark = pytest.mark.needs_backend("openvino")


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """One build that nothing is made of yet."""
    made = Bench(tmp_path)
    made.write(recipe(source=HUB))
    return made


@pytest.fixture
def here(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """The same for commands that run in this process."""
    monkeypatch.setenv("PIPELINE_RECIPES", str(bench.recipes))
    monkeypatch.setenv("PIPELINE_ARTIFACTS", str(bench.artifacts))
    return bench


def do(kind: type[cli.Ours], *words: str) -> int:
    """Carry out a command in this process."""
    made = kind()
    return made._checked(*made.cmdparser.parse(cli.options_first(made.cmdparser, list(words))))


@pytest.mark.parametrize("command", [Prune, Lint, Schema], ids=lambda command: command.get_name())
def test_a_command_without_names_refuses_them(command: type[cli.Ours]) -> None:
    with pytest.raises(Failure) as caught:
        do(command, "tiny-int4", "x")
    assert caught.value.what == f"`bakehouse {command.get_name()}` takes no names, and was given tiny-int4, x."


@pytest.mark.parametrize(
    ("command", "words", "first"),
    [
        (Prune, ["x", "--dry-run"], ["--dry-run", "x"]),
        (Compare, ["A", "B", "--html", "f"], ["--html", "f", "A", "B"]),
        (Compare, ["A", "--html=f", "B"], ["--html", "f", "A", "B"]),
        (Run, ["build:a", "-n", "2", "build:b", "--continue"], ["-n", "2", "--continue", "build:a", "build:b"]),
        (Run, ["build:a", "-n2", "--dry-run"], ["-n", "2", "--dry-run", "build:a"]),
        (Check, ["--package", "d", "--key", "k"], ["--package", "d", "--key", "k"]),
    ],
)
def test_options_count_wherever_they_stand(command: type[Run | cli.Ours], words: list[str], first: list[str]) -> None:
    parser = CmdParse([CmdOption(option) for option in command.cmd_options])
    assert cli.options_first(parser, words) == first
    assert parser.parse(first)


def test_a_dry_run_after_a_name_that_is_refused_drops_nothing(here: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    old = pack(here.artifacts / "packages" / "old")
    with pytest.raises(Failure):
        do(Prune, "x", "--dry-run")
    assert do(Prune, "--dry-run") == 0
    assert "would drop  packages/old" in capsys.readouterr().out
    assert old.exists()


@pytest.mark.parametrize(
    ("words", "printed"),
    [
        (
            ["forget", "build:tiny-int4"],
            "Doit remembers nothing that it could forget: what is made is in the store.\n"
            "  what to do: `bakehouse clean build:tiny-int4` forgets a result, so that the next build makes it again.",
        ),
        (
            ["forget", "--all"],
            "Doit remembers nothing that it could forget: what is made is in the store.\n"
            "  what to do: `bakehouse clean NAME` forgets a result, so that the next build makes it again.",
        ),
        (
            ["ignore", "download:tiny"],
            "Nothing can be ignored: a package is made of all its steps.\n"
            "  what to do: Name the builds that you want, or take the others out of their recipe.",
        ),
        (
            ["info", "build:tiny-int4"],
            "Doit knows no more of a task than its name: what it is made from is in the plan.\n"
            "  what to do: `bakehouse plan tiny-int4` shows the steps of a build, which of them exist and why the rest would run.",
        ),
        (
            ["dumpdb"],
            "Doit keeps no database here: what is made is in the store.\n"
            "  what to do: `bakehouse plan` shows what exists; each folder of the store has a manifest.json.",
        ),
        (
            ["reset-dep", "build:tiny-int4"],
            "What a step was made from cannot be declared anew: it is in the step's key.\n"
            "  what to do: `bakehouse plan NAME` shows what would run and why.",
        ),
        (
            ["strace", "build:tiny-int4"],
            "Tracing doit would not show the work, which is done in child processes.\n"
            "  what to do: log.txt in a step's folder of the store begins with its command: trace that.",
        ),
        (
            ["verify", "--package", "DIR", "tiny-int4"],
            "The command is now called `bakehouse check`.\n"
            "  what to do: Type `bakehouse check tiny-int4`, or `bakehouse check DIR` for a package from elsewhere.",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_command_that_would_do_nothing_here_is_refused(words: list[str], printed: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(*words) == 1
    assert capsys.readouterr() == ("", f"ERROR: {printed}\n")


@pytest.mark.parametrize(
    ("words", "printed"),
    [
        (
            ["-a", "download:tiny"],
            "-a would make nothing again: what is whole in the store is not made twice.\n"
            "  what to do: `bakehouse clean NAME` forgets a result, and `bakehouse build NAME` makes it again.",
        ),
        (
            ["build", "-n", "2", "-P", "process"],
            "-P process would wait for ever for a step that is killed (pydoit/doit#461).\n"
            "  what to do: Leave it out: with -n steps run side by side, each in a child process of its own.",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_would_do_nothing_here_is_refused_with_what_does(bench: Bench, words: list[str], printed: str) -> None:
    done = bench.doit(*words)
    assert done.returncode in (1, 3)
    assert (done.stdout, done.stderr) == ("", f"ERROR: {printed}\n")
    assert not (bench.artifacts / "store").exists()


@pytest.mark.whole
@needs_converters
def test_text_that_the_console_cannot_show_is_escaped_and_no_crash(bench: Bench) -> None:
    bench.write(recipe(source=HUB, description="한국어 model"))
    narrow = bench.with_env(PYTHONIOENCODING="cp1252", PYTHONUTF8="0")
    for words in ([], ["list"], ["list", "--all"]):
        assert "\\ud55c\\uad6d\\uc5b4 model" in narrow.build(*words)


def test_an_answer_that_the_console_cannot_show_is_escaped_in_a_table_too(monkeypatch: pytest.MonkeyPatch) -> None:
    body = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(body, encoding="cp1252"))
    screen.escape_what_cannot_be_shown()
    print("파리")
    sys.stdout.flush()
    assert body.getvalue() == rf"\ud30c\ub9ac{os.linesep}".encode()


@needs_converters
def test_one_recipe_with_one_build_is_spoken_of_as_one(here: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    assert do(Lint) == 0
    assert capsys.readouterr().out == snapshot("1 recipe with 1 build is well formed\n")


@not_under_wine("its links are seen as what they lead to")
@pytest.mark.parametrize("words", [["list"], ["build:tiny-int4"], pytest.param(["prune"], marks=pytest.mark.whole)], ids=" ".join)
def test_artifacts_that_cannot_be_looked_into_are_named(bench: Bench, words: list[str]) -> None:
    bench.artifacts.symlink_to(bench.artifacts)
    done = bench.doit(*words)
    assert done.returncode in (1, 3)
    assert done.stderr == (
        f"ERROR: The artifacts folder {bench.artifacts} cannot be read: Too many levels of symbolic links.\n"
        "  what to do: Set PIPELINE_ARTIFACTS to a folder of your own.\n"
    )


GROUPS = ("sign", "build", "convert", "validate", "publish")
KNOWN = [*GROUPS, *(f"{group}:phi3-{end}" for group in GROUPS for end in ("int4-openvino", "int8-openvino", "int4-genai")), "download:phi3"]


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["phi3-int4-openvino"], "Perhaps `bakehouse build phi3-int4-openvino`."),
        (["build:phi3-int4"], "Perhaps `bakehouse build phi3-int4-openvino`, or phi3-int4-genai."),
        (
            ["build", "phi3-int4-openvino"],
            "`bakehouse build phi3-int4-openvino`, or `doit build:phi3-int4-openvino` with a colon: `doit build` alone is all of it.",
        ),
        (
            ["sign", "phi3-int4-genai"],
            "`bakehouse sign phi3-int4-genai`, or `doit sign:phi3-int4-genai` with a colon: `doit sign` alone is all of it.",
        ),
        (["build", "phi3-int4-openvin"], "Perhaps `bakehouse build phi3-int4-openvino`."),
        (["phi3"], "Perhaps `bakehouse build phi3-int4-openvino`, or phi3-int8-openvino or phi3-int4-genai."),
        (["comvert:phi3-int8-openvino"], "Perhaps convert:phi3-int8-openvino."),
        (["download:phy3"], "Perhaps download:phi3."),
        (["nonsense"], "`bakehouse list` shows the builds."),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_name_is_answered_with_a_build_or_with_a_task_of_its_own_group(words: list[str], hint: str) -> None:
    with pytest.raises(Failure) as caught:
        selection.expanded(words, KNOWN, Plan(()))
    assert caught.value.remedy == hint


@pytest.mark.parametrize(
    "words",
    [
        ["list", "-q"],
        *(pytest.param(words, marks=pytest.mark.whole) for words in (["list", "--quiet"], ["list", "--file=dodo.py", "--quiet"])),
    ],
    ids=" ".join,
)
def test_a_quiet_list_has_names_only(bench: Bench, words: list[str]) -> None:
    assert bench.build(*words) == "build:tiny-int4\n"


# What the package bash-completion has of these two does as much for words without a colon in quotes.
_BASH = """
_get_comp_words_by_ref() {
    cur="${COMP_WORDS[COMP_CWORD]}"; prev="${COMP_WORDS[COMP_CWORD-1]}"; words=("${COMP_WORDS[@]}"); cword=$COMP_CWORD
}
__ltrim_colon_completions() { :; }
source <(doit tabcompletion)
for line in "$@"; do
    COMP_WORDS=($line)
    COMP_CWORD=$((${#COMP_WORDS[@]}-1))
    _doit
    printf '%s: %s\n' "$line" "${COMPREPLY[*]}"
done
"""


@pytest.mark.whole
@pytest.mark.skipif(shutil.which("bash") is None, reason="completion is bash's")
def test_completion_in_bash_offers_names_and_no_descriptions(bench: Bench) -> None:
    here = {"PIPELINE_RECIPES": str(bench.recipes), "PIPELINE_ARTIFACTS": str(bench.artifacts)}
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    done = subprocess.run(
        ["bash", "-c", _BASH, "bash", "doit bui", "doit clean convert:", "doit dum", "doit run t"],
        cwd=ROOT,
        env={**os.environ, **here, "PATH": path},
        text=True,
        capture_output=True,
        check=True,
    )
    assert done.stdout.splitlines() == [
        "doit bui: build:tiny-int4",
        "doit clean convert:: convert:tiny-int4",
        "doit dum: dumpdb",
        "doit run t: ",
    ]


def made(here: Bench) -> Workspace:
    """The workspace with all steps of its build in the store."""
    opened = open_workspace()
    for step in opened.plan.steps:
        fakes.put(step, opened.store)
    return opened


@pytest.mark.parametrize("group", ["download", "export", "convert", "validate", "package"])
def test_what_is_cleaned_is_what_the_next_build_makes_again_and_the_package(here: Bench, group: str) -> None:
    opened = made(here)
    known = selection.names(opened.plan)
    (step,) = [step for step in opened.plan.steps if known[step.key] in (f"{group}:tiny", f"{group}:tiny-int4")]
    assert preflight.missing(opened.plan.builds, opened.store) == ()
    tasks.forget(step, opened.plan, Session(opened.store), known)
    missing = [known[one.key] for one in preflight.missing(opened.plan.builds, opened.store)]
    assert missing == [*([known[step.key]] if group != "package" else []), "package:tiny-int4"]


TAKES = recipe("here", golden=[{"raw": "What", "contains": ["x"], "max_new_tokens": 4000}])


def beside(here: Bench) -> None:
    """A checkpoint next to the recipe whose context is 100 tokens."""
    (here.recipes / "model").mkdir()
    (here.recipes / "model" / "config.json").write_text('{"model_type": "llama", "max_position_embeddings": 100}', encoding="utf-8")
    (here.recipes / "model" / "tokenizer.json").write_text("{}", encoding="utf-8")
    (here.recipes / "model" / "model.safetensors").write_bytes(safetensors({"a": 100}))


def test_lint_says_with_the_builds_line_what_a_build_would_be_refused_for(here: Bench) -> None:
    here.write(TAKES)
    beside(here)
    with pytest.raises(RecipeErrors) as caught:
        do(Lint)
    lines = (here.recipes / "here.yaml").read_text(encoding="utf-8").splitlines()
    found = [one for one in caught.value.diagnostics if "max_new_tokens" in one.what]
    assert [one.span.line for one in found] == [lines.index("  int4:")]
    assert "lets its answer have 4000 tokens (max_new_tokens), and the model takes 100" in found[0].what


def test_lint_says_what_is_so_for_all_builds_once_at_the_source(here: Bench) -> None:
    here.write(TAKES | {"builds": {"a": TAKES["builds"]["int4"], "b": {"runtime": "openvino", "quantization": {"weights": "int8"}}}})
    beside(here)
    with pytest.raises(RecipeErrors) as caught:
        do(Lint)
    found = [one for one in caught.value.diagnostics if "max_new_tokens" in one.what]
    assert [one.source for one in found] == ["source:"]


@needs_converters
def test_a_plan_ends_with_what_the_build_would_be_refused_for(here: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    here.write(TAKES)
    beside(here)
    assert do(PlanCommand, "here-int4") == 1
    said = capsys.readouterr().out
    assert "run   convert:here-int4" in said
    assert "\nthis would be refused before any work: The recipe does not fit the model.\n    here-int4: golden prompt 1 lets" in said


def test_lint_asks_no_hub(here: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert do(Lint) == 0
    assert not (here.artifacts / "store").exists()
