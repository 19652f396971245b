"""What transformers reports of loading a checkpoint is judged, and a prompt that the embedding cannot take is refused."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from inline_snapshot import snapshot

from bakehouse.child import events
from bakehouse.formats import safetensors_files
from bakehouse.tasks.text_generation.workers import loading
from tests.support import cases

WHOLE: dict[str, Any] = {"missing_keys": set(), "unexpected_keys": set(), "mismatched_keys": set(), "error_msgs": []}


class Model:
    """A model with one parameter, as far as a judge of names looks at it."""

    def named_parameters(self) -> list[tuple[str, None]]:
        return [("h.0.attn.bias", None)]


def refusal(capfd: pytest.CaptureFixture[str], **report: Any) -> list[str]:
    with pytest.raises(SystemExit):
        loading.judge(WHOLE | report, Model())
    line = next(line for line in capfd.readouterr().out.splitlines() if line.startswith(events.MARK))
    details: list[str] = json.loads(line.removeprefix(events.MARK))["details"]
    return details


def test_a_complete_model_and_buffers_that_are_computed_pass() -> None:
    loading.judge(WHOLE, Model())
    loading.judge(WHOLE | {"unexpected_keys": {"model.layers.0.self_attn.rotary_emb.inv_freq", "h.1.attn.masked_bias"}}, Model())


def test_what_differs_is_named(capfd: pytest.CaptureFixture[str]) -> None:
    assert refusal(capfd, missing_keys={"b", "a"}) == ["missing: a", "missing: b"]
    assert refusal(capfd, unexpected_keys=["c"]) == snapshot(["not of this architecture: c"])
    assert refusal(capfd, unexpected_keys=["h.0.attn.bias"]) == snapshot(["not of this architecture: h.0.attn.bias"])
    assert refusal(capfd, mismatched_keys={("e", (3, 2), (4, 2))}) == snapshot(
        ["of another size: e: 3 x 2 in the file, 4 x 2 by config.json"]
    )


def test_of_the_first_layers_only_what_later_ones_have_may_be_left_over(capfd: pytest.CaptureFixture[str]) -> None:
    left = {"model.layers.2.mlp.up_proj.weight", "model.layers.10.mlp.up_proj.weight"}
    loading.judge(WHOLE | {"unexpected_keys": left}, Model(), first=2)
    with pytest.raises(SystemExit):
        loading.judge(WHOLE | {"unexpected_keys": left | {"model.layers.1.w", "score.weight"}}, Model(), first=2)
    assert '["not of this architecture: model.layers.1.w", "not of this architecture: score.weight"]' in capfd.readouterr().out
    assert len(refusal(capfd, unexpected_keys=left)) == 2


def test_of_very_many_names_the_first_dozen_are_shown(capfd: pytest.CaptureFixture[str]) -> None:
    fields = refusal(capfd, missing_keys={f"w{number:03}" for number in range(100)})
    assert (len(fields), fields[-1]) == (13, "missing: 88 more")


def test_token_ids_beyond_the_embedding_are_refused_with_their_tokens(capfd: pytest.CaptureFixture[str]) -> None:
    embedding = SimpleNamespace(weight=SimpleNamespace(shape=(1000, 64)))
    model = SimpleNamespace(get_input_embeddings=lambda: embedding)
    tokenizer = SimpleNamespace(convert_ids_to_tokens=lambda number: f"<{number}>")
    loading.refuse_beyond(model, tokenizer, [0, 999])
    with pytest.raises(SystemExit):
        loading.refuse_beyond(model, tokenizer, [1, 1001, 1000, 1001])
    assert '["<1000>: 1000", "<1001>: 1001"]' in capfd.readouterr().out


def tensors(path: Path, **values: bytes) -> None:
    header, at = {}, 0
    for name, value in values.items():
        header[name.replace("__", ".")] = {"dtype": "U8", "shape": [len(value)], "data_offsets": [at, at := at + len(value)]}
    raw = json.dumps(header).encode()
    path.write_bytes(len(raw).to_bytes(8, "little") + raw + b"".join(values.values()))


def test_a_tied_head_counts_as_two_only_where_its_bytes_differ(tmp_path: Path) -> None:
    path = tmp_path / safetensors_files.SINGLE
    tensors(path, model__embed_tokens__weight=b"abc", lm_head__weight=b"abc")
    assert not loading.has_two_heads(tmp_path)
    tensors(path, model__embed_tokens__weight=b"abc", between=b"x", lm_head__weight=b"abd")
    assert loading.has_two_heads(tmp_path)
    tensors(path, model__embed_tokens__weight=b"abc")
    assert not loading.has_two_heads(tmp_path)


@pytest.mark.needs_backend("onnxruntime_genai")
def test_a_source_with_two_heads_does_not_tie_whatever_its_config_says() -> None:

    from bakehouse.backends.onnxruntime_genai.source import Generation, Source

    fields = {"model_type": "llama", "tie_word_embeddings": True}
    assert [Source(fields, Generation(), None, two_heads=two).ties for two in (False, True)] == [True, False]


@pytest.mark.model
@pytest.mark.parametrize("name", ["missing-tensor", "headless", "extra-tensor", "prefixed-weights", "vocab-off-by-one", "tied-but-two"])
def test_every_way_of_loading_judges_the_same(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    from transformers import AutoModelForCausalLM

    folder = cases.folder(name)
    if name == "tied-but-two":  # transformers uses both as they are
        assert not loading.causal_lm(folder).lm_head.weight.equal(loading.causal_lm(folder).model.embed_tokens.weight)
        return
    with pytest.raises(SystemExit):
        loading.causal_lm(folder)
    own = capfd.readouterr().out
    with pytest.raises(SystemExit), loading.watched():
        AutoModelForCausalLM.from_pretrained(folder)
    assert own == capfd.readouterr().out != ""
    AutoModelForCausalLM.from_pretrained(cases.folder("tied-but-two"))  # nothing is left behind
