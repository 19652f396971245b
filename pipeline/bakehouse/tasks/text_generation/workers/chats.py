"""Chats as prompts: what a chat template takes, the same for transformers and for the template engines of the runtimes.

A template may refuse a chat (no system role, a system message first, the user last), read today's date, or read a message only as a list
of parts. None of these is a fault of the model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from bakehouse.tasks.workers.tokenizer_difference import DifferentPrompt

Message = Mapping[str, str | list[dict[str, str]]]  # role, and content: a text, or a list of parts
# Makes a prompt of a chat by a template; raises whatever its engine raises if the template refuses the chat.
Render = Callable[[Sequence[Message], str], str]

MARK = "bakehouse-end-of-answer"
CHATS: tuple[tuple[dict[str, str], ...], ...] = (
    ({"role": "user", "content": "What is the capital of France?"},),
    ({"role": "user", "content": "  Hi 😀\n"}, {"role": "assistant", "content": "Hello."}, {"role": "user", "content": "a<|end|>b"}),
    ({"role": "system", "content": "Be brief."}, {"role": "user", "content": "¿Qué?"}),
)
# A clock that stands still: the prompt of a golden chat, and so the verdict, must not change from day to day. All three engines
# (jinja2 in transformers 5.5, minja in openvino_genai 2026.4 and in onnxruntime-genai 0.18) call a macro before their own function.
_CLOCK = (
    "{%- macro strftime_now(format) -%}{%- if format == '%Y-%m-%d' -%}2024-07-26{%- elif format == '%B %d, %Y' -%}July 26, 2024"
    "{%- elif format == '%Y' -%}2024{%- else -%}26 Jul 2024{%- endif -%}{%- endmacro -%}"
)
_todays_date = False
# Has a template that reads parts only take a message that is a text, too; plain enough for onnxruntime-genai's engine (no dict()).
_TEXTS = (
    "{%- set texts = namespace(all=[]) -%}{%- for m in messages -%}{%- set texts.all = texts.all + ([{'role': m['role'], "
    "'content': [{'type': 'text', 'text': m['content']}]}] if m['content'] is string else [m]) -%}{%- endfor -%}"
    "{%- set messages = texts.all -%}"
)


def default_template(tokenizer: Any) -> str | None:
    """The chat template that a chat without tools gets from a transformers tokenizer; of several the one named default."""
    template = tokenizer.chat_template
    if isinstance(template, dict):
        template = template.get("default")
    return str(template) if template else None


def use_todays_date() -> None:
    """From now on in this process, have templates read the date from their engine's own clock: for a person's prompt, not a golden one."""
    global _todays_date
    _todays_date = True


def still(template: str) -> str:
    """The template with a clock that stands still, if it reads the date; as it is after `use_todays_date`."""
    return _CLOCK + template if "strftime_now" in template and not _todays_date else template


def taking_texts(template: str) -> str:
    """A template that reads parts only, made to take texts, too."""
    return _TEXTS + template


def by_transformers(tokenizer: Any, *, answer_next: bool = True) -> Render:
    """transformers' engine."""

    def render(chat: Sequence[Message], template: str) -> str:
        return str(tokenizer.apply_chat_template(list(chat), tokenize=False, chat_template=template, add_generation_prompt=answer_next))

    return render


def attempt(render: Render, chat: Sequence[Message], template: str) -> str | None:
    """The prompt; None if the template refuses the chat, in whichever way (an error of its own, of a type, of a missing field)."""
    try:
        return render(chat, template)
    except Exception:
        return None


def in_parts(chat: Iterable[Message]) -> list[Message]:
    """The chat with every text as a list of one part."""
    return [
        {**message, "content": [{"type": "text", "text": message["content"]}]} if isinstance(message["content"], str) else message
        for message in chat
    ]


def reads_parts_only(render: Render, template: str) -> bool:
    """Whether the template loses or refuses a message that is a text, and takes the same as a list of parts."""
    system: Message = {"role": "system", "content": "Be brief."}
    for before in ([], [system]):
        chat: list[Message] = [*before, {"role": "user", "content": MARK}]
        if MARK in (attempt(render, chat, template) or ""):
            return False
        if MARK in (attempt(render, in_parts(chat), template) or ""):
            return True
    return False


def reference_prompt(tokenizer: Any, chat: Sequence[Message]) -> str:
    """The prompt that transformers makes of a golden chat, as a caller who knows the template has it.

    Raises:
        Exception: whatever the template raises for a chat that it refuses.
    """
    template = default_template(tokenizer)
    if template is None:
        raise ValueError("the tokenizer has no chat template")
    render = by_transformers(tokenizer)
    return render(in_parts(chat) if reads_parts_only(render, template) else chat, still(template))


def compare(tokenizer: Any, other: Render, template: str | None) -> tuple[list[str], list[DifferentPrompt]]:
    """The prompts that transformers makes of the chats that its template takes, and where another engine makes others.

    Args:
        other: the runtime's engine.
        template: what the runtime has for the template; None if it has none.
    """
    ours = default_template(tokenizer)
    prompts: list[str] = []
    found: list[DifferentPrompt] = []
    for chat in CHATS if ours else ():
        expected = attempt(lambda chat, _: reference_prompt(tokenizer, chat), chat, "")
        if expected is None:
            continue
        prompts.append(expected)
        try:
            got = None if template is None else other(list(chat), still(template))
        except Exception as error:  # the runtime's own, of any type
            got = str(error).strip().splitlines()[0]
        if got != expected:
            found.append(DifferentPrompt(chat, expected, got))
    return prompts, found


def turn_end(tokenizer: Any) -> int | None:
    """The token with which the chat template ends an assistant's answer; None if it has no template or ends it without one."""
    template = default_template(tokenizer)
    if template is None:
        return None
    render = by_transformers(tokenizer, answer_next=False)
    parts = reads_parts_only(render, template)
    user, answer, system = (
        {"role": role, "content": text} for role, text in (("user", "Hi"), ("assistant", MARK), ("system", "Be brief."))
    )
    for chat in ([user, answer], [system, user, answer], [user, answer, user]):
        text = attempt(render, in_parts(chat) if parts else chat, template) or ""
        before, _, rest = text.partition(MARK)
        if rest:
            ids = tokenizer(rest, add_special_tokens=False)["input_ids"]
            begins = _first_special(tokenizer, before)  # of a turn: where an answer ends without a token, the next turn begins with it
            found = next((token for token in ids if token in tokenizer.added_tokens_decoder), None)
            return None if chat[-1] is user and found == begins else found
    return None


def _first_special(tokenizer: Any, text: str) -> int | None:
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    return next((token for token in ids if token in tokenizer.added_tokens_decoder), None)
