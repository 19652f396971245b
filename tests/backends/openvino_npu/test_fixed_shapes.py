"""Which models the NPU pipeline's graphs of fixed shape cannot compute: known from config.json, and found by comparing logits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from inline_snapshot import snapshot

from bakehouse.backends.openvino.seams import ExportRequest, TokenizerRequest
from bakehouse.backends.openvino_npu import fixed_shapes as npu_static
from bakehouse.backends.openvino_npu.seams import GenerateRequest
from bakehouse.backends.openvino_npu.workers import logits as npu_logits
from bakehouse.steps.maker import worker as command
from bakehouse.tasks.text_generation.seams import Failed, Figures, GenerateResult
from tests.support import standin, worker
from tests.support.cases import making
from tests.support.npu_making import build

AT_ONCE, CHUNKS = {"max_prompt_len": 1024, "min_response_len": 128}, {"max_prompt_len": 2048, "min_response_len": 128}
STATIC = {**CHUNKS, "prefill_hint": "STATIC"}
MIXED = {"layer_types": ["full_attention", "sliding_attention"], "use_sliding_window": True, "sliding_window": 2047}


def reasons(kind: str, asked: dict[str, Any], **config: Any) -> list[str]:
    fields = {"model_type": kind, "num_hidden_layers": 2, "max_position_embeddings": 32768, **config}
    return list(npu_static.reasons(fields, build(**asked)))


@pytest.mark.parametrize(
    ("kind", "asked", "config"),
    [
        ("llama", CHUNKS, {}),
        ("mistral", AT_ONCE, {"sliding_window": None}),
        ("mistral", CHUNKS, {"sliding_window": 1500}),
        ("mixtral", AT_ONCE, {}),
        ("phi3", AT_ONCE, {"sliding_window": 2047}),
        ("phi3", STATIC, {"sliding_window": 2047}),
        ("phi3", CHUNKS, {"sliding_window": 2047}),
        ("qwen2", AT_ONCE, {"sliding_window": 4096, "use_sliding_window": False}),
        ("qwen2_moe", AT_ONCE, {"sliding_window": 4096, "use_sliding_window": False}),
        ("qwen3", STATIC, MIXED),
        ("qwen3", AT_ONCE, MIXED),
        ("qwen3", CHUNKS, {**MIXED, "sliding_window": 4096}),
        ("llama", STATIC, {"rope_scaling": {"rope_type": "dynamic", "factor": 2.0}, "max_position_embeddings": 1536}),
        ("phi3", CHUNKS, {"sliding_window": None, "rope_scaling": {"type": "longrope"}, "original_max_position_embeddings": 4096}),
    ],
)
def test_what_the_graphs_compute_rightly_is_not_refused(kind: str, asked: dict[str, Any], config: dict[str, Any]) -> None:
    assert reasons(kind, asked, **config) == []


@pytest.mark.parametrize("kind", ["mistral", "mixtral", "phimoe", "starcoder2"])
@pytest.mark.parametrize("asked", [AT_ONCE, STATIC])
def test_a_window_whose_prompt_graph_does_not_compile_is_refused_before_the_work(kind: str, asked: dict[str, Any]) -> None:
    assert reasons(kind, asked, sliding_window=4096) == [
        f"the NPU pipeline cannot compile a {kind} with a sliding window for a prompt that is taken at once; "
        "take it in chunks: prefill_hint DYNAMIC and max_prompt_len above 1,024"
    ]


@pytest.mark.parametrize("kind", ["qwen3", "cohere2"])
def test_windows_of_some_layers_are_refused_where_prompts_come_in_chunks_beyond_them(kind: str) -> None:
    (reason,) = reasons(kind, CHUNKS, **MIXED)
    assert reason == snapshot(
        "the NPU pipeline takes prompts in chunks of 1,024 tokens, and computes something else beyond the sliding window of 2,047 tokens "
        "where only some layers have it; prefill_hint STATIC or max_prompt_len of at most 1,024 takes them at once"
    )


@pytest.mark.parametrize("asked", [{**AT_ONCE, "max_prompt_len": 960}, CHUNKS])
def test_windows_of_some_layers_that_go_neither_at_once_nor_in_chunks_need_another_runtime(asked: dict[str, Any]) -> None:
    (reason,) = reasons("qwen2", asked, **{**MIXED, "sliding_window": 512})
    assert reason.endswith(("build it for the runtime openvino", "use the runtime openvino"))


@pytest.mark.parametrize("kind", ["dynamic", "longrope"])
def test_rotary_embeddings_of_the_length_are_refused_where_prompts_come_in_chunks_beyond_it(kind: str) -> None:
    rope = {"rope_type": kind, "factor": 2.0, "original_max_position_embeddings": 1536}
    (reason,) = reasons("llama", CHUNKS, rope_scaling=rope)
    assert reason.startswith("the NPU pipeline takes prompts in chunks of 1,024 tokens, and computes something else beyond 1,536 tokens")


def test_prompts_beyond_each_boundary_that_the_graphs_hold_are_compared() -> None:
    config = {"model_type": "phi3", "max_position_embeddings": 4096, "sliding_window": 2047}
    assert npu_logits.prompts_of(config, 4032) == (24, 2040, 2110)
    assert npu_logits.prompts_of(config, 1024) == (24, 1016)
    assert npu_logits.prompts_of(config, 64) == (24, 56)
    assert npu_logits.prompts_of(config, 4032, large=True) == (2040, 2110)


OF: dict[str, Any] = {"name": "prompt", "tokens": 64, "layers": 1, "of": 1}


def _run(prefill: int, *kld: float) -> Figures:
    return Figures(**OF, prefill=prefill, kld=kld, relative=(0.0,) * len(kld), same=0, positions=len(kld))


def test_a_prompt_whose_last_token_is_off_is_a_fault_and_what_rounding_does_is_none() -> None:
    right, wrong = _run(24, 1e-5, 1e-5, 0.5, 1e-5, 1e-5), _run(56, 0.08, 1e-4, 1e-4)
    assert list(npu_logits.faults([right], experts=False)) == []
    (fault,) = npu_logits.faults([right, wrong], experts=False)
    assert fault == snapshot("after a prompt of 56 tokens the logits differ: KLD 0.08, a difference of up to 0 standard deviations")
    assert list(npu_logits.faults([right, wrong], experts=True)) == []
    assert len(list(npu_logits.faults([right, wrong, wrong], experts=True))) == 2
    assert list(npu_logits.faults([Failed(**OF, prefill=24, error="no")], experts=True)) == snapshot(
        ["a prompt of 24 tokens does not run: no"]
    )


def _exported(kind: str, **config: Any) -> Path:
    """A model of eight layers in OpenVINO, with its tokenizer; once a machine."""

    def make(files: Path) -> None:
        checkpoint = files / "checkpoint"
        making.save(making.model(kind, num_hidden_layers=8, sliding_window=48, **config), checkpoint)
        for name, request_of in (("export", ExportRequest), ("tokenizer", TokenizerRequest)):
            request = request_of(checkpoint=checkpoint, files=files / "model", remote_code=False)
            done = worker.run(command(f"backends.openvino.workers.{name}", request=request))
            assert done.code == 0, done.text

    return standin.made_once(f"npu-static-1-{kind}", make) / "model"


def _answered(model: Path, folder: Path, **settings: str) -> worker.Said:
    usual = {"MAX_PROMPT_LEN": "128", "MIN_RESPONSE_LEN": "64", "PREFILL_HINT": "DYNAMIC", "GENERATE_HINT": "FAST_COMPILE"}
    plain = worker.to_generate(model, [{"raw": "The quick brown fox", "max_new_tokens": 4}], folder)
    request = GenerateRequest(**dict(plain), settings=usual | settings, platforms=())
    return worker.run(command("backends.openvino_npu.workers.generate", request=request))


@pytest.mark.model
def test_graphs_that_are_not_the_model_are_refused_and_those_that_are_pass(tmp_path: Path) -> None:
    mixed = _exported("qwen3", head_dim=16, use_sliding_window=True, max_window_layers=1)
    right = _answered(mixed, tmp_path)
    assert right.code == 0, right.text
    graphs = right.report.read(GenerateResult).graphs
    assert graphs is not None and graphs.prompts == (24, 56, 120) and graphs.largest_kld < 1e-3
    chunks = _answered(mixed, tmp_path, NPUW_LLM_PREFILL_CHUNK_SIZE="64")
    assert chunks.refusal.startswith("The NPU pipeline's graphs of fixed shape do not compute what the model computes.\n")
    assert "\nafter a prompt of 120 tokens the logits differ: KLD 0." in chunks.refusal


@pytest.mark.model
def test_a_mistral_with_a_window_is_compiled_in_chunks_only(tmp_path: Path) -> None:
    model = _exported("mistral")
    refused = _answered(model, tmp_path)
    assert refused.refusal.startswith("The NPU pipeline cannot load this model with its graphs of fixed shape.\n")
    assert "Traceback" not in refused.text
    assert _answered(model, tmp_path, NPUW_LLM_PREFILL_CHUNK_SIZE="64").code == 0
