"""A stand-in for onnxruntime-genai-winml on a machine with a DirectX 12 GPU: as much of the module as the generating worker uses.

It says "ok" to everything, with the end token 2, and only where the model was loaded on DirectML.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


class Config:
    def __init__(self, folder: str) -> None:
        settings = json.loads((Path(folder) / "genai_config.json").read_text(encoding="utf-8"))
        self.providers = [name for one in settings["model"]["decoder"]["session_options"]["provider_options"] for name in one]

    def clear_providers(self) -> None:
        self.providers = []

    def append_provider(self, name: str) -> None:
        self.providers.append(name)


class Model:
    def __init__(self, config: Config) -> None:
        if unknown := [name for name in config.providers if name != "dml"]:
            raise RuntimeError(f"{unknown[0]} is not in this build")
        self.device_type = "DML" if config.providers else "CPU"


class Tokenizer:
    eos_token_ids = (2,)

    def __init__(self, model: Model) -> None:
        self.model = model

    def update_options(self, **options: str) -> None:
        pass

    def apply_chat_template(self, messages: str, **options: Any) -> str:
        return str(json.loads(messages)[-1]["content"])

    def encode(self, text: str) -> list[int]:
        return [5] * len(text.split())

    def decode(self, tokens: list[int]) -> str:
        return "ok" if tokens == [7, 2] and self.model.device_type == "DML" else "?"


class GeneratorParams:
    def __init__(self, model: Model) -> None:
        pass

    def set_search_options(self, **options: Any) -> None:
        pass


class Generator:
    def __init__(self, model: Model, params: GeneratorParams) -> None:
        self.said: list[int] = []

    def append_tokens(self, tokens: list[int]) -> None:
        pass

    def is_done(self) -> bool:
        return self.said[-1:] == [2]

    def generate_next_token(self) -> None:
        self.said.append(2 if self.said else 7)

    def get_next_tokens(self) -> list[int]:
        return self.said[-1:]
