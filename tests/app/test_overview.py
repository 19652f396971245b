"""The list, the plan's reasons and the closing table, to the letter."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from inline_snapshot import snapshot
from rich.console import Console

from bakehouse.app import overview, plan_table, results_table, selection
from bakehouse.backends.npu_library.options import NpuLibrary
from bakehouse.backends.openvino_npu.options import OpenVINONpu
from bakehouse.executor.session import Session
from bakehouse.plan.plan import Build, Plan
from bakehouse.records import Fidelity
from bakehouse.steps.step import Step
from bakehouse.store.store import Store
from tests.package.test_card import manifest
from tests.support.bench import INT4, recipe
from tests.support.fakes import HUB, FakeSpec, planned, put
from tests.support.fidelities import fidelity
from tests.support.surveys import survey
from tests.support.systems import needs_converters

pytestmark = pytest.mark.needs_backend("npu_library", "openvino", "openvino_npu")

INT8 = {"runtime": "openvino", "quantization": {"weights": "int8"}}


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return Session(Store(tmp_path / "artifacts"))


def plan_of(tmp_path: Path, **changes: Any) -> Plan:
    """The plan of one recipe over the hub."""
    return planned(tmp_path / "recipes", recipe(**{"source": HUB} | changes))


def reasons(plan: Plan, session: Session) -> dict[str, str]:
    """Task -> how it stands, in a plan's words."""
    lines = plan_table.plan_text(plan.builds, session, selection.names(plan)).splitlines()[:-1]
    return {line.split()[1]: " ".join([line.split()[0], *line.split()[2:]]) for line in lines}


def hub_tells(plan: Plan, session: Session) -> None:
    """The hub was asked for shapes."""
    asked = plan.builds[0].survey
    assert asked
    put(asked, session.store, survey_json=survey(hidden=640).model_dump_json())


def answered(build: Build, session: Session, answer: str, measured: Fidelity | None = None) -> None:
    """A build is made, and this is its first answer, and what was measured of it."""
    written = manifest(fidelity=measured).model_dump_json().replace('"The capital of France is Paris."', json.dumps(answer))
    put(build.package, session.store, manifest_json=written)
    session.store.expose(build.package, build.name, lambda: None)


@needs_converters
def test_the_list_has_a_line_a_build_and_says_what_is_built_and_what_cannot_be(tmp_path: Path, session: Session) -> None:
    plan = plan_of(tmp_path, builds={"int4": {"runtime": "openvino", "quantization": INT4}, "int8": INT8, "fp16": {**INT8}})
    first, second, third = plan.builds
    put(first.package, session.store)
    session.store.expose(first.package, first.name, lambda: None)
    plan = Plan((first, second, replace(third, cannot="nncf not installed: install Bakehouse with its extra `build`")))
    lines = overview.builds(plan, session.store).splitlines()
    assert [line.split()[:2] for line in lines] == [["build:tiny-int4", "built"], ["build:tiny-int8", "-"], ["build:tiny-fp16", "cannot"]]
    assert lines[2].endswith("not on this machine: nncf not installed: install Bakehouse with its extra `build`")


@needs_converters
def test_what_was_measured_of_a_build_stands_in_the_list_and_in_the_closing_table(tmp_path: Path, session: Session) -> None:
    plan = plan_of(tmp_path, builds={"int4": {"runtime": "openvino", "quantization": INT4}, "int8": INT8})
    answered(plan.builds[0], session, "Paris.", fidelity(0.1349))
    assert [line.split()[:4] for line in overview.builds(plan, session.store).splitlines()] == [
        ["build:tiny-int4", "built", "KLD", "0.135"],
        ["build:tiny-int8", "-", "openvino", "int8"],
    ]
    found = [line.split() for line in closing(plan, session, {})[1:3]]
    assert (found[0][-2:], found[1][-3:]) == (["0.135", "Paris."], ["-", "not", "built"])


def test_lengths_hints_and_precisions_distinguish_builds_where_they_are_unusual() -> None:
    npu = {"runtime": "openvino-npu", "quantization": {"weights": "int4"}, "platforms": (4000,)}
    other = {"max_prompt_len": 2048, "generate_hint": "BEST_PERF", "cache_mode": "OPTIMIZE_SIZE"}
    assert overview.brief(OpenVINONpu.model_validate(npu)) == snapshot("openvino-npu int4 sym g128 r1 4000")
    assert overview.brief(OpenVINONpu.model_validate(npu | other)) == snapshot(
        "openvino-npu int4 sym g128 r1 4000 prompt 2048 BEST_PERF OPTIMIZE_SIZE"
    )
    library = {"runtime": "intel-npu-acceleration-library", "quantization": {"weights": "int8"}, "torch_dtype": "float16"}
    assert overview.brief(NpuLibrary.model_validate(library)) == snapshot("intel-npu-acceleration-library int8 float16")


def test_bare_doit_ends_with_what_to_type_next(tmp_path: Path, session: Session) -> None:
    assert overview.welcome(plan_of(tmp_path), session.store).endswith(
        "\n"
        "  bakehouse plan NAME...   what a build would do, and what it would take\n"
        "  bakehouse build NAME     make one build, down to its package\n"
        "  bakehouse build          make all that this machine can make\n"
        "  bakehouse --help         all commands\n"
    )


def test_a_plan_before_the_first_run_names_every_step_and_what_it_takes(tmp_path: Path, session: Session) -> None:
    plan = plan_of(tmp_path)
    hub_tells(plan, session)
    assert set(reasons(plan, session).values()) == {"run never made"}
    last = plan_table.plan_text(plan.builds, session, selection.names(plan)).splitlines()[-1]
    assert last.startswith("11 steps, about 1 B to download, ")
    assert last.endswith(" of memory for the largest")


def test_a_plan_of_what_is_made_says_how_large_it_is_and_that_nothing_is_to_do(tmp_path: Path, session: Session) -> None:
    plan = plan_of(tmp_path)
    for step in plan.steps:
        put(step, session.store, made_txt="x" * 2_000)
    assert set(reasons(plan, session).values()) == {"have 2 kB"}
    last = "no step is missing, 2 kB of disk (2 kB of it for packages as files of their own)"
    expected = "nothing to do" if session.store.shares_blocks() else last
    assert plan_table.plan_text(plan.builds, session, selection.names(plan)).splitlines()[-1] == expected
    session.store.expose(plan.builds[0].package, plan.builds[0].name, lambda: None)
    assert plan_table.plan_text(plan.builds, session, selection.names(plan)).splitlines()[-1] == "nothing to do"


def test_a_step_that_only_a_made_one_needs_is_reported_as_not_needed(tmp_path: Path, session: Session) -> None:
    plan = plan_of(tmp_path)
    put(plan.builds[0].package, session.store)
    found = reasons(plan, session)
    assert found["package:tiny-int4"].startswith("have ")
    assert {text for name, text in found.items() if name != "package:tiny-int4"} == {"- not needed: what is made from it is there"}


def test_another_option_is_the_reason_and_what_follows_names_its_new_part(tmp_path: Path, session: Session) -> None:
    for step in plan_of(tmp_path).steps:
        if step.kind != "download":
            put(step, session.store)
    plan = plan_of(tmp_path, builds={"int4": {"runtime": "openvino", "quantization": {**INT4, "group_size": 64}}})
    hub_tells(plan, session)
    found = reasons(plan, session)
    assert found["convert:tiny-int4"] == "run group_size 128 -> 64"
    assert found["validate:tiny-int4"] == snapshot("run options.quantization.group_size 128 -> 64; model is new")
    assert found["export:tiny"].startswith("have ")


def why(step: Step, session: Session) -> str:
    return plan_table.why(step, session.store, {step.key})


def test_another_tool_another_format_and_many_changes_are_reasons(session: Session) -> None:
    before = Step("compress", "openvino", "tiny-int4", FakeSpec(a=1, b=1, c=1, d=1), tools={"nncf": "3.4.0"})
    put(before, session.store)
    assert why(replace(before, tools={"nncf": "3.5.0"}), session) == "nncf 3.4.0 -> 3.5.0"
    assert why(replace(before, format=2), session) == "format 1 -> 2"
    assert why(replace(before, spec=FakeSpec(**dict.fromkeys("abcd", 2))), session) == snapshot("a 1 -> 2; b 1 -> 2; c 1 -> 2; and 1 more")
    assert why(replace(before, label="tiny-other", spec=FakeSpec(a=2)), session) == "never made"


def test_damage_is_a_reason_and_names_the_file(session: Session) -> None:
    step = Step("compress", "openvino", "tiny-int4", FakeSpec())
    put(step, session.store, model_bin="whole")
    path = session.store.files(step) / "model.bin"
    path.chmod(0o644)
    path.write_text("who", encoding="utf-8")
    assert why(step, session) == snapshot("damaged: model.bin: 3 bytes, should be 5")


@pytest.mark.whole
def test_what_cannot_be_found_out_is_reported_and_the_plan_is_shown_all_the_same(
    tmp_path: Path, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    plan = plan_of(tmp_path)
    text = plan_table.plan_text(plan.builds, session, selection.names(plan))
    assert "11 steps; what they take could not be found out: survey of tiny: The hub at http://127.0.0.1:9 cannot be reached" in text


def closing(plan: Plan, session: Session, spans: dict[str, tuple[float, float]], width: int = 160, **failed: tuple[str, ...]) -> list[str]:
    """The closing table as lines; `failed` has what failed, by the end of a build's name."""
    table = results_table.summary(
        plan.builds, session.store, selection.names(plan), spans, 70.0, lambda build: failed.get(build.name.rpartition("-")[2], ())
    )
    stream = io.StringIO()
    Console(file=stream, width=width, soft_wrap=True).print(table)
    return [line.rstrip() for line in stream.getvalue().splitlines()]


def test_the_closing_table_says_what_ran_and_what_was_not_built(tmp_path: Path, session: Session) -> None:
    assert closing(plan_of(tmp_path), session, {"download:tiny": (0.0, 3.0), "export:tiny": (3.0, 65.0)}) == [
        "build        steps run    time    size    KLD    answer",
        "tiny-int4    2 of 11      1:05    -       -      not built",
        f"1:10 in all; packages are in {session.store.root / 'packages'}",
    ]


def test_steps_that_ran_at_the_same_time_count_once_in_the_closing_table(tmp_path: Path, session: Session) -> None:
    spans = {"export:tiny": (10.0, 40.0), "validate:tiny-reference": (10.0, 70.0), "convert:tiny-int4": (40.0, 50.0)}
    assert closing(plan_of(tmp_path), session, spans)[1] == snapshot("tiny-int4    3 of 11      1:00    -       -      not built")


def test_failed_builds_stand_last_in_the_closing_table_with_what_failed(tmp_path: Path, session: Session) -> None:
    plan = plan_of(tmp_path, builds={"bad": INT8, "int4": INT8})
    answered(plan.builds[1], session, "Paris.")
    lines = closing(plan, session, {}, bad=("validate:tiny-bad failed: The answer is wrong.",))
    assert [" ".join(line.split()) for line in lines[1:3]] == snapshot(
        [
            "tiny-int4 0 of 11 - 3 kB - Paris.",
            "tiny-bad 0 of 11 - - - not built: validate:tiny-bad failed: The answer is wrong.",
        ]
    )


@pytest.mark.parametrize(("width", "answer"), [(160, f"Paris, the capital {'of all ' * 5}of al…"), (80, "Paris, the capital of all of a…")])
def test_a_long_answer_is_one_line_with_an_ellipsis(tmp_path: Path, session: Session, width: int, answer: str) -> None:
    plan = plan_of(tmp_path)
    answered(plan.builds[0], session, "Paris,\nthe capital " + "of all " * 20)
    line = closing(plan, session, {}, width)[1]
    assert line.endswith(answer)
    assert len(line) <= width


def test_without_a_build_no_table_is_shown(session: Session) -> None:
    assert results_table.summary([], session.store, {}, {}, 1.0, lambda build: ()) is None


@pytest.mark.parametrize("width", [60, 80, 120])
@needs_converters
def test_in_a_window_the_list_is_wrapped_by_words(tmp_path: Path, session: Session, width: int) -> None:
    plan = plan_of(tmp_path, description="a model that is described in so many words that no line of a window holds them all at once " * 2)
    whole, wrapped = overview.builds(plan, session.store), overview.builds(plan, session.store, width)
    assert all(len(line) <= width for line in wrapped.splitlines()) and len(wrapped.splitlines()) > 1
    assert wrapped.split() == whole.split()
