"""What is in a package and what it was made from, as a CycloneDX 1.6 ML-BOM, from the manifest alone."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from bakehouse.package import card_use, provenance
from bakehouse.package.manifest import PackageManifest, SourceRecord
from bakehouse.recipe.source import HuggingFace, Local, PyPI, Source
from bakehouse.recipe.types import OTHER_LICENCE
from bakehouse.records import FileRecord

if TYPE_CHECKING:
    from cyclonedx.model.component import Component
    from cyclonedx.model.license import License

_SERIALS = uuid.UUID("0c8c6a52-9d0e-4f0a-8a6d-6b4a3c1f6a10")  # ours: the serial number is made from the package's key and its time


def render(manifest: PackageManifest, subjects: Iterable[FileRecord]) -> str:
    """The bill of materials of a package with the files `subjects`, JSON.

    cyclonedx-python-lib has no class for the model card (CycloneDX/cyclonedx-python-lib#912, seen in 11.12.0): the card is added to what
    the library wrote, and a test compares the result with the library's own copy of the schema.
    """
    from cyclonedx.output.json import JsonV1Dot6  # here, because `bakehouse list` does not need it

    written = json.loads(JsonV1Dot6(_bom(manifest, subjects)).output_as_string())
    written["metadata"]["component"]["modelCard"] = model_card(manifest)
    return json.dumps(written, indent=2, ensure_ascii=False) + "\n"


def _bom(manifest: PackageManifest, subjects: Iterable[FileRecord]) -> Any:
    from cyclonedx.model.bom import Bom, BomMetaData
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.model.tool import ToolRepository

    root = _model(manifest)
    base = _base_model(manifest.build.source, manifest.source)
    draft = _draft(manifest)
    bom = Bom(
        serial_number=uuid.uuid5(_SERIALS, f"{manifest.key} {manifest.made_at.isoformat()}"),
        metadata=BomMetaData(
            component=root,
            timestamp=manifest.made_at,
            tools=ToolRepository(components=[Component(name="bakehouse", type=ComponentType.APPLICATION)]),
        ),
        components=[base, *draft, *map(_tool, provenance.tools(manifest)), *(_file(file, "file") for file in subjects)],
    )
    bom.register_dependency(root, [base, *draft])
    return bom


def _tool(tool: provenance.Tool) -> Component:
    from cyclonedx.model import HashAlgorithm, HashType
    from cyclonedx.model.component import Component, ComponentScope, ComponentType
    from packageurl import PackageURL

    return Component(
        name=tool.name,
        version=tool.version,
        type=ComponentType.LIBRARY,
        bom_ref=f"tool:{tool.name}@{tool.version}" if tool.part else f"tool:{tool.name}",
        scope=ComponentScope.EXCLUDED,  # it made the model and is not in the package
        description=f"used {tool.part}" if tool.part else None,
        purl=PackageURL.from_string(tool.purl),
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=tool.sha256)] if tool.sha256 else None,
    )


def _model(manifest: PackageManifest) -> Component:
    from cyclonedx.model.component import Component, ComponentType, Pedigree

    builds = [member.build for member in manifest.members] or [manifest.build]
    requested = {build.build: build.options.model_dump(mode="json", exclude_none=True) for build in builds}
    return Component(
        name=manifest.name,
        version=manifest.key[:12],
        type=ComponentType.MACHINE_LEARNING_MODEL,
        bom_ref="model",
        description=manifest.build.description,
        licenses=[_licence(manifest)],
        pedigree=Pedigree(
            ancestors=[_base_model(manifest.build.source, manifest.source, "ancestor")],
            notes=f"made with the recipe's options {json.dumps(requested, sort_keys=True)}",
        ),
    )


def _licence(manifest: PackageManifest) -> License:
    """The licence by its identifier, or by name and link."""
    from cyclonedx.contrib.license.factories import LicenseFactory
    from cyclonedx.model import XsUri

    source = manifest.build.source
    if manifest.build.license != OTHER_LICENCE or source.license_name is None:
        return LicenseFactory().make_from_string(manifest.build.license)
    link = XsUri(source.license_link) if source.license_link else None
    return LicenseFactory().make_with_name(source.license_name, url=link)


def _draft(manifest: PackageManifest) -> list[Component]:
    """What the draft in a package was made from."""
    draft, record = manifest.build.draft, manifest.draft_source
    return [_base_model(draft.source, record, "draft")] if draft and record else []


def _base_model(source: Source, record: SourceRecord, ref: str = "base") -> Component:
    """A source, with every file of it; the model that the source was made from is its ancestor."""
    from cyclonedx.model.component import Component, ComponentType, Pedigree
    from packageurl import PackageURL

    name, version, base = _origin(source)
    purl = provenance.origin_purl(source)
    return Component(
        name=name,
        version=version,
        type=ComponentType.MACHINE_LEARNING_MODEL,
        bom_ref=f"{ref}-model",
        purl=PackageURL.from_string(purl) if purl else None,
        description=record.described,
        components=[_file(file, ref) for file in record.files],
        pedigree=Pedigree(
            ancestors=[Component(name=base, type=ComponentType.MACHINE_LEARNING_MODEL, bom_ref=f"{ref}-origin")],
            notes="named by the recipe; none of its own files were used",
        )
        if base
        else None,
    )


def _origin(source: Source) -> tuple[str, str | None, str | None]:
    """Name and version of the source, and the model that the recipe names as the source's own, whose version is unknown."""
    match source:
        case HuggingFace(repo=repo, revision=revision):
            return repo, revision, None
        case PyPI(package=package, version=version, base_model=base):
            return package, version, base
        case Local(path=path, base_model=base):
            return path, None, base


def _file(file: FileRecord, group: str) -> Component:
    from cyclonedx.model import HashAlgorithm, HashType
    from cyclonedx.model.component import Component, ComponentType

    digest = HashType(alg=HashAlgorithm.SHA_256, content=file.sha256)
    return Component(name=file.path, type=ComponentType.FILE, bom_ref=f"{group}:{file.path}", hashes=[digest])


def model_card(manifest: PackageManifest) -> dict[str, object]:
    """The model card section: what the model does, what was measured, what was not shown."""
    limits = [f"It has not been run on {target}." for target in manifest.unproven]
    return {
        "bom-ref": "model-card",
        "modelParameters": {"task": "text-generation", "inputs": [{"format": "text"}], "outputs": [{"format": "text"}]},
        "quantitativeAnalysis": {
            "performanceMetrics": [{"type": what, "value": value, "slice": of} for what, value, of in _metrics(manifest)]
        },
        "considerations": {"technicalLimitations": [*limits, "Only the prompts of the recipe were run, and no benchmark."]},
    }


def _metrics(manifest: PackageManifest) -> Iterator[tuple[str, str, str]]:
    """Kind, value and what it was measured on."""
    passed = sum(verdict.passed for verdict in manifest.verdicts)
    yield "prompts answered as expected", f"{passed} of {len(manifest.verdicts)}", "all prompts of the recipe"
    for verdict in manifest.verdicts:
        agreement = verdict.agreement
        if verdict.similarity:
            yield "least cosine of a vector to the source's", f"{verdict.similarity.least_to_source:.4f}", verdict.prompt
            continue
        yield (
            f"leading tokens in common with {card_use.reference(manifest)}",
            f"{agreement.common_tokens} of {agreement.source_tokens}",
            verdict.prompt,
        )
