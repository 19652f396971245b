"""Loads a model in openvino_genai, with a draft or adapters where there are some, and counts what the draft is good for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bakehouse.backends.openvino.adapters import WEIGHTS
from bakehouse.child import events
from bakehouse.tasks.workers.hard_texts import TEXTS

WHOLE_PROMPTS = 1 << 32  # tokens, more than a prompt has
_REMEDY = "Take a draft with the model's own tokenizer, such as a smaller model of the same family, or leave it out."


def load(model: Path, device: str, options: Mapping[str, str | int], draft: Path | None = None, adapters: Sequence[Path] = ()) -> Any:
    """The model, loaded with these options; a draft gets the same ones, as OpenVINO GenAI has it for one without its own.

    Adapters act in every answer, but those for which the configuration of the answer names others.
    """
    import openvino_genai

    arguments: dict[str, Any] = dict(options)
    if adapters:
        arguments["adapters"] = openvino_genai.AdapterConfig([openvino_genai.Adapter(folder / WEIGHTS) for folder in adapters])
    caching = arguments.pop("enable_prefix_caching", None)
    if caching is not None:
        arguments["scheduler_config"] = scheduler(enable_prefix_caching=bool(caching))
    if draft is not None:
        refuse_other_tokens(openvino_genai.Tokenizer(model), openvino_genai.Tokenizer(draft))
        arguments["draft_model"] = openvino_genai.draft_model(draft, device)
    return openvino_genai.LLMPipeline(model, device, **arguments)


def scheduler(*, enable_prefix_caching: bool) -> Any:
    """The scheduler that LLMPipeline has by itself (get_latency_oriented_scheduler_config), but for this option."""
    import openvino_genai

    made = openvino_genai.SchedulerConfig()
    made.max_num_batched_tokens = WHOLE_PROMPTS
    made.enable_prefix_caching = enable_prefix_caching
    return made


def refuse_other_tokens(model: Any, draft: Any) -> None:
    """End here if two tokenizers differ: openvino_genai compares how many tokens they make of one sentence, and three special tokens."""
    if model.get_vocab() != draft.get_vocab():
        events.refuse("The draft's tokenizer has other tokens than the model's.", _REMEDY)
    for text in TEXTS:
        one, other = (list(tokenizer.encode(text).input_ids.data[0]) for tokenizer in (model, draft))
        if one != other:
            events.refuse(f"The draft's tokenizer makes other tokens of {text!r} than the model's.", _REMEDY)
    if model.get_eos_token_id() != draft.get_eos_token_id():
        events.refuse("The draft's tokenizer has another end token than the model's.", _REMEDY)


def counts(made: Any) -> tuple[int, int]:
    """Of one answer the tokens that the draft proposed, and those that the model chose, too.

    Where openvino_genai cannot compute attention paged, it goes on without the draft and says so in a warning only: that ends here.
    """
    measured = made.extended_perf_metrics
    if not hasattr(measured, "get_num_draft_tokens"):
        events.refuse("OpenVINO GenAI did not use the draft.", "Leave the draft out, or report this: the log has its warning.")
    return measured.get_num_draft_tokens(), measured.get_num_accepted_tokens()
