"""What crosses between the pipeline and its workers: a request, a result; and what a step is made by, its spec. All are JSON on disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict

REQUEST, RESULT = "request.json", "result.json"


class Spec(BaseModel):
    """The options of a kind of step, complete; their JSON is part of the step's key."""

    # A number that JSON does not have is refused when the key is made, and not turned into null.
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True, ser_json_inf_nan="constants")


class Request(BaseModel):
    """What a worker needs to know: the folders that it reads and fills, and its options. It gets this as `request.json`."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class Result(BaseModel):
    """What a worker found out while it worked. It leaves this as `result.json`, without the fields that are None."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


_Result = TypeVar("_Result", bound=Result)


@dataclass(frozen=True)
class Report:
    """The result of a worker as it lies on disk; `read` gives it the type that the worker's room knows."""

    values: Mapping[str, Any] = field(default_factory=dict)

    def read(self, kind: type[_Result]) -> _Result:
        """The result as a model.

        Raises:
            pydantic.ValidationError: the worker left something else.
        """
        return kind.model_validate(self.values)
