"""The golden inputs of text generation: prompts, and what their answers must be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar, Literal, Self

from pydantic import ConfigDict, Field

from bakehouse.recipe.model import Fault, Model, all_of
from bakehouse.recipe.types import Expression, Text, quoted


class Message(Model):
    """One turn of a chat."""

    role: Literal["system", "user", "assistant"] = Field(description="Who speaks.")
    content: Text = Field(description="The text of the turn.")


class Golden(Model):
    """A prompt and what its answer must be: one of prompt, messages and raw, and at least one expectation."""

    task: ClassVar[str] = "text-generation"

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [{"required": ["prompt"]}, {"required": ["messages"]}, {"required": ["raw"]}],
            "anyOf": [{"required": ["contains"]}, {"required": ["matches"]}, {"required": ["equals"]}],
        }
    )

    prompt: Text | None = Field(None, description="One user message, put through the chat template.")
    messages: tuple[Message, ...] | None = Field(
        None, min_length=1, description="A complete chat, put through the chat template; the user speaks last."
    )
    raw: Text | None = Field(None, description="Text given to the model unchanged, without the chat template.")
    contains: tuple[Text, ...] = Field((), description="Texts that the answer must contain, all of them.")
    matches: Expression | None = Field(None, description="Python regular expression that must be found in the answer; not with equals.")
    equals: Text | None = Field(None, description="The complete answer, except for white space at its ends.")
    max_new_tokens: int = Field(64, ge=1, le=4096, description="Most tokens the answer may have.")
    ends: bool = Field(True, description="Whether the answer must end by itself within max_new_tokens.")

    def faults(self) -> Iterator[Fault]:
        yield from super().faults()
        yield from _prompt_faults(self)
        yield from _expectation_faults(self)

    def normal(self) -> Self:
        """The same prompt spelled out: a chat of one user message, what must be contained as a set, `equals` without blanks around it."""
        messages = self.messages if self.prompt is None else (Message(role="user", content=self.prompt),)
        contains = tuple(sorted(set(self.contains)))
        equals = None if self.equals is None else self.equals.strip()
        return self.model_copy(update={"prompt": None, "messages": messages, "contains": contains, "equals": equals})


def _prompt_faults(golden: Golden) -> Iterator[Fault]:
    given = [name for name in ("prompt", "messages", "raw") if getattr(golden, name) is not None]
    if not given:
        yield Fault((), "The prompt is missing.", "Add one of prompt, messages and raw.")
    for name in given[1:]:
        yield Fault((name,), f"`{given[0]}` is the prompt already.", "Keep one of prompt, messages and raw.")
    for position, message in enumerate(golden.messages or ()):
        if message.role == "system" and position:
            yield Fault(
                ("messages", position, "role"),
                "Only the first message can be a system message.",
                "Put it first, or make it a user message.",
            )
    if golden.messages and golden.messages[-1].role != "user":
        last = ("messages", len(golden.messages) - 1, "role")
        yield Fault(last, "The last message must be the user's, because the model answers the user.", "End with a user message.")


def _expectation_faults(golden: Golden) -> Iterator[Fault]:
    if not (golden.contains or golden.matches or golden.equals):
        yield Fault((), "Nothing is expected of the answer.", "Add one of contains, matches and equals.")
    if golden.equals is None:
        return
    expected = golden.equals.strip()
    remedy = "Keep only what you expect."
    for position, text in enumerate(golden.contains):
        if text not in expected:
            yield Fault(("contains", position), f"An answer cannot equal {quoted(expected)} and contain this.", remedy)
    if golden.matches is not None:  # nothing is matched here: an expression may take hours
        yield Fault(("matches",), "`equals` is the complete answer already.", "Keep one of matches and equals.")


def mine(golden: Sequence[Model]) -> tuple[Golden, ...]:
    """The golden inputs of a recipe of this task, which are all of this kind."""
    return all_of(Golden, golden)
