"""A search of a recipe: which options may vary, what must hold, and the builds that this comes to. Nothing is made here."""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Annotated, ClassVar, Generic, Literal, TypeVar

from pydantic import AfterValidator, Field, JsonValue, ValidationError, WithJsonSchema
from pydantic_core import ErrorDetails

from bakehouse.recipe.bounds import Bounds
from bakehouse.recipe.build import RuntimeBuild
from bakehouse.recipe.model import Fault, Model, Rule
from bakehouse.recipe.types import Line, quoted, refusal

Options = TypeVar("Options", bound=RuntimeBuild)
Aim = Literal["size", "kl_mean", "first_token", "tokens_per_s"]
_Loc = tuple[str | int, ...]
MOST_COMBINATIONS = 4096
_UNITS = {"kB": 10**3, "MB": 10**6, "GB": 10**9, "MiB": 2**20, "GiB": 2**30}
_SIZE = r"(\d+(?:\.\d+)?) ?(kB|MB|GB|MiB|GiB)"
_TEXTS = "calibration"
_OF_THE_SEARCH = ("runtime", "quantization", "bounds")  # of a build's fields, those that no candidate chooses


def _size(value: str) -> str:
    if not re.fullmatch(_SIZE, value) or size_bytes(value) < 1:
        raise refusal(f"{quoted(value)} is not a size.", "Write a number and a unit, as in 95MB or 1.5GB.")
    return value


def size_bytes(text: str) -> int:
    """The bytes of a size such as "95MB"; MB is 10**6, MiB is 2**20."""
    found = re.fullmatch(_SIZE, text)
    assert found, text
    return round(float(found[1]) * _UNITS[found[2]])


Size = Annotated[str, AfterValidator(_size), WithJsonSchema({"type": "string", "pattern": f"^{_SIZE}$"})]


class Search(Model):
    """Many builds that differ in a few options, of which the best within the bounds is wanted."""

    runtime: Line = Field(description="Runtime of all candidates, as in a build.")
    minimize: Aim = Field(
        description="What decides among the candidates within the bounds: the size of the model's files, the mean KL divergence, or on "
        "this machine the time to the first token or (most of them win) the tokens a second."
    )
    over: dict[str, tuple[JsonValue, ...]] = Field(
        min_length=1, description="The options that vary, by the names that a build has for them, each with the values to try."
    )
    base: dict[str, JsonValue] = Field(
        default_factory=dict, description="The options that all candidates have, by the same names; weights are int4 by default."
    )
    rank_layers: Literal["measured"] | None = Field(
        None,
        description="How layers are chosen where ratio is below 1: `measured` puts those into 4 bits that do the least harm there, each "
        "measured alone; by default the runtime's tool ranks them.",
    )
    bounds: Bounds | None = Field(None, description="How far the winner may be from its source; it gets these bounds as a build.")
    max_size: Size | None = Field(None, description="Most that a candidate's model files may take, as in 95MB.")
    max_candidates: int = Field(16, ge=1, le=1000, description="Most candidates that are made.")
    max_seconds: int | None = Field(None, ge=1, description="Seconds after which no further candidate is begun.")

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "minimize",
            lambda s: s.minimize == "kl_mean" and s.max_size is None,
            "without max_size the largest candidate would win",
            "Add max_size, or minimize size within bounds.",
        ),
        Rule(
            "minimize",
            lambda s: s.minimize != "kl_mean" and s.bounds is None,
            "without bounds the worst candidate could win",
            "Add bounds, as in bounds: {kl_mean: 0.2}.",
        ),
        Rule(
            "over",
            lambda s: math.prod(len(values) for values in s.over.values()) > MOST_COMBINATIONS,
            f"these are more than {MOST_COMBINATIONS} combinations",
            "Leave out values that you do not need.",
        ),
    )

    def faults(self) -> Iterator[Fault]:
        yield from super().faults()
        for name, values in self.over.items():
            if not values:
                yield Fault(("over", name), "No value is given, so there would be no candidate.", "List the values to try.")
            if name in self.base:
                yield Fault(("base", name), f"{quoted(name)} varies: it is in `over`, too.", "Keep one of the two.")
        for part in ("base", "over"):
            for name in getattr(self, part):
                if name in _OF_THE_SEARCH:
                    yield Fault((part, name), f"{quoted(name)} does not vary.", "It is a field of the search or of no use here.")

    @property
    def max_size_bytes(self) -> int | None:
        """max_size in bytes."""
        return size_bytes(self.max_size) if self.max_size else None


@dataclass(frozen=True)
class Combination(Generic[Options]):
    """One candidate: the values of the options that vary, by name, and the build."""

    varied: Mapping[str, JsonValue]
    build: Options


@dataclass
class Expanded(Generic[Options]):
    """The builds of a search.

    Attributes:
        left_out: how many combinations are invalid, or are the same build as another.
        faults: values that no valid combination has, and what is wrong with the rest; places below the search.
    """

    combinations: list[Combination[Options]] = field(default_factory=list)
    left_out: int = 0
    faults: list[Fault] = field(default_factory=list)


def expand(
    search: Search, kind: type[Options], parse: Callable[[str], Options], explain: Callable[[ErrorDetails], tuple[str, str]]
) -> Expanded[Options]:
    """Every combination that the runtime's own options allow.

    Args:
        kind: the class of the runtime's options.
        parse: reads a build of it from JSON; ValidationError.
        explain: says what is wrong with an option, and what to do.
    """
    made: Expanded[Options] = Expanded()
    used: set[tuple[str, int]] = set()
    wrong: dict[_Loc, Fault] = {}
    seen: set[str] = set()
    for places in itertools.product(*(range(len(values)) for values in search.over.values())):
        at = dict(zip(search.over, places, strict=True))
        varied = {name: search.over[name][place] for name, place in at.items()}
        try:
            build = _parsed(kind, search, varied, parse)
        except ValidationError as error:
            made.left_out += 1
            for details in error.errors(include_url=False):
                fault = _fault(details, search, at, explain)
                wrong.setdefault(fault.loc, fault)
            continue
        used.update(at.items())
        spelled_out = build.normal().model_dump_json()
        if spelled_out in seen:
            made.left_out += 1
            continue
        seen.add(spelled_out)
        made.combinations.append(Combination(varied, build))
    unused: list[_Loc] = [
        ("over", name, place) for name, values in search.over.items() for place in range(len(values)) if (name, place) not in used
    ]
    if search.rank_layers and (reason := next((one.build.unranked() for one in made.combinations if one.build.unranked()), "")):
        made.faults.append(Fault(("rank_layers",), reason, "Leave out the one or the other."))
    if not search.rank_layers and (only := next((one.build.only_searched() for one in made.combinations if one.build.only_searched()), "")):
        made.faults.append(
            Fault(("over" if only in search.over else "base", only), f"The runtime's tool has no {only}.", "Add rank_layers: measured.")
        )
    if not made.combinations:
        made.faults.extend(wrong.values())
    else:
        made.faults.extend(_of_value(loc, wrong) for loc in unused)
        if _TEXTS in search.base and not any(one.build.texts() for one in made.combinations):
            made.faults.append(Fault(("base", _TEXTS), "No candidate looks at these texts.", "Leave them out, or let a method vary."))
    return made


def _parsed(kind: type[Options], search: Search, varied: Mapping[str, JsonValue], parse: Callable[[str], Options]) -> Options:
    """A build of options that stand side by side; the texts of `base` are left out where no method looks at them."""
    flat = {**kind.search_base, **search.base, **varied}
    try:
        return parse(_build(kind, flat))
    except ValidationError as error:
        if _TEXTS not in search.base or {details["loc"][-1] for details in error.errors()} != {_TEXTS}:
            raise
        return parse(_build(kind, {name: value for name, value in flat.items() if name != _TEXTS}))


def _build(kind: type[RuntimeBuild], flat: Mapping[str, JsonValue]) -> str:
    outer = {name: value for name, value in flat.items() if name in kind.model_fields}
    inner = {name: value for name, value in flat.items() if name not in kind.model_fields}
    return json.dumps({"runtime": kind.runtime_name(), **outer, "quantization": inner})


def _fault(details: ErrorDetails, search: Search, at: Mapping[str, int], explain: Callable[[ErrorDetails], tuple[str, str]]) -> Fault:
    """The error at the value that it is about: in `over`, in `base`, or that of the search."""
    what, remedy = explain(details)
    key: _Loc = ("[key]",) if details["type"] == "extra_forbidden" else ()
    for name in (str(part) for part in details["loc"]):
        if name in at:
            return Fault(("over", name, *(key or (at[name],))), what, remedy)
        if name in search.base:
            return Fault(("base", name, *key), what, remedy)
    return Fault(("over",), what, remedy)


def _of_value(loc: _Loc, wrong: Mapping[_Loc, Fault]) -> Fault:
    """Why no candidate has this value."""
    if found := wrong.get(loc) or wrong.get((*loc[:2], "[key]")):
        return found
    first = next(iter(wrong.values()))
    return Fault(loc, f"No candidate can have this value: {first.reason}", first.remedy)


def nearest(name: str, known: list[str]) -> str:
    """What to write in place of an unknown option."""
    near = get_close_matches(name, known, 1, cutoff=0.55)
    return f"Did you mean `{near[0]}`?" if near else f"Its options are {', '.join(known)}."
