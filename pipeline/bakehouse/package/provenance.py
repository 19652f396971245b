"""How a package was made, as an in-toto statement with SLSA provenance, from the manifest alone. The statement is not signed here."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, assert_never

from pydantic import BaseModel, ConfigDict, Field, JsonValue
from pydantic.alias_generators import to_camel

from bakehouse.package.manifest import PackageManifest, StepRun
from bakehouse.recipe.recipe import Recipe
from bakehouse.recipe.resolved import as_recipe
from bakehouse.recipe.source import HubAdapter, HuggingFace, Local, PyPI, Source, adapter_role
from bakehouse.records import Builder, FileRecord

# in-toto Attestation Framework 1.0 and SLSA 1.0: https://slsa.dev/spec/v1.0/provenance
STATEMENT: Literal["https://in-toto.io/Statement/v1"] = "https://in-toto.io/Statement/v1"
PREDICATE: Literal["https://slsa.dev/provenance/v1"] = "https://slsa.dev/provenance/v1"
BUILD_TYPE: Literal["urn:bakehouse:recipe:v1"] = "urn:bakehouse:recipe:v1"


class _Part(BaseModel):
    """A part of a statement from elsewhere: the fields that are read; other fields are ignored."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", alias_generator=to_camel, defer_build=True)


class Digest(_Part):
    """Of the digests of a subject, the one that is compared."""

    sha256: str


class Subject(_Part):
    """A file of the package."""

    name: str
    digest: Digest


class External(_Part):
    """What was requested: a build or bundle, and the recipe that has it."""

    build: str
    recipe: Recipe


class Internal(_Part):
    """What the plan made of it."""

    key: str


class Definition(_Part):
    """How it was made, and from what."""

    build_type: Literal["urn:bakehouse:recipe:v1"]
    external_parameters: External
    internal_parameters: Internal
    resolved_dependencies: tuple[dict[str, JsonValue], ...]


class Predicate(_Part):
    """The part of SLSA provenance that is compared."""

    build_definition: Definition


class Statement(_Part):
    """The provenance of a package, read back; a ValidationError if it has another form."""

    type: Literal["https://in-toto.io/Statement/v1"] = Field(alias="_type")
    predicate_type: Literal["https://slsa.dev/provenance/v1"]
    subject: tuple[Subject, ...]
    predicate: Predicate


def render(manifest: PackageManifest, subjects: Iterable[FileRecord]) -> str:
    """The statement about `subjects`, the files of the package, as JSON."""
    return json.dumps(statement(manifest, subjects), indent=2, ensure_ascii=False) + "\n"


def statement(manifest: PackageManifest, subjects: Iterable[FileRecord]) -> dict[str, JsonValue]:
    """The statement: what was made (subjects), what of (resolved dependencies), how (the recipe), by whom and when."""
    definition: JsonValue = {
        "buildType": BUILD_TYPE,
        "externalParameters": external(manifest),
        "internalParameters": {
            "key": manifest.key,
            "steps": [_step(step) for step in manifest.steps],
            "machine": {**manifest.made_on},
        },
        "resolvedDependencies": [*source_files(manifest), *map(_dependency, tools(manifest)), *_itself(manifest.builder)],
    }
    metadata: dict[str, JsonValue] = {"startedOn": _utc(_started(manifest)), "finishedOn": _utc(manifest.made_at)}
    if manifest.builder.invocation:
        metadata["invocationId"] = manifest.builder.invocation
    details: JsonValue = {"builder": {"id": manifest.builder.id}, "metadata": metadata}
    return {
        "_type": STATEMENT,
        "subject": [{"name": file.path, "digest": {"sha256": file.sha256}} for file in subjects],
        "predicateType": PREDICATE,
        "predicate": {"buildDefinition": definition, "runDetails": details},
    }


def _step(step: StepRun) -> dict[str, JsonValue]:
    """A step with its commands, and what their workers were given, where they got a request."""
    commands: list[JsonValue] = [list(ran.argv) for ran in step.ran]
    requests: list[JsonValue] = [ran.request for ran in step.ran if ran.request is not None]
    return {"kind": step.kind, "key": step.key, "commands": commands, **({"requests": requests} if requests else {})}


def external(manifest: PackageManifest) -> dict[str, JsonValue]:
    """All that was requested: the recipe with every default spelled out, and which build or bundle of it."""
    short = manifest.build.build
    builds = [member.build for member in manifest.members]
    recipe = as_recipe(*builds, bundle=short, words=manifest.build.card) if builds else as_recipe(manifest.build)
    return {"build": short, "recipe": recipe.model_dump(mode="json", exclude_none=True)}


def source_files(manifest: PackageManifest) -> list[dict[str, JsonValue]]:
    """The files that the model, and its draft, were made of, each with its sha256 and where it can be had."""
    build, draft = manifest.build, manifest.draft_source
    own = _files_of(build.source, manifest.source.files)
    return own + (_files_of(build.draft.source, draft.files, "draft/") if build.draft and draft else [])


def _files_of(source: Source, files: Iterable[FileRecord], before: str = "") -> list[dict[str, JsonValue]]:
    origin, merged = origin_purl(source), _adapters(source)
    return [{"name": before + file.path, **_uri(origin, file.path, merged), "digest": {"sha256": file.sha256}} for file in files]


def _adapters(source: Source) -> dict[str, str]:
    """The folder of each adapter among the source's files -> its package URL; "" for a local one."""
    urls = [f"pkg:huggingface/{one.repo}@{one.revision}" if isinstance(one, HubAdapter) else "" for one in source.adapters]
    return {adapter_role(number): url for number, url in enumerate(urls, 1)}


def _uri(origin: str, path: str, merged: Mapping[str, str]) -> dict[str, JsonValue]:
    """Where a file of the source, or of an adapter that is merged into it, can be had."""
    folder, _, name = path.partition("/")
    at, name = (merged[folder], name) if folder in merged else (origin, path)
    return {"uri": f"{at}#{name}"} if at else {}


def origin_purl(source: Source) -> str:
    """The package URL of a source, pinned; "" for local files, which nobody else can fetch."""
    match source:
        case HuggingFace(repo=repo, revision=revision):
            return f"pkg:huggingface/{repo}@{revision}"
        case PyPI(package=package, version=version):
            return f"pkg:pypi/{package}@{version}"
        case Local():
            return ""
        case _:
            assert_never(source)


@dataclass(frozen=True)
class Tool:
    """A tool that took part in making a package.

    Attributes:
        purl: its package URL: on PyPI if it is installed here, or was installed for this step alone.
        part: its role; "" for the tools that made the model and ran it in the pipeline's own environment.
        sha256: of its wheel or source archive; "" if unknown.
        record_sha256: of the files in its wheel (see wheels.py); "" if unknown.
    """

    name: str
    version: str
    purl: str
    part: str = ""
    sha256: str = ""
    record_sha256: str = ""


def tools(manifest: PackageManifest) -> Iterator[Tool]:
    """All tools: the pipeline's own, those that steps installed for themselves, those that only made the reference's answers."""
    records = {(wheel.name, wheel.version): wheel.record_sha256 for wheel in manifest.wheels}
    packages = {(package.name, package.version): package.sha256 for package in manifest.packages}
    for tool in manifest.tools.items():
        if tool in records or tool not in packages:
            yield Tool(*tool, _purl(*tool, tool in records), record_sha256=records.get(tool, ""))
    for package, sha256 in packages.items():
        if sha256 or package not in records:  # else it is a copy of the pipeline's own
            yield Tool(*package, _purl(*package, True), "in a separate environment", sha256)
    for tool in manifest.reference_tools.items():
        if tool not in manifest.tools.items():
            yield Tool(*tool, _purl(*tool, tool in records), "for the reference's answers only", record_sha256=records.get(tool, ""))


def _purl(name: str, version: str, known: bool) -> str:
    return f"pkg:{'pypi' if known else 'generic'}/{name.lower().replace('_', '-')}@{version}"


def _dependency(tool: Tool) -> dict[str, JsonValue]:
    digest: dict[str, JsonValue] = {
        name: value for name, value in (("sha256", tool.sha256), ("record-sha256", tool.record_sha256)) if value
    }
    return {
        "name": tool.name,
        "uri": tool.purl,
        **({"digest": digest} if digest else {}),
        **({"annotations": {"part": tool.part}} if tool.part else {}),
    }


def _itself(builder: Builder) -> Iterator[dict[str, JsonValue]]:
    """Bakehouse, by its version and by the commit of its checkout, as far as either is known."""
    if builder.version or builder.commit:
        at = f"@{builder.version}" if builder.version else ""
        digest: dict[str, JsonValue] = {"digest": {"gitCommit": builder.commit}} if builder.commit else {}
        yield {"name": "bakehouse", "uri": f"pkg:generic/bakehouse{at}", **digest}


def _started(manifest: PackageManifest) -> datetime:
    """When the first command of the oldest step began."""
    begun = [step.made_at - timedelta(seconds=sum(ran.seconds for ran in step.ran)) for step in manifest.steps if step.made_at]
    return min([*begun, manifest.made_at])


def _utc(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")
