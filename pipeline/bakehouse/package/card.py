"""The model card of a package, its README.md, from the manifest alone. Text from outside is escaped, so that it stays text."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, assert_never

import yaml

from bakehouse.backends.table import CARDS
from bakehouse.package import card_use
from bakehouse.package.manifest import PackageManifest
from bakehouse.recipe.recipe import HuggingFace, Local, PyPI, ResolvedBuild
from bakehouse.recipe.types import OTHER_LICENCE
from bakehouse.records import Verdict

TEMPLATE = "card.md.jinja"
_JOINER = "\N{ZERO WIDTH JOINER}"
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
    card: str = _template("bundle.md.jinja" if manifest.members else TEMPLATE).render(
        manifest=manifest,
        build=build,
        runtime_folder=own.__name__.split(".")[-2],
        front_matter=front_matter(manifest),
        origin=(not card_use.gguf(build.source) and base_model(build)) or manifest.source.described,
        requested=requested(build),
        measured=dict(_flat(manifest.measured)),
        versions=_versions(manifest),
        folder=folder,
        download=download,
        answers=card_use.answers(manifest.validation),
        same_run=card_use.same_run(manifest.validation),
        gguf=card_use.gguf(build.source),
        reference=card_use.reference(manifest),
        base_model=base_model(build),
        declared=None if isinstance(build.source, HuggingFace) else build.source.base_model,
        format=own.format_of(build.options),
        folders=folders(manifest.members or [manifest]),
        **vars(own.facts(build.options)),
        **card_use.program(build.golden),
        commands=[shlex.join(ran.argv) for step in manifest.steps for ran in step.ran],
        upstream=list(dict.fromkeys(ran.upstream for step in manifest.steps for ran in step.ran if ran.upstream)),
        same=sum(_identical(verdict) for verdict in manifest.verdicts),
        **card_use.kept(manifest),
        members=[_member(member) for member in manifest.members],
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
    if origin := base_model(build):
        facts |= {"base_model": origin, "base_model_relation": "quantized"}
    words = CARDS[build.options.runtime].hub_words([one.build.options for one in manifest.members or (manifest,)])
    facts |= {"library_name": words.library_name, "pipeline_tag": words.pipeline_tag}
    if words.inference is not None:
        facts["inference"] = words.inference
    facts["tags"] = list(dict.fromkeys([*words.tags, *(build.card.tags if build.card else ())]))
    return yaml.safe_dump(facts, sort_keys=False, allow_unicode=True).rstrip("\n")


def folders(manifests: Iterable[PackageManifest]) -> list[dict[str, Any]]:
    """The model folders of packages that can be joined: the path of each, what it is made for, precision and size."""
    return [_folder(folder, manifest) for manifest in manifests if (folder := manifest.build.options.folder())]


def _folder(folder: str, manifest: PackageManifest) -> dict[str, Any]:
    options = manifest.build.options
    return {
        "folder": folder,
        "title": CARDS[options.runtime].title(options),
        "weights": options.quantization.weights,
        "size_bytes": sum(file.size for file in manifest.files if file.path.startswith(f"{folder}/")),
    }


def _member(manifest: PackageManifest) -> dict[str, Any]:
    """What a bundle's card says about one of its packages."""
    (where,) = folders([manifest])
    measured = dict(_flat(manifest.measured))
    return where | {
        "manifest": manifest,
        "requested": requested(manifest.build),
        "measured": measured,
        "answers": card_use.answers(manifest.validation),
    }


def requested(build: ResolvedBuild) -> dict[str, str]:
    """The requested options as name and value, the precision first."""
    left_out = {"runtime", "quantization", "min_agreement", "min_agreement_reason", "runtime_options"}
    options = build.options.model_dump(mode="json", exclude=left_out)
    return {"weights": build.options.quantization.weights, **dict(_flat(options | build.options.quantization.model_dump(mode="json")))}


def base_model(build: ResolvedBuild) -> str | None:
    """The hub repository of the original model, or None."""
    match build.source:
        case HuggingFace(repo=repo):
            return repo
        case PyPI(base_model=origin) | Local(base_model=origin):
            return origin
        case _:
            assert_never(build.source)


def text(value: object) -> str:
    """Any text on one line, escaped so that nothing in it works as Markdown, HTML or a table's border."""
    lines = [line.strip() for line in str(value).strip().splitlines()]
    return "<br>".join(re.sub(r"([\\`*_\[\]<>&|~#:$!])|(?<=www)\.", lambda found: "\\" + found[0], _printable(line)) for line in lines)


def code(value: object) -> str:
    """Any text as inline code, also within a table."""
    shown = _printable(" ".join(str(value).split())).replace("|", "\\|")
    fence = "`" * (_longest_run(shown) + 1)
    pad = " " if shown.startswith("`") or shown.endswith("`") or not shown else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


def block(value: str, language: str = "") -> str:
    """Any text as a block of code; the fence is longer than any in the text."""
    lines = "\n".join(_printable(line) for line in value.splitlines())
    fence = "`" * max(3, _longest_run(lines) + 1)
    return f"{fence}{language}\n{lines}\n{fence}"


def string(value: str) -> str:
    """Any text as a Python string."""
    shown = repr(value)
    return f'"{shown[1:-1]}"' if shown.startswith("'") and '"' not in shown else shown


def arguments(options: Mapping[str, Any]) -> str:
    """Options as further arguments of a Python call: `, NAME="value"`."""
    return "".join(f", {name}={_literal(value)}" for name, value in options.items())


def dictionary(options: Mapping[str, Any]) -> str:
    """Options as a Python dictionary."""
    entries = [f"{string(name)}: {_literal(value)}" for name, value in options.items()]
    return "{" + ", ".join(entries) + "}"


def _literal(value: Any) -> str:
    return string(value) if isinstance(value, str) else repr(value)


def pin(version: str) -> str:
    """A version as pip takes it after a name; "" if it is unknown or if more than one is known."""
    return f"=={version.partition('+')[0]}" if version and "," not in version else ""


def messages(chat: Iterable[tuple[str, str]]) -> str:
    """A chat as a Python list."""
    turns = ['{"role": ' + string(role) + ', "content": ' + string(content) + "}" for role, content in chat]
    return f"[{', '.join(turns)}]"


def _printable(line: str) -> str:
    return "".join(c if c.isprintable() or c == _JOINER else " " if c == "\t" else "\N{REPLACEMENT CHARACTER}" for c in line)


def _longest_run(value: str) -> int:
    return max((len(run) for run in re.findall("`+", value)), default=0)


def _identical(verdict: Verdict) -> bool:
    agreement = verdict.agreement
    return agreement.common_tokens == agreement.answer_tokens == agreement.source_tokens


def _flat(values: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """Nested facts as name and value, names joined by dots; unset values are left out."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{above}{name}.")
        elif value is not None and value != []:
            yield f"{above}{name}", _shown(value)


def _shown(value: object) -> str:
    match value:
        case bool() | list():
            return json.dumps(value, ensure_ascii=False)
        case int():
            return f"{value:,}"
        case float():
            return f"{value:.4g}"
        case _:
            return str(value)


@cache
def _template(name: str) -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # here, because `bakehouse list` does not need it

    # The card is Markdown and not HTML: `text`, `code` and `block` escape what is inserted.
    environment = Environment(
        loader=FileSystemLoader([Path(__file__).parent, Path(__file__).parents[1] / "backends"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"text": text, "code": code, "block": block}
    environment.filters |= {"python": string, "arguments": arguments, "dictionary": dictionary, "messages": messages, "pin": pin}
    return environment.get_template(name)
