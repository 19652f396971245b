"""What a backend is: a module with these functions and no state. The table of them is in the package itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from bakehouse.backends.card_words import Rows
from bakehouse.backends.delivery import Profile
from bakehouse.errors import NotInstalled
from bakehouse.formats.checkpoint import Survey
from bakehouse.formats.config_json import Config
from bakehouse.recipe.kinds import DEFAULT_TASK, BuildOptions
from bakehouse.records import Distribution
from bakehouse.steps.cost import Estimate, installed
from bakehouse.steps.maker import Command, Maker
from bakehouse.steps.seam import Report, Request, Result
from bakehouse.steps.step import Step
from bakehouse.tasks.text_generation.seams import EvaluateRequest
from bakehouse.toolchains import table as toolchains

Device = Literal["CPU", "GPU", "NPU"]


@dataclass(frozen=True)
class Room:
    """How many tokens a model takes at most.

    Attributes:
        together: of a prompt and its answer.
        remedy: what to do about a prompt that is too long.
        prompt: of a prompt alone, where that is less.
        reason: a sentence on why it is less than config.json says; "" where it is not.
    """

    together: int
    remedy: str
    prompt: int | None = None
    reason: str = ""


@dataclass(frozen=True)
class Proposal:
    """A build that a new recipe may have, under the name that it then has; `why` is a comment for its readers."""

    name: str
    build: BuildOptions
    why: str = ""


Proposals = tuple[tuple[Proposal, ...], ...]  # of the proposals in one tuple a recipe gets the first that fits


class DevicesRequest(Request):
    """Which devices are meant: those whose names begin so ("NPU"), or all."""

    beginning: str = ""


class Devices(Result):
    """The devices that a runtime sees: as it calls them, with what it knows of each."""

    devices: dict[str, str]


class Backend(Maker, Protocol):
    """A module that knows one converter."""

    def steps(
        self,
        label: str,
        build: BuildOptions,
        checkpoint: Step,
        source_label: str,
        calibration: Step | None,
        remote_code: bool,
        task: str = DEFAULT_TASK,
    ) -> dict[str, Step]:
        """The steps whose files make the model folder, by role; what builds share comes out as equal steps. Pure.

        Args:
            label: the build's name, for steps of its own.
            source_label: the recipe's name, for steps that its builds share.
            calibration: the step that holds `samples.txt`, if the build has a calibration.
            remote_code: whether Python files of the checkpoint may run.
            task: what kind of model it is, one of those that the class of the options names.
        """
        ...

    def proposals(self, parameters: int | None) -> Proposals:
        """Builds for a new recipe, the best of each kind first, for a model of so many weights (None if that is not known yet)."""
        ...

    def adapters(
        self, label: str, build: BuildOptions, parts: Mapping[str, Step], fetched: Sequence[tuple[Step, float]]
    ) -> dict[str, Step]:
        """The steps that make of LoRA adapters what the runtime applies by itself, by role; for a build that keeps them separate.

        `fetched` are the steps that bring them, each with its scale; `parts` as `steps` gave them.
        """
        ...

    def generate_tools(self, build: BuildOptions) -> dict[str, str]:
        """The versions of the tools that change the build's answers."""
        ...

    def missing(self, build: BuildOptions) -> str | None:
        """Why this machine cannot make the build and what to do, in a few words; None if it can."""
        ...

    def abilities(self) -> dict[str, str | None]:
        """What the backend makes, in a few words, and why this machine cannot make it, as `missing` says it; None if it can."""
        ...

    def devices(self) -> Command | None:
        """The command whose worker leaves `Devices`; None where the runtime has no list of them, or lives in another environment."""
        ...

    def layout(self, build: BuildOptions, parts: Mapping[str, Path]) -> dict[str, Path]:
        """Path in the package -> file in a part; `parts` are the files of the steps by role, and of "checkpoint"."""
        ...

    def targets(self, build: BuildOptions) -> tuple[str, ...]:
        """The devices that the build is made for, as its runtime calls them ("CPU", "GPU")."""
        ...

    def generate(self, build: BuildOptions, parts: Mapping[str, Path], request: Request) -> Command:
        """The command whose worker does what the task's `request` says with a laid-out model, and leaves the result that the task reads.

        Of text generation, a GenerateRequest with prompts. `parts` are those of `layout`; a backend with an environment of its own finds it
        among them. A runtime that computes in another precision by default answers once more, as the card's program does: into
        `answer_file.in_use(request.answers)`, and reports `in_use`.
        """
        ...

    def runner(self, build: BuildOptions, package: Path, device: Device | None) -> Command:
        """The command whose worker loads the model in the folder `package` and answers jobs until its input ends.

        The worker is a `jobs.serve` (tasks/text_generation/workers). It gives the runtime the options that the card's program has, and runs
        no code of the package. `device` None: the one that the build is made for.

        Raises:
            Failure: such a package is not run here, or not on this device. NotInstalled: the runtime is missing.
        """
        ...

    def evaluate(self, build: BuildOptions, package: Path, device: Device | None, wanted: EvaluateRequest) -> Command:
        """The command whose worker carries out tasks of lm-eval with the model in the folder `package`, and leaves an EvaluateResult.

        Raises:
            Failure: such a package is not evaluated here, or not on this device. NotInstalled: the runtime is missing.
        """
        ...

    def numeric_check(
        self, label: str, build: BuildOptions, parts: Mapping[str, Step], checkpoint: Step, logits: Step, source_label: str
    ) -> Step | None:
        """The step that compares the logits of what is made with the source's, as `logits` has them; None if the backend has none.

        `label` and `source_label` as in `steps`, `parts` are what that gave.
        """
        ...

    def fidelity(
        self, label: str, build: BuildOptions, parts: Mapping[str, Step], reference: Step, positions: int | None = None
    ) -> Step | None:
        """The step that measures how far the build is from its source, as `reference` has it, in its own runtime; None without one.

        It needs only the parts that decide the logits, so builds that differ in nothing else share it. `positions`: at about so many.
        """
        ...

    def sensitivity(self, label: str, build: BuildOptions, parts: Mapping[str, Step], reference: Step) -> Step | None:
        """The step that measures what each layer in fewer bits does to the source; None for a build that leaves no layers to choose."""
        ...

    def keeping(self, build: BuildOptions, files: Path) -> BuildOptions:
        """The build with layers by name in place of its ratio, chosen by what its step `sensitivity` left in `files`."""
        ...

    def preflight(
        self, build: BuildOptions, survey: Survey, toolchain: toolchains.Name = toolchains.INSTALLED, task: str = DEFAULT_TASK
    ) -> tuple[str, ...]:
        """Sentences, one for each reason why this build of this checkpoint cannot work with this toolchain, as a model of this kind."""
        ...

    def model_types(self, task: str = DEFAULT_TASK) -> Mapping[str, tuple[toolchains.Name, ...]]:
        """The types of model that the backend makes for a task, each with the toolchains with which it does, the best first."""
        ...

    def toolchains(self, config: Config, task: str = DEFAULT_TASK) -> tuple[toolchains.Name, ...]:
        """The toolchains with which models of this config.json are made for a task, the best first; none if the backend makes none."""
        ...

    def room_for(self, build: BuildOptions, config: Config) -> Room | None:
        """How many tokens the build's model takes, by the source's config.json; None if it takes any number."""
        ...

    def estimate(self, step: Step, survey: Survey) -> Estimate:
        """What one of the backend's steps will take."""
        ...

    def tags(self, step: Step) -> tuple[str, ...]:
        """What one of the backend's steps needs that not every machine of a cluster has, in a word each; not part of its key."""
        ...

    def tags_here(self) -> dict[str, bool]:
        """All that `tags` may name, and whether this machine has it."""
        ...

    def packages(self, step: Step, report: Report) -> tuple[Distribution, ...]:
        """What a setup step installed for itself alone; `report` is what its worker reported."""
        ...

    def has_pickles(self, build: BuildOptions) -> bool:
        """Whether the build's package will hold a pickle."""
        ...

    def profiles(self) -> tuple[Profile, ...]:
        """The places that the backend's packages can be delivered to."""
        ...


@dataclass(frozen=True)
class HubWords:
    """What the hub files a model under: fields of a model card's front matter, as the hub's documentation of model cards names them.

    Attributes:
        inference: False for a model that the hub's own inference cannot run; None says nothing.
    """

    tags: tuple[str, ...]
    library_name: str = "transformers"
    pipeline_tag: str = "text-generation"
    inference: bool | None = None


@dataclass(frozen=True)
class CardFacts:
    """Variables of a backend's template in addition to those that every card has; a backend that has some adds them as fields.

    Attributes:
        longest_text: tokens that prompt and answer can have together, if the runtime's form of the model limits them; else None.
        longest_recording_s: seconds that the runtime hears of a recording, if it does not go on after them; else None.
    """

    longest_text: int | None = field(default=None, kw_only=True)
    longest_recording_s: int | None = field(default=None, kw_only=True)


class Card(Protocol):
    """The module `card` of a backend: what is peculiar to its models on a model card, with a template next to it, `card.md.jinja`."""

    TOOLS: tuple[str, ...]  # whose versions the card names, in this order
    __name__: str

    def hub_words(self, builds: Sequence[BuildOptions]) -> HubWords:
        """What the hub files such models under."""
        ...

    def format_of(self, build: BuildOptions) -> str:
        """What the model is in now, in a few words: "OpenVINO IR"."""
        ...

    def facts(self, build: BuildOptions) -> CardFacts:
        """Variables of its template in addition to those that every card has."""
        ...

    def quantization(self, build: BuildOptions) -> Rows:
        """What was done to the weights, in words: what, and how."""
        ...

    def title(self, build: BuildOptions) -> str:
        """What the model runs on, as people call it: "DirectML"."""
        ...


def runtime_is_installed(tools: Sequence[str]) -> None:
    """See that a runtime of the extra `build` is here.

    Raises:
        NotInstalled: it is not.
    """
    if absent := [name for name in tools if name not in installed(name)]:
        raise NotInstalled(f"{', '.join(absent)} not installed", remedy="`pip install 'bakehouse[build]'` brings the runtimes")


def adapters(label: str, build: BuildOptions, parts: Mapping[str, Step], fetched: Sequence[tuple[Step, float]]) -> dict[str, Step]:
    """Of a backend whose builds have no separate adapters."""
    return {}


def packages(step: Step, report: Report) -> tuple[Distribution, ...]:
    """Of a backend whose tools are all in the pipeline's own environment."""
    return ()


def tags(step: Step) -> tuple[str, ...]:
    """Of a backend whose steps every machine can make that has its tools."""
    return ()


def tags_here() -> dict[str, bool]:
    """Of such a backend."""
    return {}


def room_for(build: BuildOptions, config: Config) -> Room | None:
    """Of a backend whose models take any number of tokens."""
    return None


def sensitivity(label: str, build: BuildOptions, parts: Mapping[str, Step], reference: Step) -> Step | None:
    """Of a backend whose layers are not chosen by name."""
    return None


def keeping(build: BuildOptions, files: Path) -> BuildOptions:
    """Of a backend whose layers are not chosen by name: there is nothing to change."""
    return build


def has_pickles(build: BuildOptions) -> bool:
    """Of a backend that makes none."""
    return False


def profiles() -> tuple[Profile, ...]:
    """Of a backend whose packages are used as they are."""
    return ()
