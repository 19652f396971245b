"""Stands in for openvino_genai in children of tests: a model with a token a word that repeats the end of its prompt.

What a prompt ends with decides: "forever" and "slowly" are answered without an end, "crash" ends the
process, "abc.." comes in pieces of a letter.
"""

from __future__ import annotations

import enum
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import openvino


class StreamingStatus(enum.Enum):
    RUNNING, CANCEL = 0, 1


class GenerationFinishReason(enum.Enum):
    STOP, LENGTH = 0, 1


@dataclass
class TokenizedInputs:
    input_ids: openvino.Tensor
    attention_mask: Any = None
    text: str = ""


class Tokenizer:
    chat_template = "made up"

    def apply_chat_template(self, messages: list[dict[str, str]], add_generation_prompt: bool, chat_template: str) -> str:
        if messages[-1]["role"] != "user":
            raise RuntimeError("the user speaks last")
        return " ".join(f"<{message['role']}> {message['content']}" for message in messages)

    def encode(self, text: str, add_special_tokens: bool) -> TokenizedInputs:
        return TokenizedInputs(openvino.Tensor([list(range(len(text.split())))]), text=text)


@dataclass
class Config:
    max_new_tokens: int = 0
    do_sample: bool = False
    ignore_eos: bool = False
    temperature: float = 1.0
    top_p: float = 1.0
    rng_seed: int = 0


@dataclass
class Times:
    first_s: float

    def get_ttft(self) -> Any:
        return SimpleNamespace(mean=self.first_s * 1000)

    def get_throughput(self) -> Any:
        return SimpleNamespace(mean=50.0)


@dataclass
class Result:
    tokens: list[list[int]]
    finish_reasons: list[GenerationFinishReason]
    perf_metrics: Times = field(default_factory=lambda: Times(0.02))


class LLMPipeline:
    def __init__(self, folder: Any, device: str, **options: Any) -> None:
        self.options = options

    def get_tokenizer(self) -> Tokenizer:
        return Tokenizer()

    def get_generation_config(self) -> Config:
        return Config()

    def generate(self, inputs: TokenizedInputs, config: Config, streamer: Callable[[str], StreamingStatus]) -> Result:
        made, reason = 0, GenerationFinishReason.LENGTH
        for text in _pieces(inputs, config, self.options):
            made += 1
            if streamer(text) is StreamingStatus.CANCEL or made == config.max_new_tokens:
                break
        else:
            reason = GenerationFinishReason.STOP
        return Result([[0] * made], [reason])


def _pieces(inputs: TokenizedInputs, config: Config, options: dict[str, Any]) -> Iterator[str]:
    words = inputs.text.split()
    last = words[-1] if words else ""
    if last == "crash":
        os._exit(9)
    if last == "options":
        yield f"{options} sampled={config.do_sample} seed={config.rng_seed}"
        return
    while last == "slowly":
        time.sleep(0.3)
        yield "step "
    while config.ignore_eos or last == "forever":
        time.sleep(0.001)
        yield "on and "
    yield from last if last.startswith("abc") else [f"{word} " for word in words[-3:]]
