"""What crosses to the workers of text generation and back: names and nesting as keys and records have them."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from bakehouse.tasks.text_generation import answer_file
from bakehouse.tasks.text_generation.seams import Failed, Figures, GenerateRequest, GenerateResult, Numeric, NumericResult, ReferenceSpec
from bakehouse.tasks.text_generation.workers import answers
from bakehouse.tasks.text_generation.workers.answers import AnswerRow, Prompt, PromptJson
from bakehouse.tasks.text_generation.workers.positions_to_check import Boundary

CHAT, RAW = Prompt(messages=({"role": "user", "content": "Hi"},), max_new_tokens=4), Prompt(raw="Once", max_new_tokens=2)
RUN = {"name": "short", "tokens": 24, "prefill": 12, "layers": 1, "of": 2}


def test_a_prompt_is_in_the_key_without_the_kind_of_text_that_it_does_not_have() -> None:
    spec = ReferenceSpec(prompts=(CHAT, RAW), float32_below=1, remote_code=False)
    assert json.loads(spec.model_dump_json())["prompts"] == [
        {"messages": [{"role": "user", "content": "Hi"}], "max_new_tokens": 4},
        {"raw": "Once", "max_new_tokens": 2},
    ]


@pytest.mark.needs_backend("npu_library")
def test_a_worker_without_models_has_the_fields_of_the_models() -> None:
    from bakehouse.backends.npu_library.workers import generate as npu_generate

    assert {one.name for one in fields(npu_generate.Request)} == GenerateRequest.model_fields.keys()
    assert {one.name for one in fields(npu_generate.Result)} <= GenerateResult.model_fields.keys()
    assert {one.name for one in fields(Prompt)} == PromptJson.__annotations__.keys()


def test_a_worker_without_models_reads_the_prompts_of_a_request() -> None:
    request = GenerateRequest(model=Path("model"), prompts=(CHAT, RAW), answers=Path("answers"))
    assert answers.prompts(json.loads(request.model_dump_json())["prompts"]) == (CHAT, RAW)


@pytest.mark.needs_backend("npu_library")
def test_the_workers_of_an_environment_without_pydantic_import_none() -> None:
    program = (
        "import sys; sys.modules['pydantic'] = None\n"
        "from bakehouse.backends.npu_library.workers import checkpoint, compile, generate\n"
        "from bakehouse.tasks.text_generation.workers import chats, loading"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_answers_are_read_as_they_were_written(tmp_path: Path) -> None:
    row = AnswerRow(
        index=0,
        prompt_ids=(1, 5),
        prompt_tokens=2,
        tokens=(7, 2),
        text="é\u2028",
        ended=True,
        first_token_s=0.25,
        tokens_per_s=None,
        runners=((3, 0.5), (4, 1e9)),
    )
    path = tmp_path / answer_file.NAME
    for index in range(2):
        answers.add(path, AnswerRow(**{**vars(row), "index": index}))
    assert answer_file.read(path) == [row, AnswerRow(**{**vars(row), "index": 1})]


@pytest.mark.parametrize(
    "run",
    [
        Figures(**RUN, crosses=Boundary("sliding_window", 16), kld=(1e-7,), relative=(2e-6,), same=1, positions=1),
        Failed(**RUN, error="kv_sequence_length"),
    ],
)
def test_the_figures_of_a_run_come_back_as_the_kind_that_they_were(run: Figures | Failed) -> None:
    result = NumericResult(numeric=Numeric(runs=(run,), not_checked=(("4,096 tokens", "too long"),), precision="float32"))
    assert NumericResult.model_validate_json(result.model_dump_json(exclude_none=True)) == result
