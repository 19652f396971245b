"""What is selected on the command line is checked before it runs, whatever it is called; and a GGUF file once it is read."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from inline_snapshot import snapshot

from bakehouse.app import selection
from bakehouse.app.tasks import Harness
from bakehouse.app.workspace import Workspace
from bakehouse.errors import Failure
from bakehouse.plan.plan import Plan
from tests.support import fakes
from tests.support.bench import INT4, recipe
from tests.support.surveys import survey

pytestmark = pytest.mark.needs_backend("openvino")

MISFIT = {"runtime": "openvino", "quantization": {**INT4, "group_size": 96, "ratio": 1.0}}
FITS = {"runtime": "openvino", "quantization": {"weights": "int8"}}
REASON = "tiny-odd: a group size of 96 does not divide every channel"


def harness(tmp_path: Path, plan: Plan) -> Harness:
    return Harness(Workspace(tmp_path / "recipes", fakes.Store(tmp_path / "artifacts"), plan), io.StringIO())


def planned(tmp_path: Path, **changes: Any) -> Plan:
    return fakes.planned(tmp_path / "recipes", recipe(**{"source": fakes.HUB, "builds": {"odd": MISFIT, "int8": FITS}} | changes))


def surveyed(tmp_path: Path, plan: Plan) -> Harness:
    """A harness that knows from the hub what the checkpoint is."""
    here = harness(tmp_path, plan)
    for build in plan.builds:
        assert build.survey
        fakes.put(build.survey, here.session.store, survey_json=survey(640).model_dump_json())
    return here


@pytest.mark.parametrize("name", ["build:tiny-odd", "convert:tiny-odd", "package:tiny-odd", "validate:tiny-o*"])
def test_a_step_is_refused_for_the_reasons_that_its_build_is_refused_for(name: str, tmp_path: Path) -> None:
    with pytest.raises(Failure) as caught:
        surveyed(tmp_path, planned(tmp_path)).check([name])
    assert REASON in str(caught.value)


@pytest.mark.parametrize("name", ["download:tiny", "export:tiny", "export:tiny-tokenizer", "validate:tiny-reference"])
def test_a_step_that_builds_share_is_made_if_one_of_them_can_be(name: str, tmp_path: Path) -> None:
    surveyed(tmp_path, planned(tmp_path)).check([name])


def test_a_step_that_leads_only_to_what_this_machine_cannot_make_is_refused(tmp_path: Path) -> None:
    plan = Plan(tuple(replace(build, cannot="nncf not installed") for build in planned(tmp_path, builds={"int8": FITS}).builds))
    here = surveyed(tmp_path, plan)
    with pytest.raises(Failure) as caught:
        here.check(["convert:tiny-int8"])
    assert str(caught.value) == snapshot(
        """\
This machine cannot make every requested build.
    tiny-int8: nncf not installed
  what to do: Install what is named, or leave those builds out.\
"""
    )
    here.check(["download:tiny"])
    assert (verb(plan, "convert"), verb(plan, "download")) == (["convert:tiny-int8"], ["download:tiny"])


def verb(plan: Plan, group: str) -> list[str]:
    """What a verb alone stands for."""
    return selection.expanded([group], [group], plan)


def test_a_verb_alone_is_all_of_it_that_leads_to_a_build_that_this_machine_can_make(tmp_path: Path) -> None:
    odd, int8 = planned(tmp_path).builds
    here = harness(tmp_path, Plan((replace(odd, cannot="nncf not installed"), int8)))
    assert verb(here.workspace.plan, "convert") == ["convert:tiny-int8"]
    assert verb(here.workspace.plan, "export") == ["export:tiny", "export:tiny-tokenizer"]


def test_chats_without_a_template_are_refused_as_soon_as_the_checkpoint_is_here(tmp_path: Path) -> None:
    plan = planned(tmp_path, builds={"int8": FITS})
    (build,), here = plan.builds, surveyed(tmp_path, plan)
    here.check(["build:tiny-int8"])
    fakes.put(build.checkpoint, here.session.store, config_json='{"model_type": "llama", "eos_token_id": 2}', tokenizer_config_json="{}")
    with pytest.raises(Failure) as caught:
        here.session.made(build.checkpoint)
    assert str(caught.value) == snapshot(
        """\
The recipe does not fit the model.
    tiny-int8: its prompts are chats, and the model has no chat template: ask by `raw`, or take a model that is made for chats
  what to do: Change these options in the recipe, or take another source.\
"""
    )


def test_raw_prompts_need_no_template(tmp_path: Path) -> None:
    plan = planned(tmp_path, builds={"int8": FITS}, golden=[{"raw": "The capital of France is", "contains": ["Paris"]}])
    (build,), here = plan.builds, surveyed(tmp_path, plan)
    here.check(["build:tiny-int8"])
    fakes.put(build.checkpoint, here.session.store, config_json='{"model_type": "llama", "eos_token_id": 2}')
    here.session.made(build.checkpoint)


def test_a_gguf_file_is_checked_as_soon_as_it_is_read(tmp_path: Path) -> None:
    plan = planned(tmp_path, source={**fakes.HUB, "gguf": "tiny.gguf"}, builds={"odd": MISFIT})
    (build,), here = plan.builds, harness(tmp_path, plan)
    here.check(["build:tiny-odd"])
    fakes.put(build.checkpoint, here.session.store, config_json='{"model_type": "bert"}', chat_template_jinja="{{ messages }}")
    with pytest.raises(Failure) as caught:
        here.session.made(build.checkpoint)
    assert str(caught.value) == snapshot(
        """\
The recipe does not fit the model.
    tiny-odd: no export of models of type bert for text generation has been shown to work with optimum-intel 2.1; \
with `unknown_architecture: try` the build tries it
  what to do: Change these options in the recipe, or take another source.\
"""
    )
