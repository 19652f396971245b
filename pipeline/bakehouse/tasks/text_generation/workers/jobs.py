"""A worker that keeps a model loaded and answers one job after the other, piece by piece: what all runtimes have in common.

Jobs come as lines of JSON on standard input, `{"job": {...}}` and `{"cancel": NUMBER}`; its end ends the worker. Messages go out by
`events.say`: one `loaded`, then for each job `piece`s and one `answered` or `declined`. Plain classes, as in `answers`.
"""

from __future__ import annotations

import json
import queue
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from bakehouse.child import events, own_memory
from bakehouse.tasks.text_generation.workers import chats
from bakehouse.tasks.text_generation.workers.answers import Prompt

Finish = Literal["stop", "length", "cancelled"]
# Ordinary words, whose tokens are repeated where only the length of a prompt counts.
FILLER = (
    "The harbour was quiet when the first boats came in, and nobody had lit the lamps. In 1869 a chemist wrote sixty-three names on cards. "
    "Rain fell on the tin roof all night; by morning the road to the mill was gone. What the map called a village was a well and a barn."
)


@dataclass(frozen=True, kw_only=True)
class Job:
    """A prompt, and how to answer it.

    Attributes:
        messages: a chat, for the chat template; or `raw`, text as it is; or neither, if `filler_tokens` counts.
        max_new_tokens: the most tokens of the answer; fewer if the context has no room for so many.
        temperature: 0 for the most likely token each time, which is how a package is validated.
        stop: texts before which the answer ends.
        filler_tokens: to measure: a prompt of so many tokens, another for each `filler_variant`; its answer does not end by itself.
    """

    number: int = 0
    messages: tuple[dict[str, str], ...] | None = None
    raw: str | None = None
    max_new_tokens: int
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0
    stop: tuple[str, ...] = ()
    filler_tokens: int = 0
    filler_variant: int = 0

    def prompt(self) -> Prompt:
        """The prompt alone, as validation has it."""
        return Prompt(messages=self.messages, raw=self.raw, max_new_tokens=self.max_new_tokens)

    def filler(self, ids: Sequence[int]) -> list[int]:
        """The ids of a prompt of `filler_tokens` tokens; `ids` are those of FILLER. Two variants differ from their first tokens on."""
        start = self.filler_variant % len(ids)
        return [ids[(start + place) % len(ids)] for place in range(self.filler_tokens)]


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """What the model runs on.

    Attributes:
        context: the most tokens of prompt and answer, None if unknown; `longest_prompt` of a prompt, where that is less.
        note: a sentence where the device is not what the package is made for.
    """

    of: Literal["loaded"] = "loaded"
    device: str
    device_name: str
    load_s: float
    context: int | None
    longest_prompt: int | None = None
    note: str = ""
    peak_memory_bytes: int = 0


@dataclass(frozen=True, kw_only=True)
class Piece:
    """The next text of an answer."""

    of: Literal["piece"] = "piece"
    job: int
    text: str


@dataclass(frozen=True, kw_only=True)
class Counted:
    """What a runtime counted: tokens of prompt and answer, seconds to the first token, tokens a second after it (None for one token).

    `ended`: by itself, with an end token. Of a model with a draft also the tokens that this proposed, and those that the model chose, too.
    """

    prompt_tokens: int
    tokens: int
    first_token_s: float
    tokens_per_s: float | None
    ended: bool
    proposed: int | None = None
    accepted: int | None = None


@dataclass(frozen=True, kw_only=True)
class Answered(Counted):
    """An answer is complete, or was cancelled; `peak_memory_bytes` is the most that the worker has held so far."""

    of: Literal["answered"] = "answered"
    job: int
    finish: Finish
    peak_memory_bytes: int


@dataclass(frozen=True, kw_only=True)
class Refused:
    """A job that cannot be answered; `why` is a sentence. The worker goes on with the next."""

    of: Literal["declined"] = "declined"
    job: int
    why: str


class Declined(Exception):
    """Raised by a runtime for a job that cannot be answered; its text is a sentence."""


Take = Callable[[str], bool]  # takes the next text of an answer; False if the answer is to end here
Answer = Callable[[Job, Take], Counted]


def room(context: int | None, prompt_tokens: int, most: int) -> int:
    """How many tokens the answer may have at most.

    Raises:
        Declined: the prompt alone fills the context.
    """
    if context is None:
        return most
    if prompt_tokens >= context:
        raise Declined(f"The prompt has {prompt_tokens} tokens, and the context holds {context} with the answer.")
    return min(most, context - prompt_tokens)


def declined_by_template(error: Exception) -> Declined:
    """What to raise where the chat template does not take the messages."""
    first = next(iter(str(error).strip().splitlines()), type(error).__name__)
    return Declined(f"The model's chat template does not take these messages: {first}")


class Pieces:
    """Passes on what comes of an answer, up to the first stop text; holds back what may be the beginning of one."""

    def __init__(self, stops: Iterable[str], send: Callable[[str], None], cancelled: Callable[[], bool]) -> None:
        self._stops, self._send, self._cancelled = tuple(stop for stop in stops if stop), send, cancelled
        self._held = ""
        self.stopped = False

    def take(self, text: str) -> bool:
        """Take in the next text; False if the answer is to end here.

        openvino_genai 2026.4 gives its streamer what it has held back even after that has cancelled.
        """
        if self.stopped:
            return False
        self._held += text
        found = [place for stop in self._stops if (place := self._held.find(stop)) >= 0]
        if found:
            self._pass_on(min(found))
            self._held, self.stopped = "", True
            return False
        self._pass_on(len(self._held) - self._begun())
        return not self._cancelled()

    def end(self) -> None:
        """Pass on what was held back."""
        self._pass_on(len(self._held))

    def _begun(self) -> int:
        """How many characters at the end may be the beginning of a stop text."""
        sizes = (size for stop in self._stops for size in range(1, len(stop)) if self._held.endswith(stop[:size]))
        return max(sizes, default=0)

    def _pass_on(self, size: int) -> None:
        if size > 0:
            self._send(self._held[:size])
            self._held = self._held[size:]


@dataclass
class Inbox:
    """The jobs that have come and wait, and which are cancelled; filled by a thread that reads standard input."""

    waiting: queue.SimpleQueue[Job | None] = field(default_factory=queue.SimpleQueue)
    cancelled: set[int] = field(default_factory=set)
    closed: bool = False

    def read(self, lines: Iterable[str]) -> None:
        """Take in every line, and at their end have all work end."""
        for line in lines:
            message = json.loads(line)
            if "cancel" in message:
                self.cancelled.add(int(message["cancel"]))
            else:
                self.waiting.put(job_of(message["job"]))
        self.closed = True
        self.waiting.put(None)

    def jobs(self) -> Iterator[Job]:
        while (job := self.waiting.get()) is not None:
            yield job

    def ends(self, job: Job) -> bool:
        """Whether nobody waits for the rest of this job's answer."""
        return self.closed or job.number in self.cancelled


def job_of(values: Mapping[str, Any]) -> Job:
    """A job out of its JSON."""
    messages, stop = values.get("messages"), values.get("stop") or ()
    return Job(**{**values, "messages": tuple(messages) if messages else None, "stop": tuple(stop)})


def serve(loaded: Loaded, answer: Answer, lines: Iterable[str] | None = None) -> None:
    """Report the loaded model, and answer jobs until standard input (`lines`) ends. A chat template that reads the date reads today's.

    Standard input is read by a thread from here on and not before: on Windows a blocked read of it stops `import numpy` (numpy#24290).
    """
    chats.use_todays_date()
    events.say(**asdict(loaded) | {"peak_memory_bytes": own_memory.peak_bytes()})
    inbox = Inbox()
    threading.Thread(target=inbox.read, args=(sys.stdin if lines is None else lines,), daemon=True).start()
    for job in inbox.jobs():
        try:
            events.say(**asdict(_answered(job, answer, inbox)))
        except Declined as why:
            events.say(**asdict(Refused(job=job.number, why=str(why))))


def _answered(job: Job, answer: Answer, inbox: Inbox) -> Answered:
    pieces = Pieces(job.stop, lambda text: events.say(**asdict(Piece(job=job.number, text=text))), lambda: inbox.ends(job))
    counted = answer(job, pieces.take)
    if not pieces.stopped:
        pieces.end()
    by_itself = pieces.stopped or counted.ended
    finish: Finish = "stop" if by_itself else "cancelled" if inbox.ends(job) else "length"
    return Answered(**asdict(counted), job=job.number, finish=finish, peak_memory_bytes=own_memory.peak_bytes())
