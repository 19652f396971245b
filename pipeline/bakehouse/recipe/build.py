"""What the options of every build have in common, for any runtime."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar, Literal, Self, get_args

from pydantic import Field, JsonValue

from bakehouse.recipe.bounds import Bounds
from bakehouse.recipe.calibration import Calibration
from bakehouse.recipe.model import Fault, Model


class RuntimeBuild(Model):
    """The options of a build for one runtime; each backend has its own class. What a runtime does not have is None.

    Class attributes for subclasses:
        search_base: options that the candidates of a search have unless it says otherwise.
        tasks: the kinds of models that the runtime has.
    """

    search_base: ClassVar[Mapping[str, JsonValue]] = {"weights": "int4"}
    tasks: ClassVar[tuple[str, ...]] = ("text-generation",)

    # Left out if it is None, so that the keys of builds without bounds stay the same.
    bounds: Bounds | None = Field(
        None, description="How far the build may be from its source; one beyond it fails.", exclude_if=lambda bounds: bounds is None
    )
    # Left out at its default for the same reason.
    unknown_architecture: Literal["refuse", "try"] = Field(
        "refuse",
        description="What becomes of a model whose architecture is on none of Bakehouse's lists; `try` has it made, verified and validated "
        "like every other.",
        exclude_if=lambda chosen: chosen == "refuse",
    )
    proven_on: Literal["any", "provider"] = Field(
        "any",
        description="Where the golden prompts must be answered: `provider` refuses a build that was only run on a device which stands in "
        "for the one that it is made for.",
        exclude_if=lambda chosen: chosen == "any",
    )

    def faults(self) -> Iterator[Fault]:
        yield from super().faults()
        if self.proven_on == "provider" and not self.stood_in():
            yield Fault(("proven_on",), "nothing stands in for the device of such a build; proven_on does not apply", "Leave it out.")

    def stood_in(self) -> bool:
        """Whether another device may stand in for the one that it is made for when it is validated."""
        return False

    def normal(self) -> Self:
        """The same options with every default spelled out, so that equal builds are equal."""
        return self

    def only_text(self) -> tuple[str, ...]:
        """The options that are set and have an effect on models that write text only."""
        return ("bounds",) if self.bounds else ()

    def drafted_by(self) -> str | None:
        """The recipe's draft that proposes tokens to the model, if it names one."""
        return None

    def adapters_are_separate(self) -> bool:
        """Whether the source's adapters stay files of their own in the package, and are not merged into the weights."""
        return False

    def without_effect(self, task: str) -> tuple[str, ...]:
        """The options that are set and would change nothing for models of a task."""
        return () if task == "text-generation" else self.only_text()

    def misfits(self, golden: Model, files: Mapping[str, Path]) -> Iterator[str]:
        """Sentences on what a golden input asks for that the runtime does not do; `files` are those that it names, by field."""
        yield from ()

    def when_wrong(self) -> str:
        """What to do about such a build when it is too far from its source, where the runtime has something to try; "" elsewhere."""
        return ""

    def folder(self) -> str | None:
        """The folder of a package that holds only the model, so that packages can be bundled; None if the model is at the top."""
        return None

    def room(self) -> int | None:
        """Tokens that a prompt and its answer may have together, if the artifact itself sets a limit."""
        return None

    def texts(self) -> Calibration | None:
        """Where the texts of a data-aware quantization come from."""
        return None

    def unranked(self) -> str:
        """Why its layers cannot be ranked by measuring them, in a sentence; "" if they can."""
        return f"The layers of builds for {self.runtime_name()} are not chosen by name."

    def only_searched(self) -> str:
        """The option of its quantization with which it can be a candidate of a search, and no build; "" if it can be one."""
        return ""

    @classmethod
    def runtime_name(cls) -> str:
        """The runtime, as recipes have it."""
        return str(get_args(cls.model_fields["runtime"].annotation)[0])

    @classmethod
    def coarseness(cls, option: str, value: JsonValue) -> float | None:
        """Where a value stands among those of a monotone option: with a higher number the model is smaller and farther from its source.

        None for values and options of which that is not known.
        """
        return None
