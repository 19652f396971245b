"""The part of OpenAI's API that a package can answer: requests checked by models, answers and errors in its shape.

Fields and shapes are those of the API reference (platform.openai.com/docs/api-reference/chat); a field that would change the answer and
is not known here is refused, and not ignored.
"""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Iterator, Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from bakehouse.tasks.text_generation.workers.jobs import Answered, Job

# Of these every value is taken, or the one that changes nothing.
_HARMLESS = {"user", "metadata", "store", "safety_identifier", "prompt_cache_key", "service_tier", "parallel_tool_calls"}
_NEUTRAL: Mapping[str, JsonValue] = {
    "n": 1,
    "frequency_penalty": 0,
    "presence_penalty": 0,
    "logprobs": False,
    "tools": [],
    "logit_bias": {},
}
_DEFAULT_TOKENS = 1024


class BadRequest(Exception):
    """A request that cannot be answered: a sentence, and the field that it is about."""

    def __init__(self, what: str, param: str | None = None) -> None:
        super().__init__(what)
        self.param = param


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    type: Literal["text"]
    text: str


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    role: Literal["system", "developer", "user", "assistant"]
    content: str | tuple[_Part, ...]

    def plain(self) -> dict[str, str]:
        """As a chat template takes it; "developer" is OpenAI's newer word for the system."""
        text = self.content if isinstance(self.content, str) else "".join(part.text for part in self.content)
        return {"role": "system" if self.role == "developer" else self.role, "content": text}


class _StreamOptions(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    include_usage: bool = False


class ChatRequest(BaseModel):
    """What is posted to /v1/chat/completions."""

    model_config = ConfigDict(frozen=True, extra="allow")

    model: str
    messages: Annotated[tuple[_Message, ...], Field(min_length=1)]
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    seed: int | None = None
    stop: str | tuple[str, ...] | None = None
    stream: bool | None = False
    stream_options: _StreamOptions | None = None

    def job(self) -> Job:
        """The job that it comes to; the most likely token each time unless it sets a temperature."""
        stop = (self.stop,) if isinstance(self.stop, str) else self.stop or ()
        return Job(
            messages=tuple(message.plain() for message in self.messages),
            max_new_tokens=self.max_completion_tokens or self.max_tokens or _DEFAULT_TOKENS,
            temperature=self.temperature or 0.0,
            top_p=self.top_p or 1.0,
            seed=random.randrange(2**31) if self.seed is None else self.seed % 2**31,
            stop=stop,
        )


def read(body: object, model: str) -> ChatRequest:
    """The request in a body.

    Raises:
        BadRequest: it is not one, asks for another model, or for what is not known here.
    """
    try:
        request = ChatRequest.model_validate(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise BadRequest(f"{place or 'the body'}: {first['msg']}", place or None) from None
    for name, value in (request.model_extra or {}).items():
        if name not in _HARMLESS and value is not None and not (name in _NEUTRAL and value == _NEUTRAL[name]):
            raise BadRequest(f"{name} is not supported by this server.", name)
    if request.model != model:
        raise BadRequest(f"This server has the model {model!r}, and not {request.model!r}.", "model")
    return request


def error(what: str, *, kind: str = "invalid_request_error", param: str | None = None, code: str | None = None) -> dict[str, object]:
    """An error in OpenAI's shape."""
    return {"error": {"message": what, "type": kind, "param": param, "code": code}}


def models(name: str, created: int) -> dict[str, object]:
    """The answer of /v1/models."""
    return {"object": "list", "data": [{"id": name, "object": "model", "created": created, "owned_by": "bakehouse"}]}


class Answer:
    """One answer, complete or in chunks, under one id."""

    def __init__(self, request: ChatRequest) -> None:
        self._request, self._id, self._created = request, f"chatcmpl-{uuid.uuid4().hex}", int(time.time())

    def complete(self, text: str, answered: Answered) -> dict[str, object]:
        """The body of an answer that is not streamed."""
        choice = {"index": 0, "message": {"role": "assistant", "content": text, "refusal": None}, "logprobs": None}
        return self._head("chat.completion") | {
            "choices": [choice | {"finish_reason": _reason(answered)}],
            "usage": _usage(answered),
        }

    def first(self) -> dict[str, object]:
        """The chunk before the first text."""
        return self._chunk({"role": "assistant", "content": ""}, None)

    def piece(self, text: str) -> dict[str, object]:
        """A chunk of text."""
        return self._chunk({"content": text}, None)

    def last(self, answered: Answered) -> Iterator[dict[str, object]]:
        """The chunks after the last text: why it ends, and the usage if that is requested."""
        yield self._chunk({}, _reason(answered))
        if self._request.stream_options and self._request.stream_options.include_usage:
            yield self._head("chat.completion.chunk") | {"choices": [], "usage": _usage(answered)}

    def _chunk(self, delta: Mapping[str, str], reason: str | None) -> dict[str, object]:
        choice = {"index": 0, "delta": dict(delta), "logprobs": None, "finish_reason": reason}
        return self._head("chat.completion.chunk") | {"choices": [choice]}

    def _head(self, kind: str) -> dict[str, object]:
        return {"id": self._id, "object": kind, "created": self._created, "model": self._request.model}


def _reason(answered: Answered) -> str:
    return "length" if answered.finish == "length" else "stop"


def _usage(answered: Answered) -> dict[str, int]:
    total = answered.prompt_tokens + answered.tokens
    return {"prompt_tokens": answered.prompt_tokens, "completion_tokens": answered.tokens, "total_tokens": total}
