"""A failure is that of its own builds: what needs it is not tried, what does not need it goes on, and the exit code is 1."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bakehouse.app import workspace
from tests.package.test_card import manifest
from tests.support import fakes
from tests.support.bench import Bench, ran, recipe
from tests.support.standin import safetensors
from tests.support.surveys import survey

pytestmark = pytest.mark.needs_backend("openvino")

AWAY = "http://127.0.0.1:9"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Two recipes: the source of one does not answer, that of the other is here."""
    made = Bench(tmp_path, {"HF_ENDPOINT": AWAY, "HF_HUB_OFFLINE": "0", "HF_HOME": str(tmp_path / "hf")})
    made.write(recipe("away", source=fakes.HUB), recipe("here"))
    (made.recipes / "model").mkdir()
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (made.recipes / "model" / name).write_text("{}", encoding="utf-8")
    (made.recipes / "model" / "config.json").write_text('{"model_type": "llama"}', encoding="utf-8")
    (made.recipes / "model" / "model.safetensors").write_bytes(safetensors({"a": 100}))
    return made


def opened(bench: Bench) -> workspace.Workspace:
    return workspace.open_workspace({"PIPELINE_RECIPES": str(bench.recipes), "PIPELINE_ARTIFACTS": str(bench.artifacts)})


@pytest.mark.whole
@pytest.mark.parametrize(
    ("offline", "threads", "known"),
    [("0", "1", False), ("1", "2", False), ("0", "2", True)],
    ids=["online", "offline and two at a time", "surveyed before"],
)
def test_a_source_that_does_not_answer_fails_only_its_own_builds(bench: Bench, offline: str, threads: str, known: bool) -> None:
    build = opened(bench).plan.builds[0]
    if known:
        assert build.survey
        fakes.put(build.survey, opened(bench).store, survey_json=survey(640).model_dump_json())
    done = bench.with_env(HF_HUB_OFFLINE=offline).doit("--continue", "-n", threads, "build:away-int4", "download:here")
    assert (done.returncode, done.stderr) == (1, "")
    assert ran(done.stdout) == ["download:here"]
    assert sorted(re.findall(r"\d\d:\d\d:\d\d FAILED (\S+)", done.stdout)) == ["download:away"]
    skipped = dict(re.findall(r"-- (\S+)  (not tried: .*)", done.stdout))
    assert skipped == {"build:away-int4": "not tried: download:away failed"}
    begun = {line.split()[2] for line in done.stdout.splitlines() if line[9:12] == ".. "}
    assert begun <= {"download:away", "download:here"}
    assert re.search(r"\naway-int4 +[01] of 11 .* not built: download:away failed: .*\n", done.stdout)
    assert "Traceback" not in done.stdout
    assert done.stdout.splitlines()[-1].startswith("  what to do: ")


@pytest.mark.whole
def test_without_continue_a_source_that_does_not_answer_is_refused_before_any_work(bench: Bench) -> None:
    done = bench.doit("download:here", "build:away-int4")
    assert (done.returncode, done.stdout) == (3, "")
    assert f"The hub at {AWAY} cannot be reached" in done.stderr


def test_a_source_that_does_not_answer_does_not_matter_to_what_does_not_need_it(bench: Bench) -> None:
    here = opened(bench)
    build = here.plan.builds[0]
    for step in build.package.reads:
        fakes.put(step, here.store)
    fakes.put(build.package, here.store, manifest_json=manifest().model_dump_json())
    for words in (["build:away-int4"], ["--continue", "build:away-int4", "download:here"], ["plan", "away-int4"]):
        assert "FAILED" not in bench.build(*words)


def test_a_build_that_does_not_fit_fails_alone_where_others_go_on(bench: Bench) -> None:
    bench.write(recipe("here", builds={"odd": {"runtime": "openvino", "quantization": {"weights": "int4", "group_size": 96}}}))
    done = bench.doit("--continue", "build:here-odd", "download:here")
    assert ran(done.stdout) == ["download:here"]
    assert done.returncode == 1
