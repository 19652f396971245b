"""What cannot succeed is refused before the work, with numbers; and what is made already asks for nothing."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from inline_snapshot import snapshot

from bakehouse.errors import Failure
from bakehouse.executor import memory
from bakehouse.executor.session import Session
from bakehouse.plan.plan import Build
from bakehouse.stages import estimates, preflight
from bakehouse.stages.preflight import Forecast
from bakehouse.steps.step import Step
from bakehouse.store import clone
from bakehouse.store.store import Store
from tests.formats.test_gguf_header import PLAIN, write
from tests.support.bench import INT4, recipe
from tests.support.fakes import HUB, planned, put
from tests.support.standin import safetensors
from tests.support.surveys import survey

pytestmark = pytest.mark.needs_backend("openvino")


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return Session(Store(tmp_path / "artifacts"))


def build_of(tmp_path: Path, **changes: Any) -> Build:
    """The one build of a recipe over the hub."""
    return planned(tmp_path / "recipes", recipe(**{"source": HUB} | changes)).builds[0]


def surveyed(build: Build, session: Session, hidden: int = 640, layers: int = 2) -> None:
    """Have the hub say what the checkpoint is."""
    assert build.survey
    put(build.survey, session.store, survey_json=survey(hidden, layers).model_dump_json())


def refusal(build: Build, session: Session) -> str:
    with pytest.raises(Failure) as caught:
        preflight.check([build], session)
    return str(caught.value)


def test_a_missing_tool_is_named_with_its_remedy(tmp_path: Path, session: Session) -> None:
    build = replace(build_of(tmp_path), cannot="nncf not installed: install Bakehouse with its extra `build`")
    assert refusal(build, session) == snapshot(
        """\
This machine cannot make every requested build.
    tiny-int4: nncf not installed: install Bakehouse with its extra `build`
  what to do: Install what is named, or leave those builds out.\
"""
    )


def test_a_group_size_that_does_not_divide_is_refused_with_the_channels_and_what_would(tmp_path: Path, session: Session) -> None:
    build = build_of(tmp_path, builds={"int4": {"runtime": "openvino", "quantization": {**INT4, "group_size": 96, "ratio": 1.0}}})
    surveyed(build, session)
    assert refusal(build, session) == snapshot(
        """\
The recipe does not fit the model.
    tiny-int4: a group size of 96 does not divide every channel: 640 in model.layers.0.q_proj.weight and 5 more; 128 divides all
  what to do: Change these options in the recipe, or take another source.\
"""
    )


def test_an_answer_that_cannot_fit_into_the_context_is_refused_with_both_numbers(tmp_path: Path, session: Session) -> None:
    golden = [{"prompt": "Hi", "contains": ["Hi"], "max_new_tokens": tokens} for tokens in (511, 512)]
    build = build_of(tmp_path, golden=golden)
    assert build.survey
    put(build.survey, session.store, survey_json=survey(640, max_position_embeddings=512).model_dump_json())
    assert refusal(build, session) == snapshot(
        """\
The recipe does not fit the model.
    tiny-int4: golden prompt 2 lets its answer have 512 tokens (max_new_tokens), and the model takes 512, those of the prompt among them
  what to do: Change these options in the recipe, or take another source.\
"""
    )


def test_what_fits_is_not_refused_and_its_forecast_grows_with_the_model(tmp_path: Path, session: Session) -> None:
    build = build_of(tmp_path)
    surveyed(build, session)
    expected = preflight.check([build], session)
    assert expected.disk_bytes and expected.memory_bytes
    larger = Session(Store(tmp_path / "larger"))
    surveyed(build, larger, layers=20)
    grown = preflight.forecast([build], larger, ask=False)
    assert grown.disk_bytes and grown.disk_bytes > expected.disk_bytes


def test_too_little_disk_is_refused_with_both_numbers(session: Session) -> None:
    with pytest.raises(Failure) as caught:
        preflight.check_room(Forecast(0, 10**17, 0), session.store)
    assert re.fullmatch(
        rf"{re.escape(str(session.store.root))}: About 100000000\.0 GB of disk are needed and \d+\.\d GB are free\.\n"
        r"  what to do: Free space \(`bakehouse prune` drops what no recipe uses\) or point PIPELINE_ARTIFACTS at a larger disk.",
        str(caught.value),
    )


def test_too_little_memory_is_refused_with_both_numbers(session: Session) -> None:
    with pytest.raises(Failure) as caught:
        preflight.check_room(Forecast(0, 0, 10**17), session.store)
    assert str(caught.value) == (
        f"About 100000000.0 GB of memory are needed and this machine has {memory.usable_bytes() / 1e9:.1f} GB.\n"
        "  what to do: Make it on a machine with more memory, and carry the artifacts folder over."
    )


def test_what_cannot_be_known_before_the_download_is_not_guessed(tmp_path: Path, session: Session) -> None:
    source = {**HUB, "gguf": "tiny.gguf"}
    build = build_of(tmp_path, source=source)
    assert preflight.forecast([build], session, ask=False) == Forecast(None, None, None)
    preflight.check_room(Forecast(None, None, None), session.store)


@pytest.mark.parametrize("name", ["memory.max", "memory/memory.limit_in_bytes"])
def test_a_container_has_no_more_memory_than_its_limit(name: str, tmp_path: Path) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("2000000000\n", encoding="ascii")
    assert memory.usable_bytes(tmp_path) == 2_000_000_000


def test_a_container_without_a_limit_has_the_memory_of_the_machine(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text("max\n", encoding="ascii")
    assert memory.usable_bytes(tmp_path) == memory.usable_bytes(tmp_path / "none") > 10**9


def test_a_gguf_file_of_the_hub_asks_for_nothing_beforehand_so_what_is_downloaded_needs_no_network(
    tmp_path: Path, session: Session
) -> None:
    build = build_of(tmp_path, source={**HUB, "gguf": "tiny.gguf"})
    put(build.checkpoint.need("download"), session.store)
    assert build.survey is None
    assert preflight.check([build], session) == Forecast(None, None, None)


def test_what_is_made_asks_for_no_tool_and_no_hub(tmp_path: Path, session: Session) -> None:
    build = replace(build_of(tmp_path), cannot="nncf not installed")
    put(build.package, session.store)
    session.store.expose(build.package, build.name, lambda: None)
    assert preflight.check([build], session) == Forecast(0, 0, 0)


@pytest.mark.parametrize("shares", [False, True])
def test_the_copy_that_a_package_is_takes_room_unless_the_disk_shares_blocks(
    tmp_path: Path, session: Session, shares: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clone, "can_share", lambda folder: shares)
    build = build_of(tmp_path)
    surveyed(build, session)
    before = preflight.forecast([build], session, ask=False)
    parts = sum(estimates.of(part, survey(640, 2)).disk_bytes for part in build.parts.values())
    assert before.copy_bytes == (0 if shares else parts)
    put(build.package, session.store, weights_bin="x" * 1000)
    assert preflight.check([build], session) == (Forecast(0, 0, 0) if shares else Forecast(0, 1000, 0, 1000))
    session.store.expose(build.package, build.name, lambda: None)
    assert preflight.check([build], session) == Forecast(0, 0, 0)


def test_a_step_that_is_there_hides_what_only_it_needs(tmp_path: Path, session: Session) -> None:
    build = build_of(tmp_path)
    put(build.package, session.store)
    assert preflight.missing([build], session.store) == ()
    session.store.drop(build.package)
    put(build.parts["model"], session.store)
    # a package tells its whole story, so all before it must be there
    kinds = [step.kind for step in preflight.missing([build], session.store)]
    checks = ["fidelity", "fidelity_reference", "numeric_check", "package", "reference", "reference_logits", "tokenizer", "validate"]
    assert sorted(kinds) == ["download", "export", *checks]


def test_what_is_there_is_looked_at_once_however_many_steps_read_it(tmp_path: Path) -> None:
    looked_at: list[str] = []

    class Looking(Store):
        def has(self, step: Step) -> bool:
            looked_at.append(step.key)
            return super().has(step)

    store = Looking(tmp_path / "artifacts")
    builds = planned(
        tmp_path / "recipes",
        recipe(source=HUB, builds={name: {"runtime": "openvino", "quantization": {"weights": name}} for name in ("int8", "fp16")}),
    ).builds
    put(builds[0].checkpoint, store)
    looked_at.clear()
    missing = preflight.missing(builds, store)
    assert {step.kind for step in missing} >= {"export", "tokenizer", "reference"}
    assert sorted(looked_at) == sorted({*(step.key for step in missing), builds[0].checkpoint.key})


@pytest.mark.parametrize(
    ("given", "card", "same"),
    [
        ("MIT", "mit", True),
        ("MIT", "llama3", False),
        ("Apache-2.0", "mit", False),
        ("GPL-3.0-only", "gpl-3.0", True),
        ("BSD-2-Clause", "bsd", True),
        ("MIT", "other", True),
        ("MIT", "", True),
        ("LicenseRef-Llama-3", "llama3", True),
    ],
)
def test_the_recipe_says_the_licence_that_the_sources_card_says(
    tmp_path: Path, session: Session, given: str, card: str, same: bool
) -> None:
    build = build_of(tmp_path, source={**HUB, "license": given})
    assert build.survey
    put(build.survey, session.store, survey_json=survey(640).model_copy(update={"license": card}).model_dump_json())
    if same:
        preflight.check([build], session)
    else:
        said = f"tiny-int4: its source's licence is {given} in the recipe and {card} on the repository's card"
        assert said in refusal(build, session)


@pytest.mark.parametrize(
    ("pairs", "reason"),
    [
        ({"split.count": 2}, "the GGUF is part 1 of 2; only a file with the whole model is read; take its safetensors checkpoint"),
        ({}, "its prompts are chats, and the GGUF has no chat template: ask by `raw`, or take a file that has one"),
    ],
    ids=["split", "no template"],
)
def test_a_local_gguf_is_read_before_the_work(pairs: dict[str, Any], reason: str, tmp_path: Path, session: Session) -> None:
    (tmp_path / "recipes").mkdir()
    write(tmp_path / "recipes" / "a model.gguf", {**PLAIN, **pairs})
    build = build_of(tmp_path, source={"type": "local", "path": "a model.gguf", "license": "MIT"})
    assert f"    tiny-int4: {reason}\n" in refusal(build, session)


def test_a_checkpoint_that_names_no_end_token_anywhere_is_refused_before_the_work(tmp_path: Path, session: Session) -> None:
    model = tmp_path / "recipes" / "model"
    model.mkdir(parents=True)
    (model / "config.json").write_text(json.dumps({"model_type": "llama"}), encoding="utf-8")
    (model / "tokenizer.json").write_text("{}", encoding="utf-8")
    (model / "model.safetensors").write_bytes(safetensors({"a": 100}))
    golden = [{"raw": "The capital of France is", "contains": ["Paris"]}]
    build = build_of(tmp_path, source={"type": "local", "path": "model", "license": "MIT"}, golden=golden)
    assert "No file of the checkpoint names a token that ends an answer" in refusal(build, session)
