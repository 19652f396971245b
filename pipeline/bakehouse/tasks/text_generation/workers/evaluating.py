"""Carries out tasks of lm-eval with a model that a runtime has loaded: what all runtimes have in common.

lm-eval asks for the likelihood of a text after another one, or for an answer up to a stop text. It decides what is asked and what is
counted; this module turns both into tokens, logits and jobs. Tokens are those that the runtime's own tokenizer makes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from bakehouse.child import events
from bakehouse.tasks.text_generation.workers import jobs

_NEW_TOKENS = 256  # of an answer, where a task names no number; as lm-eval's own models have it
_KNOWN = frozenset({"until", "do_sample", "temperature", "top_p", "max_gen_toks", "max_new_tokens"})
_CONTEXT = 2048  # tokens, where the model names none; as lm-eval's own models have it


class Model(Protocol):
    """A loaded model, as a backend's worker gives it."""

    @property
    def context(self) -> int | None:
        """The most tokens of a text; None if unknown."""
        ...

    @property
    def start(self) -> tuple[int, str]:
        """The token that stands before a text without another one before it, and its text: that of a beginning, else of an end."""
        ...

    def ids(self, text: str, *, special: bool) -> list[int]:
        """The tokens of a text, with those that the tokenizer adds by itself or without."""
        ...

    def rows(self, ids: Sequence[int], last: int) -> Sequence[Any]:
        """The logits at the last positions of these tokens: `last` arrays of the vocabulary's size."""
        ...

    def answer(self, job: jobs.Job, take: jobs.Take) -> jobs.Counted:
        """Answer a job, as `jobs.serve` has it."""
        ...


@dataclass(frozen=True)
class Likelihood:
    """The logarithm of a text's probability, and whether greedy decoding would give it."""

    log: float
    greedy: bool


def likelihood(rows: Sequence[Any], tokens: Sequence[int]) -> Likelihood:
    """Of tokens, from the logits at the positions before each of them; one position at a time, for the sake of memory."""
    import numpy as np

    log, greedy = 0.0, True
    for row, token in zip(rows, tokens, strict=True):
        exact = np.asarray(row, np.float64)
        highest = exact.max()
        log += float(exact[token] - highest - np.log(np.exp(exact - highest).sum()))
        greedy = greedy and int(exact.argmax()) == token
    return Likelihood(log, greedy)


class Scorer:
    """Scores texts with a model; the logits of one context serve the answers of one token that follow on it."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.context = model.context or _CONTEXT
        self._before: tuple[tuple[int, ...], int] = ((), 0)
        self._rows: Sequence[Any] = ()

    def score(self, before: Sequence[int], tokens: Sequence[int]) -> Likelihood:
        """The likelihood of tokens after others, of which those furthest away are cut to what the model takes."""
        ids = (*before, *tokens)[-(self.context + 1) :][:-1]
        count = min(len(tokens), len(ids))
        if self._before != (ids, count):
            self._rows, self._before = self.model.rows(ids, count), (ids, count)
        return likelihood(self._rows, tokens[-count:])


def job(text: str, options: Mapping[str, Any]) -> jobs.Job:
    """The job that a task's generation options come to.

    Raises:
        jobs.Declined: an option that would be ignored.
    """
    if unknown := sorted(set(options) - _KNOWN):
        raise jobs.Declined(f"The task's generation_kwargs have {', '.join(unknown)}, which is not supported here.")
    until = options.get("until") or ()
    most = int(options.get("max_gen_toks", options.get("max_new_tokens", _NEW_TOKENS)))
    drawn = bool(options.get("do_sample", False))
    temperature = float(options.get("temperature", 1.0)) if drawn else 0.0
    stop = (until,) if isinstance(until, str) else tuple(until)
    return jobs.Job(raw=text, max_new_tokens=most, temperature=temperature, top_p=float(options.get("top_p", 1.0)), stop=stop)


def answered(model: Model, one: jobs.Job) -> str:
    """The text of an answer, up to its first stop text."""
    texts: list[str] = []
    pieces = jobs.Pieces(one.stop, texts.append, lambda: False)
    model.answer(one, pieces.take)
    if not pieces.stopped:
        pieces.end()
    return "".join(texts)


def adapter(model: Model) -> Any:
    """The model as lm-eval knows models."""
    from lm_eval import utils
    from lm_eval.api.model import TemplateLM

    scorer, (start, start_text) = Scorer(model), model.start

    class Adapter(TemplateLM):  # type: ignore[misc]
        @property
        def eot_token_id(self) -> int:
            return start

        def tok_encode(self, string: str, add_special_tokens: bool | None = None, **kwargs: Any) -> list[int]:
            special = not (start_text and string.startswith(start_text)) if add_special_tokens is None else add_special_tokens
            return model.ids(string, special=special)

        def _loglikelihood_tokens(self, requests: Any, **kwargs: Any) -> list[tuple[float, bool]]:
            found = []
            for number, (_, before, tokens) in enumerate(requests):
                events.progress("scoring texts", number, len(requests), "texts")
                one = scorer.score(before, tokens)
                found.append((one.log, one.greedy))
            return found

        def loglikelihood_rolling(self, requests: Any, disable_tqdm: bool = False) -> list[float]:
            return [sum(log for log, _ in self._loglikelihood_tokens(self._windows(one.args[0]))) for one in requests]

        def _windows(self, text: str) -> list[Any]:
            windows = utils.get_rolling_token_windows(self.tok_encode(text), start, scorer.context, 1)
            return [(None, *utils.make_disjoint_window(window)) for window in windows]

        def generate_until(self, requests: Any, disable_tqdm: bool = False) -> list[str]:
            found = []
            for number, one in enumerate(requests):
                events.progress("answering", number, len(requests), "prompts")
                found.append(answered(model, job(*one.args)))
            return found

    return Adapter()
