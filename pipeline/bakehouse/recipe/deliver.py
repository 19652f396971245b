"""What a recipe says about delivering: for which other programs each of its packages is laid out, by `bakehouse deliver`."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Annotated

from pydantic import Field

from bakehouse.recipe.model import Fault
from bakehouse.recipe.types import NAME_PATTERN, Name, quoted

# Left out if it is empty, so that the recipes inside of packages stay the same.
Deliver = Annotated[
    dict[Name, tuple[Name, ...]],
    Field(
        description="For which programs `bakehouse deliver NAME` lays the package of a build or bundle out, by the build's name; "
        "`bakehouse deliver --help` lists them.",
        json_schema_extra={"propertyNames": {"pattern": NAME_PATTERN}},
        exclude_if=lambda places: not places,
    ),
]


def misfits(deliver: Mapping[str, tuple[str, ...]], names: Collection[str], *, writes_text: bool) -> Iterator[Fault]:
    """What is wrong with it, below `deliver`, for a recipe with builds and bundles of these names."""
    if deliver and not writes_text:
        yield Fault((), "Only models that write text are laid out for other programs.", "Leave it out.")
    for name, places in deliver.items():
        if name not in names:
            yield Fault((name, "[key]"), f"No build is called {quoted(name)}.", f"The builds are {', '.join(names)}.")
        if not places:
            yield Fault((name,), "Without a place this would have no effect.", "Name one, or leave it out.")
        for position, place in enumerate(places):
            if place in places[:position]:
                yield Fault((name, position), f"{quoted(place)} is named twice.", "Name it once.")
