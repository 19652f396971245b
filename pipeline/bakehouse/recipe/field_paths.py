"""The fields of a recipe as data: the place among the models that an error's location means, and what may be written there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from bakehouse.recipe.model import Model

Location = tuple[str | int, ...]


@dataclass(frozen=True)
class Place:
    """A place in a recipe.

    Attributes:
        path: keys and indices, from the top.
        owner: the model that the last named field belongs to.
        field: that field's name, or of an unknown one ("" for the recipe itself).
        models: the models that are allowed here, if any.
        is_key: whether the last key of the path is meant, and not its value.
    """

    path: Location
    owner: type[Model]
    field: str
    models: tuple[type[Model], ...]
    is_key: bool = False

    @property
    def info(self) -> FieldInfo | None:
        """The field, if one has that name."""
        return self.owner.model_fields.get(self.field)

    @property
    def description(self) -> str:
        """The field's one sentence."""
        return (self.info and self.info.description) or ""


def members(annotation: Any) -> tuple[Any, ...]:
    """The alternatives of an annotation, without None."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return members(get_args(annotation)[0])
    if origin in (Union, UnionType):
        return tuple(member for part in get_args(annotation) for member in members(part))
    return () if annotation in (None, NoneType) else (annotation,)


def models(annotation: Any) -> tuple[type[Model], ...]:
    """Those of the alternatives that are models."""
    return tuple(member for member in members(annotation) if isinstance(member, type) and issubclass(member, Model))


def tags(model: type[Model]) -> tuple[str, ...]:
    """The values of the required literal that distinguishes this model from its siblings; of a golden input its task."""
    if isinstance(task := getattr(model, "task", None), str):
        return (task,)
    literals = (info for info in model.model_fields.values() if info.is_required() and get_origin(info.annotation) is Literal)
    return next((get_args(info.annotation) for info in literals), ())


def place(loc: Location, top: Any) -> Place:
    """The place that a validation error is about; `loc` as pydantic gives it, with the tags of unions in it, `top` what was validated."""
    annotation: Any = top
    owner: type[Model] = models(top)[0]
    field = ""
    path: list[str | int] = []
    for item in loc:
        candidates = models(annotation)
        if item == "[key]":
            return Place(tuple(path), owner, field, candidates, is_key=True)
        if len(candidates) > 1:  # pydantic puts the tag of the member that it chose
            annotation = next(model for model in candidates if item in tags(model))
            continue
        path.append(item)
        if candidates:
            owner, field = candidates[0], str(item)
            info = owner.model_fields.get(field)
            annotation = info.annotation if info else None
        else:
            annotation = _inside(annotation)
    return Place(tuple(path), owner, field, models(annotation))


def _inside(annotation: Any) -> Any:
    """What a list or a mapping holds."""
    for member in members(annotation):
        arguments = get_args(member)
        if get_origin(member) is dict:
            return arguments[1]
        if get_origin(member) is tuple:
            return arguments[0]
    return None


def walk(top: type[Model]) -> Iterator[tuple[str, type[Model], str, FieldInfo]]:
    """Every field below a model once: the path to its own model, that model, the field's name, the field; outer ones first."""

    seen: set[tuple[str, type[Model]]] = set()

    def below(path: str, annotation: Any) -> Iterator[tuple[str, type[Model], str, FieldInfo]]:
        inside = _inside(annotation)
        if inside is not None:
            yield from below(f"{path}.NAME" if any(get_origin(member) is dict for member in members(annotation)) else f"{path}[]", inside)
        for model in models(annotation):
            if (path, model) in seen:
                continue
            seen.add((path, model))
            for name, info in model.model_fields.items():
                yield path, model, name, info
            for name, info in model.model_fields.items():
                yield from below(f"{path}.{name}".removeprefix("."), info.annotation)

    yield from below("", top)
