"""The model card of a package, its README.md, from the manifest alone. Text from outside is escaped, so that it stays text."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any, assert_never

import yaml

from bakehouse.backends.table import CARDS
from bakehouse.package import card_fidelity, card_use, card_words, markdown
from bakehouse.package.card_tasks import CARDS_OF_TASKS
from bakehouse.package.manifest import PackageManifest
from bakehouse.recipe.resolved import ResolvedBuild
from bakehouse.recipe.source import HuggingFace, Local, PyPI
from bakehouse.recipe.types import OTHER_LICENCE
from bakehouse.tasks.text_generation.golden import mine
from bakehouse.text import size_text

TEMPLATE = "card.md.jinja"
# Licences that the hub knows by this name (its model card documentation); every other one is "other" with license_name.
_HUB_LICENCES = frozenset(
    {"apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "isc", "zlib", "unlicense", "mpl-2.0", "eupl-1.2"}
    | {"gpl-2.0", "gpl-3.0", "lgpl-3.0", "agpl-3.0", "cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "cc-by-nc-sa-4.0"}
)


def render(manifest: PackageManifest) -> str:
    """The card, Markdown with YAML front matter."""
    build = manifest.build
    folder, download = card_use.fetch(build, manifest.name)
    own = CARDS[build.options.runtime]
    members = manifest.members or (manifest,)
    facts = own.facts(build.options)
    described = [_member(member) for member in members]
    task = CARDS_OF_TASKS.get(build.task)
    shown = task.variables(manifest) if task else card_use.program(mine(build.golden))
    card: str = _template(task.template if task else TEMPLATE).render(
        manifest=manifest,
        build=build,
        runtime_folder=own.__name__.split(".")[-2],
        front_matter=front_matter(manifest),
        title=card_words.title(manifest),
        origin=card_words.origin(build.source, separate=build.options.adapters_are_separate()),
        made_for=card_words.made_for(manifest),
        context=facts.longest_text or card_words.context(members[0]),
        versions=_versions(manifest),
        folder=folder,
        download=download,
        gguf=card_use.gguf(build.source),
        reference=card_use.reference(manifest),
        base_model=base_model(build),
        declared=None if isinstance(build.source, HuggingFace) else build.source.base_model,
        format=own.format_of(build.options),
        folders=folders(members),
        **vars(facts),
        **shown,
        upstream=list(dict.fromkeys(ran.upstream for step in manifest.steps for ran in step.ran if ran.upstream)),
        exact=card_words.exact(manifest.verdicts, card_use.reference(manifest)),
        **card_use.kept(manifest),
        several=bool(manifest.members),
        members=described,
        measured_members=[member for member in described if member["fidelity"]],
        licence_file=manifest.licence_file,
    )
    return card


def _versions(manifest: PackageManifest) -> dict[str, str]:
    """The versions that the model was made and run with; of a distribution that two environments have in two versions, both."""
    named = [*manifest.tools.items(), *((package.name, package.version) for package in manifest.packages)]
    found = {
        tool: dict.fromkeys(version for name, version in named if name == tool) for tool in CARDS[manifest.build.options.runtime].TOOLS
    }
    return {tool: ", ".join(versions) for tool, versions in found.items() if versions}


def front_matter(manifest: PackageManifest) -> str:
    """The YAML that the hub reads, without the lines around it; the keys that the OpenVINO organisation's cards have."""
    build = manifest.build
    licence = build.license
    known = licence.lower() in _HUB_LICENCES
    facts: dict[str, Any] = {"license": licence.lower() if known else "other"}
    if not known:
        own = build.source.license_name if licence == OTHER_LICENCE else None
        facts["license_name"] = own or licence.removeprefix("LicenseRef-").lower().replace(" ", "-")
    if licence == build.source.license and (link := manifest.licence_file or build.source.license_link):
        facts["license_link"] = link
    facts |= _lineage(build)
    words = CARDS[build.options.runtime].hub_words([one.build.options for one in manifest.members or (manifest,)])
    task = CARDS_OF_TASKS.get(build.task)
    facts |= {"library_name": (task and task.library) or words.library_name, "pipeline_tag": task.hub_tag if task else words.pipeline_tag}
    if words.inference is not None:
        facts["inference"] = words.inference
    facts["tags"] = list(dict.fromkeys([*words.tags, *(build.card.tags if build.card else ())]))
    return yaml.safe_dump(facts, sort_keys=False, allow_unicode=True).rstrip("\n")


def _lineage(build: ResolvedBuild) -> dict[str, str]:
    """What the hub shows as the model's origin, if that is known to be true.

    The repository that a recipe only names may be what a local checkpoint was fine-tuned from, so it is not called quantized; what a GGUF
    file was made from took no part in making this model.
    """
    origin = base_model(build)
    if isinstance(build.source, HuggingFace):
        merged = build.source.adapters and not build.options.adapters_are_separate()
        relation = "finetune" if merged else "quantized"
        return {"base_model": build.source.repo, "base_model_relation": relation}
    return {"base_model": origin} if origin and not card_use.gguf(build.source) else {}


def folders(manifests: Iterable[PackageManifest]) -> list[dict[str, object]]:
    """The model folders of packages that can be joined: the path of each, what it is made for, precision and size."""
    return [_folder(folder, manifest) for manifest in manifests if (folder := manifest.build.options.folder())]


def _folder(folder: str, manifest: PackageManifest) -> dict[str, object]:
    options = manifest.build.options
    return {
        "folder": folder,
        "title": CARDS[options.runtime].title(options),
        "weights": options.quantization.weights,
        "size_bytes": sum(file.size for file in manifest.files if file.path.startswith(f"{folder}/")),
    }


def _member(manifest: PackageManifest) -> dict[str, object]:
    """What a card says about one model: the only one, or one of a bundle."""
    options = manifest.build.options
    return {
        "folder": options.folder(),
        "weights": CARDS[options.runtime].quantization(options),
        "stored": card_words.stored(manifest.measured),
        "how_answered": card_words.how_answered(manifest.validation),
        "drafted": card_words.drafted(manifest),
        "adapted": card_words.adapted(manifest),
        "answers": [(one, card_words.verdict(one, manifest)) for one in card_use.answers(manifest.validation)],
        "reason": options.min_agreement_reason,
        "fidelity": card_fidelity.section(manifest),
        "numeric": card_words.numeric_check(manifest.numeric),
        "tokenizer": card_words.tokenizer(manifest),
        "limits": card_words.limits(manifest),
        "ran": card_words.ran(manifest),
    }


def base_model(build: ResolvedBuild) -> str | None:
    """The hub repository of the original model, or None."""
    match build.source:
        case HuggingFace(repo=repo):
            return repo
        case PyPI(base_model=origin) | Local(base_model=origin):
            return origin
        case _:
            assert_never(build.source)


@cache
def _template(name: str) -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # here, because `doit list` does not need it

    # The card is Markdown and not HTML: `text`, `code` and `block` escape what is inserted.
    environment = Environment(
        loader=FileSystemLoader([Path(__file__).parent, Path(__file__).parents[1] / "backends"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"text": markdown.text, "code": markdown.code, "block": markdown.block, "paragraph": markdown.paragraph}
    environment.filters |= {"python": markdown.string, "pin": markdown.pin, "size": size_text, "arguments": markdown.arguments}
    environment.filters |= {"dictionary": markdown.dictionary, "messages": markdown.messages}
    return environment.get_template(name)
