"""The tokens that a pipeline of openvino_genai writes, where its result has only the text: a streamer sees them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def streamer() -> tuple[Any, list[int]]:
    """A streamer for one answer, and the list that it fills."""
    import openvino_genai

    tokens: list[int] = []

    class Listener(openvino_genai.StreamerBase):  # type: ignore[misc]
        def write(self, token: int | list[int]) -> Any:
            tokens.extend(token if isinstance(token, list) else [token])
            return openvino_genai.StreamingStatus.RUNNING

        def end(self) -> None:
            """Nothing is open."""

    return Listener(), tokens


def without_ends(tokens: Iterable[int], config: Any) -> tuple[int, ...]:
    """The tokens of an answer without those that end it by the pipeline's generation config."""
    ends = {*config.stop_token_ids, config.eos_token_id}
    return tuple(token for token in tokens if token not in ends)
