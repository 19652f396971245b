"""The reference computes the same for an input whatever came before it, and heeds only what its own class reads."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

import pytest

from bakehouse.tasks.text_generation.workers import reference_model, transformers_generate
from tests.support import cases
from tests.support.ort_logits import tokens

pytestmark = [pytest.mark.model, pytest.mark.needs_backend("onnxruntime_genai")]


def loaded(name: str) -> Any:
    return transformers_generate.load(cases.folder(name), remote_code=False, float32_below=1e9)


def test_a_long_input_changes_nothing_for_a_short_one_after_it() -> None:
    import torch

    model = loaded("rope-dynamic")  # of a context of 64

    def last(count: int) -> Any:
        with torch.inference_mode():
            return model(torch.tensor([tokens(count)])).logits[0, -1].clone()

    alone = reference_model.alone(model, last)
    first, longer, again, long_again = alone(40), alone(200), alone(40), alone(200)
    assert torch.equal(first, again)
    assert torch.equal(longer, long_again)
    assert not torch.equal(last(40), first)  # what transformers 5.5 does by itself


def test_tokens_from_the_cache_see_what_tokens_given_at_once_see() -> None:
    import torch

    model = loaded("left-over")  # a Llama with a sliding_window of 16 in its config.json
    ids = torch.tensor([tokens(40)])
    with torch.inference_mode():
        at_once = model(ids).logits[0, -1]
        cache = model(ids[:, :-2], use_cache=True).past_key_values
        for at in (38, 39):
            row = model(ids[:, at : at + 1], past_key_values=cache, use_cache=True).logits[0, -1]
    assert abs(row - at_once).max() < 1e-3


def test_an_answer_that_passes_the_original_context_has_all_its_tokens() -> None:
    import torch

    model = loaded("longrope64-cross")  # of an original context of 128
    ids = tokens(122)
    with torch.inference_mode():
        made = model.generate(torch.tensor([ids]), attention_mask=torch.ones(1, 122), do_sample=False, max_new_tokens=12, eos_token_id=None)
        answer = made[0].tolist()[122:]
        afresh = [int(model(torch.tensor([ids + answer[:count]])).logits[0, -1].argmax()) for count in range(12)]
    assert answer == afresh


def test_a_window_that_the_class_has_stays() -> None:
    from transformers import AutoConfig

    for name in ("sliding-mistral", "sliding-qwen2", "gemma2"):
        config = AutoConfig.from_pretrained(cases.folder(name))
        assert reference_model.forget_left_over(config) == []
        assert config.sliding_window in (16, 64)


def test_no_class_loses_a_window_that_its_own_code_heeds() -> None:
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    heed = re.compile(r"create_sliding_window_causal_mask\(|(?<!self\.)config\.sliding_window|self\.config\.sliding_window")
    seen = 0
    for kind in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        own = CONFIG_MAPPING[kind]
        folder = Path(str(importlib.import_module(own.__module__).__file__)).parent
        if any(heed.search(path.read_text(encoding="utf-8")) for path in folder.glob("modeling_*.py")):
            seen += 1
            assert hasattr(own().get_text_config(decoder=True), "sliding_window"), kind
    assert seen > 20
