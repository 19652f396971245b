"""The command `bakehouse` as it is typed: in a folder without a checkout, by one table with doit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from inline_snapshot import snapshot

from bakehouse.app import usage
from bakehouse.app.main import main
from bakehouse.app.verbs import OF_DOIT, OF_TASKS, VERBS
from tests.app.test_init import model
from tests.support import forked
from tests.support.bench import ROOT
from tests.support.systems import needs_converters


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of a user: a model next to a recipe that `init` wrote; no checkout, no dodo.py."""
    monkeypatch.chdir(tmp_path)
    for name in ("PIPELINE_RECIPES", "PIPELINE_ARTIFACTS"):
        monkeypatch.delenv(name, raising=False)
    model(tmp_path / "recipes" / "tiny", license="mit")
    assert main(["init", "recipes/tiny", "--runtime", "openvino"]) == 0
    return tmp_path


def bakehouse(*words: str) -> subprocess.CompletedProcess[str]:
    return forked.run("bakehouse", words, Path.cwd(), os.environ)


def test_the_checkouts_doit_has_the_same_commands() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["tool"]["doit"]["plugins"]["command"] == dict(OF_DOIT)


def test_a_plugin_for_doit_in_the_same_environment_replaces_no_command(tmp_path: Path) -> None:
    plugin = tmp_path / "foreign-1.0.dist-info"
    plugin.mkdir()
    (plugin / "METADATA").write_text("Metadata-Version: 2.1\nName: foreign\nVersion: 1.0\n", encoding="utf-8")
    (plugin / "entry_points.txt").write_text("[doit.COMMAND]\nlint = nothing:Command\n", encoding="utf-8")
    env = {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT / "pipeline"), str(tmp_path))), "PIPELINE_RECIPES": str(ROOT / "recipes")}
    done = subprocess.run(
        [sys.executable, "-m", "bakehouse.app.main", "lint"], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
    )
    assert (done.returncode, "well formed" in done.stdout) == (0, True), done.stderr


def test_every_verb_is_in_the_help_and_has_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    for verb in VERBS:
        assert f"\n  {verb.name} " in text
        if verb.name in {**OF_DOIT, **OF_TASKS}:
            assert usage.of_verb(verb).startswith(f"usage: bakehouse {verb.name}")


def test_the_help_of_a_verb_has_no_option_that_is_refused(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    assert main(["build", "--help"]) == 0
    assert capsys.readouterr().out == snapshot("""\
usage: bakehouse build [NAME ...]

Make builds: download, convert, validate, package.

  -c, --continue     after a build has failed, go on with the others
  -n N               run up to N steps at once, as far as memory allows
  --cluster CLUSTER  have the steps made by the workers of this scheduler, tls://HOST:PORT (default:
                     PIPELINE_CLUSTER, or here)

examples:
  bakehouse build phi3-int4
  bakehouse build phi3
  bakehouse build '*-int4' -c -n 2
  bakehouse build phi3 --cluster tls://scheduler:8786
""")


@pytest.mark.parametrize(("typed", "meant"), [("biuld", "build"), ("verify", "check"), ("lst", "list")])
def test_a_command_that_does_not_exist_is_answered_with_the_nearest(typed: str, meant: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([typed, "x"]) == 2
    assert capsys.readouterr().err == f"ERROR: `bakehouse {typed}` is not a command. Did you mean `bakehouse {meant}`?\n"


@pytest.mark.needs_backend("openvino")
@needs_converters
def test_builds_are_listed_and_planned_in_a_folder_without_a_checkout(here: Path) -> None:
    listed = bakehouse("list", "--quiet")
    assert (listed.returncode, listed.stdout.split()) == (0, ["build:tiny-int4-openvino", "build:tiny-int8-openvino"]), listed.stderr
    planned = bakehouse("plan", "tiny-int8-openvino")
    assert planned.returncode == 0 and "run   convert:tiny-int8-openvino" in planned.stdout, planned.stderr


@pytest.mark.needs_backend("openvino")
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("tiny-int4-openvin", "`bakehouse build tiny-int4-openvino`"),
        ("tinny", "`bakehouse build tiny`"),
        ("nope-*", "No build matches nope-*"),
    ],
)
def test_a_build_that_does_not_exist_is_refused_with_what_may_be_meant(here: Path, name: str, said: str) -> None:
    done = bakehouse("build", name)
    assert done.returncode == 3 and said in done.stderr, done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.needs_backend("openvino")
def test_the_name_of_a_recipe_is_all_its_builds(here: Path) -> None:
    done = bakehouse("publish", "tiny", "--dry-run")
    assert done.returncode == 3 and "Its recipe does not say where tiny is published" in done.stderr
    done = bakehouse("clean", "tiny-int4-openvino")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["build", "--contnue"],
            "--contnue is not an option. Did you mean --continue? `bakehouse build --help` lists the options of `build`.",
        ),
        (["list", "--nonsense"], "--nonsense is not an option. `bakehouse list --help` lists the options of `list`."),
        (["build", "-n", "x"], "An option takes a whole number, and was given 'x'. `bakehouse build --help` lists the options of `build`."),
        (["compare", "--html"], "Option --html requires argument. `bakehouse compare --help` lists the options of `compare`."),
        (["plan", "--json=3"], "Option --json must not have an argument. `bakehouse plan --help` lists the options of `plan`."),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_option_is_refused_in_one_line(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 3
    assert capsys.readouterr() == ("", f"ERROR: {said}\n")


@pytest.mark.needs_backend("openvino")
@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["clean", "tiny-int4-openvin"], 3, "Perhaps `bakehouse clean tiny-int4-openvino`."),
        (["clean", "nonsense:x"], 3, "There is no task called nonsense:x."),
        (["clean"], 0, "bakehouse clean NAME"),
        (["clean", "tiny"], 0, "cleaned  build:tiny"),
        (["list", "x"], 3, "`bakehouse list` alone lists the builds"),
        (["list", "--all", "--template", "{x}"], 3, "--template '{x}' cannot be filled in."),
        (["publish", "nonsense"], 3, "`bakehouse list` shows the builds."),
        (["build", "build:tiny-int4-openvin"], 3, "Perhaps `bakehouse build tiny-int4-openvino`."),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_done_is_answered_in_sentences(words: list[str], code: int, said: str, here: Path) -> None:
    done = bakehouse(*words)
    assert done.returncode == code and said in done.stdout + done.stderr, done.stdout + done.stderr
    assert "Traceback" not in done.stderr and "executing" not in done.stdout


@pytest.mark.whole
@pytest.mark.parametrize("words", ["--help", pytest.param("list", marks=pytest.mark.needs_backend("openvino")), "schema"])
def test_a_reader_that_has_seen_enough_is_not_an_error(words: str, here: Path) -> None:
    gone, to = os.pipe()
    os.close(gone)
    done = subprocess.run([sys.executable, "-m", "bakehouse.app.main", words], stdout=to, stderr=subprocess.PIPE, text=True, check=False)
    os.close(to)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.needs_backend("openvino")
@needs_converters
def test_a_model_of_ones_own_may_lie_anywhere_and_that_of_somebody_elses_recipe_may_not(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PIPELINE_UNTRUSTED", "GITHUB_EVENT_NAME", "CI_MERGE_REQUEST_ID"):
        monkeypatch.delenv(name, raising=False)
    elsewhere = model(here / "models" / "other", license="mit")
    made = bakehouse("init", "models/other", "--runtime", "openvino")
    assert made.returncode == 0, made.stderr
    planned = bakehouse("plan", "other-int8-openvino")
    assert planned.returncode == 0 and " to read from local sources, " in planned.stdout, planned.stdout + planned.stderr
    assert "to download" not in planned.stdout
    forecast = json.loads(bakehouse("plan", "other-int8-openvino", "--json").stdout)["forecast"]
    assert forecast["local_bytes"] > 0 and forecast["download_bytes"] == 0
    refused = bakehouse("lint", "--untrusted")
    assert refused.returncode == 1
    assert f"{elsewhere} lies outside the recipe's folder, and this recipe is not trusted." in refused.stdout + refused.stderr


@pytest.mark.needs_backend("openvino")
def test_each_command_of_one_process_reads_the_recipes_of_its_own_folder(
    here: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["list"]) == 0
    assert "tiny-int8-openvino" in capsys.readouterr().out
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    monkeypatch.chdir(elsewhere)
    model(elsewhere / "recipes" / "other", license="mit")
    assert main(["init", "recipes/other", "--runtime", "openvino"]) == 0
    capsys.readouterr()
    assert main(["list"]) == 0
    listed = capsys.readouterr().out
    assert "other-int8-openvino" in listed and "tiny" not in listed
