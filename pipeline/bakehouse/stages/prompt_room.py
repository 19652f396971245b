"""Whether a build's runtime has room for its golden prompts and their answers: known before the work, once the tokenizer is here."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from bakehouse.backends.base import Room
from bakehouse.backends.table import BACKENDS
from bakehouse.errors import Failure
from bakehouse.executor import process
from bakehouse.executor.process import Children
from bakehouse.formats.config_json import Config
from bakehouse.plan.plan import Build
from bakehouse.recipe.kinds import DEFAULT_TASK
from bakehouse.steps.maker import worker
from bakehouse.tasks.text_generation.golden import Golden, mine
from bakehouse.tasks.text_generation.seams import CountRequest, CountResult
from bakehouse.tasks.text_generation.task import prompts

_FILE = "tokenizer.json"
_AROUND, _AROUND_MESSAGE = 64, 16  # a system message by default, and the tokens that begin and end a message


def beyond(build: Build, folder: Path, config: Config, children: Children) -> Iterator[str]:
    """Sentences, one for each golden prompt that the runtime has no room for; `folder` is the checkpoint's.

    A child with the checkpoint's tokenizer counts, which takes seconds: only where a prompt may be too long. What that child cannot
    count is seen when the model is run.
    """
    options = build.resolved.options
    room = BACKENDS[options.runtime].room_for(options, config) if build.resolved.task == DEFAULT_TASK else None
    tokenizer = folder / _FILE
    if room is None or build.checkpoint.options.get("remote_code") or not tokenizer.is_file():
        return
    golden = mine(build.resolved.golden)
    if all(fits(room, most(one), one.max_new_tokens) for one in golden):
        return
    request = CountRequest(checkpoint=folder.resolve(), prompts=prompts(golden))
    counts = _counted(request.model_dump_json(), tokenizer.stat().st_mtime_ns, children)
    for number, (count, one) in enumerate(zip(counts, golden, strict=False), start=1):
        if count is not None and not fits(room, count, one.max_new_tokens):
            yield too_long(number, count, one.max_new_tokens, room)


def fits(room: Room, prompt: int, answer: int) -> bool:
    """Whether a prompt of so many tokens and its answer find room."""
    return prompt + answer <= room.together and (room.prompt is None or prompt <= room.prompt)


def too_long(number: int, prompt: int, answer: int, room: Room) -> str:
    """A sentence on a prompt that does not fit."""
    why = f" ({room.reason.rstrip('.')})" if room.reason else ""
    if room.prompt is not None and prompt > room.prompt:
        return f"golden prompt {number} has {prompt:,} tokens, and the model takes prompts of at most {room.prompt:,}{why}: {room.remedy}"
    return (
        f"golden prompt {number} has {prompt:,} tokens and its answer may have {answer:,} (max_new_tokens), "
        f"and the model takes {room.together:,} together{why}: {room.remedy}"
    )


def most(golden: Golden) -> int:
    """About as many tokens as a prompt can have: one for each byte, and what chat templates put around it."""
    texts = [golden.raw or "", *(message.content for message in golden.messages or ())]
    return sum(len(text.encode()) for text in texts) + _AROUND + _AROUND_MESSAGE * len(golden.messages or ())


@lru_cache
def _counted(request: str, changed_ns: int, children: Children) -> tuple[int | None, ...]:
    """Tokens of each prompt of a CountRequest, as a child counts them; none if it fails.

    `changed_ns` is when the tokenizer changed, so that it is read again.
    """
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        command = worker("tasks.text_generation.workers.count_tokens", request=CountRequest.model_validate_json(request))
        try:
            done = process.run(command, children=children, log=place / "log.txt", scratch=place, on_progress=lambda progress: None)
        except Failure:
            return ()
    return done.report.read(CountResult).counts
