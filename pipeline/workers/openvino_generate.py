"""Answers prompts greedily with a package's model folder in openvino_genai, as a user of the package would.

In the model's own precision (ACCURATE): left to itself the CPU plugin computes in bfloat16 where the processor has instructions for
it, and rounds activations, so that one package answers in one way on one processor and in another on the next.
"""

from __future__ import annotations

import argparse
import time
from functools import partial
from pathlib import Path
from typing import Any

from pipeline.workers import answers, chats, events, hermetic, leash

ACCURATE = {"EXECUTION_MODE_HINT": "ACCURACY"}


def encode(tokenizer: Any, prompt: answers.Prompt) -> Any:
    """The prompt's ids and mask: messages through the folder's chat template, raw text with the tokenizer's own special tokens."""
    if "messages" in prompt:
        template = chats.still(tokenizer.chat_template)
        text = tokenizer.apply_chat_template(prompt["messages"], add_generation_prompt=True, chat_template=template)
        return tokenizer.encode(text, add_special_tokens=False)
    return tokenizer.encode(prompt["raw"], add_special_tokens=True)


def answer(pipe: Any, index: int, prompt: answers.Prompt) -> answers.Answer:
    """One greedy answer; ends at the end tokens of the folder's generation_config.json."""
    import openvino_genai

    config = pipe.get_generation_config()
    config.do_sample = False
    config.max_new_tokens = prompt["max_new_tokens"]
    tokenizer = pipe.get_tokenizer()
    inputs = encode(tokenizer, prompt)
    made = pipe.generate(inputs, config)
    tokens = list(made.tokens[0])
    ids = inputs.input_ids.data[0].tolist()
    return answers.Answer(
        index=index,
        prompt_ids=ids,
        prompt_tokens=len(ids),
        tokens=tokens,
        text=tokenizer.decode(tokens, skip_special_tokens=True),
        ended=made.finish_reasons[0] == openvino_genai.GenerationFinishReason.STOP,
        first_token_s=made.perf_metrics.get_ttft().mean / 1000,
        tokens_per_s=made.perf_metrics.get_throughput().mean if len(tokens) > 1 else None,
    )


def main() -> None:
    """`MODEL_FOLDER REQUEST ANSWERS [--device CPU]`."""
    leash.hold()
    hermetic.seal()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("request", type=Path)
    parser.add_argument("answers", type=Path)
    parser.add_argument("--device", default="CPU")
    told = parser.parse_args()
    events.progress("loading the model")
    import openvino as ov
    import openvino_genai

    started = time.monotonic()
    pipe = openvino_genai.LLMPipeline(told.model, told.device, **ACCURATE)
    load_s = time.monotonic() - started
    answers.write(told.answers, answers.prompts(told.request), partial(answer, pipe))
    name = ov.Core().get_property(told.device, "FULL_DEVICE_NAME")
    config = pipe.get_generation_config()
    ends = sorted({*config.stop_token_ids, config.eos_token_id})
    answers.report(told.device, str(name).strip(), load_s, end_tokens=ends, runtime_options=ACCURATE)


if __name__ == "__main__":
    main()
