"""Which lengths of input show whether an artifact computes what its source computes, and how much of a model is compared on them. Pure.

A model computes one thing up to some length and another beyond it: where its attention window is full, where its rotary embeddings
are scaled, where its context ends. Each such length is crossed twice, by one long input and token by token from the cache.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from bakehouse.formats import fields
from bakehouse.formats.config_json import Config
from bakehouse.tasks.text_generation.workers import config_fields
from bakehouse.tasks.text_generation.workers.config_fields import rope_kind, ropes, window
from bakehouse.tasks.text_generation.workers.layer_prefix import Shape, head_weights, layer_weights, layers_of, shortest

# Floating-point operations that one side of a comparison may take; two cores do 1e11 in a second. That is of a runtime that computes all
# positions of all of it, as ONNX Runtime GenAI does; the others leave out the head and most of the last layer, so a half and more.
BUDGET = 8e11
# A model below so many weights is compared with all its layers at least on short inputs, whatever the budget allows of long ones.
WHOLE_BELOW = 1_000_000_000
# The logits of one input may take so many bytes, since ONNX Runtime GenAI has those of all its positions in memory.
LOGITS_BYTES = 2_000_000_000
MOST_TOKENS = 16_384  # the mask of a sliding window has the square of this
# The first boundary is kept up to this many times the budget: a window of 4,096 takes four in one layer of seven billion weights.
FIRST_FACTOR = 6
# A long input ends so small a part of a window beyond it. That window shows as much in one layer of the Phi-3 stand-in with a sixth of it
# out of sight as in two with a thirty-second.
_PART, _NARROW_PART = 32, 6
_SHORT, _LEAST, _MEDIUM, _BEFORE, _AFTER, _SCORED = 24, 8, 192, 8, 16, 16
_NEAR = 32  # boundaries so close to each other are one
_WINDOWS = ("sliding_window", "window_size", "attention_chunk_size")
# Rotary embeddings whose values at one position depend on the length of the complete input (transformers 5.5, modeling_rope_utils.py).
_OF_LENGTH = ("longrope", "su", "dynamic")


@dataclass(frozen=True)
class Boundary:
    """A length, in tokens, from which on a model may compute something else, and what config.json calls it."""

    name: str
    tokens: int


@dataclass(frozen=True)
class Run:
    """One input: `prefill` tokens at once, the others one by one up to `tokens`; the logits at `scored` positions (from 0) are compared.

    `crosses` is the boundary that it is about, None for a length like any other; `last` runs are left out first.
    """

    name: str
    tokens: int
    prefill: int
    scored: tuple[int, ...]
    crosses: Boundary | None = None
    last: int = 0

    @property
    def stepped(self) -> bool:
        """Whether tokens come one by one."""
        return self.prefill < self.tokens


@dataclass(frozen=True)
class Check:
    """What is compared: `runs` on the first `layers` of `of` layers, and `deeper` runs, which are short, on `deeper_layers` of them.

    `not_checked` names what is not, and why.

    `joined`: whether logits at a position are the same in every longer input, so that one input serves several runs.
    """

    layers: int
    of: int
    runs: tuple[Run, ...]
    deeper: tuple[Run, ...] = ()
    deeper_layers: int = 0
    not_checked: tuple[tuple[str, str], ...] = ()
    joined: bool = True


def check(config: Config, shapes: Mapping[str, Shape], divisible: bool = True) -> Check:
    """What to compare of a model with this configuration and these weights, within the budget; `divisible`: its first layers can run alone.

    The configuration is best as transformers completes it: config.json may leave layer types and lengths to defaults.
    """
    of, joined = layers_of(config, shapes), not any(kind in _OF_LENGTH for kind in rope_types(config))
    runs = tuple(_runs(config))
    everything = Check(of, of, runs, joined=joined)
    if cost(everything, config, shapes) <= BUDGET and _logits_bytes(runs, config) <= LOGITS_BYTES:
        return everything
    deep = two = shortest(config, shapes) if divisible else of
    if sum(math.prod(shape) for shape in shapes.values()) < WHOLE_BELOW:
        deep = of

    def of_layers(layers: int, runs: tuple[Run, ...]) -> Check:
        deeper = tuple(run for run in runs if run.name.startswith("short")) if layers < deep else ()
        return _within(Check(layers, of, runs, deeper, deep if deeper else 0, joined=joined), config, shapes)

    planned = of_layers(two, runs)
    if divisible and (one := shortest(config, shapes, least=1)) < two:
        narrow = of_layers(one, tuple(_runs(config, part=_NARROW_PART)))
        if len(planned.runs) < len(narrow.runs) or cost(planned, config, shapes) > BUDGET:
            return narrow
    return planned


def _within(wanted: Check, config: Config, shapes: Mapping[str, Shape]) -> Check:
    """The same without the runs that cost too much: the complete context goes first, then half of it, then the longest boundary."""
    kept, left = wanted, list[tuple[str, str]]()
    first = min((run.crosses.tokens for run in wanted.runs if run.crosses), default=0)
    while True:
        droppable = [run for run in kept.runs if run.last and not (run.crosses and run.crosses.tokens == first)]
        budget = BUDGET if droppable else BUDGET * FIRST_FACTOR
        longest = max(run.tokens for run in kept.runs)
        if cost(kept, config, shapes) <= budget and longest <= MOST_TOKENS:
            return replace(kept, not_checked=tuple(left))
        candidates = droppable or [run for run in kept.runs if run.last]
        if not candidates:
            return replace(kept, not_checked=tuple(left))
        worst = max(candidates, key=lambda run: (run.last, run.tokens, not run.stepped))
        left.append((f"{worst.tokens:,} tokens ({worst.name})", "it would take too long"))
        kept = replace(kept, runs=tuple(run for run in kept.runs if run is not worst))


def cost(planned: Check, config: Config, shapes: Mapping[str, Shape]) -> float:
    """Floating-point operations of all runs: two for each weight and token, and attention, which grows with the square of the length.

    Of a runtime that computes all positions of all layers.
    """
    head = 0 if needs_pruned_head(planned.runs, config) else sum(math.prod(shape) for shape in head_weights(shapes).values())

    def one(tokens: int, layers: int) -> float:
        weights = head + sum(math.prod(shape) for shape in layer_weights(shapes, layers).values() if len(shape) > 1)
        return 2.0 * tokens * weights + 4.0 * tokens**2 * width(config) * layers

    def several(runs: Sequence[Run], layers: int) -> float:
        return sum(one(tokens, layers) for tokens in inputs(runs, planned.joined))

    return several(planned.runs, planned.layers) + several(planned.deeper, planned.deeper_layers)


def inputs(runs: Sequence[Run], joined: bool) -> tuple[int, ...]:
    """The lengths of the inputs that these runs come to: those that are given at once are one where they can be joined.

    What comes token by token goes on from the cache of a longer one that was given at once, and has only these tokens.
    """
    at_once = [run.tokens for run in runs if not run.stepped]
    longest = max(at_once, default=0) if joined else 0
    stepped = [run.tokens - run.prefill if run.prefill <= longest else run.tokens for run in runs if run.stepped]
    return (*((longest,) if longest else at_once), *stepped)


def boundaries(config: Config) -> tuple[Boundary, ...]:
    """The lengths within the context at which a model of this configuration may come to compute something else, shortest first."""
    found = [Boundary(name, size) for name in _WINDOWS if (size := window(config, name))]
    originals = [fields.integer(place, "original_max_position_embeddings") for place in (config, *ropes(config))]
    found += [Boundary("original_max_position_embeddings", size) for size in originals if size is not None]
    own = fields.integer(config, "max_position_embeddings")
    if "dynamic" in rope_types(config) and own is not None:
        found.append(Boundary("max_position_embeddings", own))
    limit, kept = context(config), list[Boundary]()
    for one in sorted(found, key=lambda boundary: boundary.tokens):
        if 1 < one.tokens <= limit - _least_after(one) and all(abs(one.tokens - other.tokens) > 1 for other in kept):
            kept.append(one)
    return tuple(kept)


def context(config: Config) -> int:
    """Tokens that a model computes something sensible for; 2,048 where its configuration does not say."""
    return config_fields.context(config) or 2048


def rope_types(config: Config) -> tuple[str, ...]:
    """The kinds of scaling of its rotary embeddings: "linear", "longrope"."""
    return tuple(rope_kind(rope) for rope in ropes(config))


def width(config: Config) -> int:
    """Numbers that attention compares for each pair of tokens in a layer."""
    heads = fields.first(config, "num_attention_heads", "n_head", "n_heads") or 1
    hidden = fields.first(config, "hidden_size", "n_embd", "d_model") or 1
    return heads * (fields.integer(config, "head_dim") or hidden // heads)


def _runs(config: Config, part: int = _PART) -> Iterator[Run]:
    limit = context(config)
    first = min((boundary.tokens for boundary in boundaries(config)), default=_SHORT)
    short = min(_SHORT, limit, max(first, _LEAST))  # so that what is wrong beyond the first boundary is seen to be right before it
    yield Run("short", short, short, _end(short))
    yield Run("short, token by token", short, short // 2, tuple(range(short // 2 - 1, short)))
    taken: list[tuple[int, int]] = []
    for boundary in boundaries(config):
        end = boundary.tokens + _after(boundary, limit, part)
        around = range(max(0, boundary.tokens - 4), boundary.tokens + 4)
        scored = tuple(sorted({*around, *_end(end)}))
        yield Run(boundary.name, end, end, scored, boundary, 1)
        prefill = max(1, boundary.tokens - _BEFORE)
        yield Run(f"{boundary.name}, token by token", end, prefill, tuple(at for at in scored if at >= prefill - 1), boundary, 1)
        taken.append((boundary.tokens, end))
    lengths = ((min(_MEDIUM, limit - _BEFORE), "medium", 0), (limit // 2, "half of the context", 2), (limit - _BEFORE, "the context", 3))
    for tokens, name, last in lengths:
        if tokens > short + _NEAR and all(not low - _NEAR <= tokens <= high + _NEAR for low, high in taken):
            yield Run(name, tokens, tokens, _end(tokens), last=last)
            taken.append((tokens, tokens))


def _least_after(boundary: Boundary) -> int:
    return max(_AFTER, boundary.tokens // _PART)


def _after(boundary: Boundary, limit: int, part: int) -> int:
    """Tokens beyond a boundary that show what happens there: where a window has just been passed, hardly anything is out of sight."""
    wanted = max(_AFTER, boundary.tokens // (part if boundary.name in _WINDOWS else _PART))
    return min(wanted, limit - boundary.tokens)


def _end(tokens: int) -> tuple[int, ...]:
    return tuple(range(max(0, tokens - _SCORED), tokens))


def _logits_bytes(runs: Sequence[Run], config: Config) -> int:
    return max(run.prefill for run in runs) * (fields.integer(config, "vocab_size") or 0) * 4


def needs_pruned_head(runs: Sequence[Run], config: Config) -> bool:
    """Whether a runtime that has the logits of every position in memory would need too much of it."""
    return _logits_bytes(runs, config) > LOGITS_BYTES
