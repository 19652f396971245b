"""A step: one unit of work with a key. What backends and sources describe, the plan joins, and stages carry out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import JsonValue

from bakehouse.steps.seam import Spec

_Spec = TypeVar("_Spec", bound=Spec)

Kind = Literal[
    "survey",
    "setup",
    "download",
    "checkpoint",
    "calibration",
    "recording",
    "picture",
    "export",
    "tokenizer",
    "compress",
    "adapter",
    "compile",
    "reference",
    "reference_logits",
    "numeric_check",
    "fidelity_reference",
    "fidelity",
    "sensitivity",
    "validate",
    "package",
]


@dataclass(frozen=True)
class Notes:
    """What a child needs to know that cannot change the bytes; not part of a step's key.

    Attributes:
        path: where a local source lies on this machine; None for every other step.
    """

    path: Path | None = None


@dataclass(frozen=True)
class Step:
    """One unit of work.

    Attributes:
        kind: what sort of directory it makes; also its folder in the store.
        maker: the source type or backend that knows how ("huggingface", "openvino", ...).
        label: what a person calls it ("phi3", "phi3-int4-openvino"); not part of the key.
        spec: the options of its kind, complete; part of the key as JSON.
        needs: (role, step) pairs, the directories it reads; their keys are part of the key.
        tools: name -> version of all that can change the bytes; part of the key.
        format: raised by hand when our own code comes to make other bytes from the same options.
        notes: what a child needs to know that cannot change the bytes; not part of the key.
    """

    kind: Kind
    maker: str
    label: str
    spec: Spec
    needs: tuple[tuple[str, Step], ...] = ()
    tools: dict[str, str] = field(default_factory=dict)
    format: int = 1
    notes: Notes = Notes()

    @cached_property
    def options(self) -> dict[str, JsonValue]:
        """The spec as JSON values, as the key and the records have it."""
        return self.spec.model_dump(mode="json")

    def spec_as(self, kind: type[_Spec]) -> _Spec:
        """The spec, of which the caller knows the model."""
        assert isinstance(self.spec, kind), f"the spec of a {self.kind} step is {type(self.spec).__name__}"
        return self.spec

    @cached_property
    def key(self) -> str:
        """sha256 (hex) of everything that can change the bytes, and of nothing else."""
        facts = {
            "kind": self.kind,
            "maker": self.maker,
            "options": self.options,
            "needs": {role: step.key for role, step in self.needs},
            "tools": self.tools,
            "format": self.format,
        }
        text = json.dumps(facts, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()

    def need(self, role: str) -> Step:
        """The step that fills `role`; KeyError if no step does."""
        return dict(self.needs)[role]

    def closure(self) -> Iterator[Step]:
        """This step and all it needs, deepest first, each once by key."""
        seen: set[str] = set()

        def walk(step: Step) -> Iterator[Step]:
            if step.key in seen:
                return
            seen.add(step.key)
            for _, needed in step.needs:
                yield from walk(needed)
            yield step

        return walk(self)

    @property
    def reads(self) -> tuple[Step, ...]:
        """What must be in the store to make this step: what it needs; for a package, whose manifest names it, all that led to it."""
        if self.kind == "package":
            return tuple(step for step in self.closure() if step is not self)
        return tuple(step for _, step in self.needs)

    def __hash__(self) -> int:
        return hash(self.key)
