"""Answers prompts about pictures with a package's model folder in openvino_genai's VLMPipeline, twice; see `twice`."""

from __future__ import annotations

import os
from functools import partial
from typing import Any

from bakehouse.backends.openvino.options import given
from bakehouse.backends.openvino.seams import LookRequest
from bakehouse.backends.openvino.workers import tokens_seen, twice
from bakehouse.backends.openvino.workers.generate import ACCURATE, Options
from bakehouse.child import events, start
from bakehouse.tasks.seams import RunResult
from bakehouse.tasks.vision_language.seams import Answer, Answers, Asked
from bakehouse.tasks.vision_language.workers import points

# What resizes pictures for Qwen's models (openvino_genai 2026.4.1): with "CPP" code that rounds points, as Pillow does, else a graph that
# does not, by which tokens may differ from the source's.
_RESIZED_BY = "VISION_PREPROCESS"


def answer(pipe: Any, one: Asked) -> Answer:
    """One answer, always with the most likely token."""
    import numpy as np
    import openvino as ov

    config = pipe.get_generation_config()
    config.do_sample, config.max_new_tokens = False, one.max_new_tokens
    streamer, tokens = tokens_seen.streamer()
    picture = ov.Tensor(np.array(points.read(one.picture))[None])
    made = pipe.generate(one.prompt, images=[picture], generation_config=config, streamer=streamer)
    kept = tokens_seen.without_ends(tokens, config)
    return Answer(tokens=kept, text=made.texts[0], prompt_tokens=made.perf_metrics.get_num_input_tokens())


def run(request: LookRequest) -> RunResult:
    """Write the answer to each prompt."""
    import openvino_genai

    def load(options: Options) -> Any:
        os.environ[_RESIZED_BY] = "CPP" if options == ACCURATE else ""
        return openvino_genai.VLMPipeline(request.model, request.device, **options)

    def look(pipe: Any) -> tuple[Answer, ...]:
        events.progress("answering", 0, len(request.questions), "prompts")
        return tuple(map(partial(answer, pipe), request.questions))

    own, used, result = twice.run(request, given(request.runtime_options), load, look)
    request.answers.write_text(Answers(answers=own, in_use=used).model_dump_json() + "\n", encoding="utf-8", newline="\n")
    return result


if __name__ == "__main__":
    start.run(run, LookRequest)
