"""In which layers of a model adapters act in openvino_genai: each layer's part of an adapter is applied by itself, and has to be seen.

The runtime says only in its log what it passed over, and of some tensors not even that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bakehouse.backends.openvino.adapters import PREFIX, WEIGHTS
from bakehouse.backends.openvino.workers import pipelines
from bakehouse.child import events
from bakehouse.tasks.text_generation.seams import AdaptedAnswers

Written = tuple[list[int], float]

_TEXT = "The quick brown fox jumps over"
_TOKENS = 1  # that are written each time: every layer has a part in the first
_STRENGTHS = (32.0, 4096.0)  # of a part: also a weak one has to be seen in a sum of 32-bit numbers


def acting(model: Path, device: str, options: Mapping[str, str | int], adapters: Sequence[Path]) -> AdaptedAnswers:
    """How many layers' parts the adapters have, and which of them change nothing."""
    import openvino_genai

    parts = dict(_parts(adapters))
    events.progress("looking where the adapters act")
    every = openvino_genai.AdapterConfig(list(parts.values()))
    scheduler = pipelines.scheduler(enable_prefix_caching=False)  # what is kept of a prompt was computed with other adapters
    pipe = openvino_genai.LLMPipeline(model, device, adapters=every, scheduler_config=scheduler, **options)
    plain = _written(pipe, openvino_genai.AdapterConfig())
    if _written(pipe, openvino_genai.AdapterConfig()) != plain:
        events.refuse(
            "OpenVINO GenAI gives the same prompt other numbers each time, so that nothing can be seen of the adapters.", "Try again."
        )
    unseen = []
    for number, (name, part) in enumerate(parts.items()):
        events.progress("looking where the adapters act", number, len(parts), "layers")
        if not any(_acts(pipe, part, strength, plain) for strength in _STRENGTHS):
            unseen.append(name)
    return AdaptedAnswers(layers=len(parts), without_effect=tuple(unseen))


def _parts(adapters: Sequence[Path]) -> Iterator[tuple[str, Any]]:
    """Each layer's pair of matrices as an adapter of its own; a pair of which one is zero can change nothing, and is left out."""
    import numpy as np
    import openvino as ov
    import openvino_genai
    from safetensors.torch import load_file, save

    for folder in adapters:
        tensors = load_file(folder / WEIGHTS)
        for name in sorted(tensors):
            layer, end, _ = name.partition(".lora_A.weight")
            pair = {one: tensors[one] for one in (name, f"{layer}.lora_B.weight")} if end else {}
            if pair and all(bool(one.any()) for one in pair.values()):
                content = np.frombuffer(save(pair), dtype=np.uint8)
                yield f"{folder.name}: {layer.removeprefix(PREFIX)}", openvino_genai.Adapter(ov.Tensor(content.copy()))


def _acts(pipe: Any, part: Any, strength: float, plain: Written) -> bool:
    """Whether anything is written otherwise with a part of this strength.

    Without adapters in between: where only the strength is another, the runtime (2026.4.1) ends with "Tensor was not initialized".
    """
    import openvino_genai

    _written(pipe, openvino_genai.AdapterConfig())
    return _written(pipe, openvino_genai.AdapterConfig(part, strength)) != plain


def _written(pipe: Any, adapters: Any) -> Written:
    """The tokens that it writes with these adapters, and how likely they were."""
    config = pipe.get_generation_config()
    config.do_sample, config.max_new_tokens, config.ignore_eos, config.logprobs = False, _TOKENS, True, 1
    config.adapters = adapters
    made = pipe.generate(pipe.get_tokenizer().encode(_TEXT), config)
    return [int(token) for token in made.tokens[0]], float(made.scores[0])
