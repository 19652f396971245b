"""The model card of a package, its README.md, from the manifest alone. No text from outside can break out of its place in it."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, assert_never

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from pipeline.manifest import PackageManifest, Verdict
from pipeline.recipe import HuggingFace, Local, PyPI, ResolvedBuild

TEMPLATE = "card.md.jinja"
_JOINER = "\N{ZERO WIDTH JOINER}"
# Licences that the hub knows by this name (its model card documentation); every other one is "other" with a name of its own.
_HUB_LICENCES = frozenset(
    {"apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "isc", "zlib", "unlicense", "mpl-2.0", "eupl-1.2"}
    | {"gpl-2.0", "gpl-3.0", "lgpl-3.0", "agpl-3.0", "cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "cc-by-nc-sa-4.0"}
)
_RUNTIME_TOOLS = ("openvino", "openvino-genai", "openvino-tokenizers", "optimum-intel", "nncf", "transformers", "torch")


def render(manifest: PackageManifest) -> str:
    """The card, Markdown with YAML front matter."""
    build = manifest.build
    chats = [golden.messages[0].content for golden in build.golden if golden.messages and len(golden.messages) == 1]
    card: str = _template().render(
        manifest=manifest,
        build=build,
        front_matter=front_matter(manifest),
        origin=base_model(build) or manifest.source.described,
        asked={"weights": build.options.quantization.weights, **dict(_flat(build.options.quantization.model_dump(mode="json")))},
        measured=dict(_flat(manifest.measured)),
        versions={tool: manifest.tools[tool] for tool in _RUNTIME_TOOLS if tool in manifest.tools},
        prompt=chats[0] if chats else "Introduce yourself in one sentence.",
        max_new_tokens=max(golden.max_new_tokens for golden in build.golden),
        commands=[shlex.join(ran.argv) for step in manifest.steps for ran in step.ran],
        upstream=list(dict.fromkeys(ran.upstream for step in manifest.steps for ran in step.ran if ran.upstream)),
        same=sum(_whole(verdict) for verdict in manifest.verdicts),
        licence_file=licence_file(manifest),
    )
    return card


def front_matter(manifest: PackageManifest) -> str:
    """The YAML that the hub reads, without the lines around it; the keys that the OpenVINO organisation's cards have."""
    build = manifest.build
    licence = build.source.license
    known = licence.lower() in _HUB_LICENCES
    weights = build.options.quantization.weights
    facts: dict[str, Any] = {"license": licence.lower() if known else "other"}
    if not known:
        facts["license_name"] = licence.removeprefix("LicenseRef-").lower().replace(" ", "-")
    if file := licence_file(manifest):
        facts["license_link"] = file
    if origin := base_model(build):
        facts |= {"base_model": origin, "base_model_relation": "quantized"}
    facts |= {"library_name": "transformers", "pipeline_tag": "text-generation", "tags": ["openvino", "openvino-genai", "nncf", weights]}
    if weights in ("fp16", "fp32"):
        facts["tags"].remove("nncf")
    return yaml.safe_dump(facts, sort_keys=False, allow_unicode=True).rstrip("\n")


def base_model(build: ResolvedBuild) -> str | None:
    """The hub repository that the model comes from in the end."""
    match build.source:
        case HuggingFace(repo=repo):
            return repo
        case PyPI(base_model=origin) | Local(base_model=origin):
            return origin
        case _:
            assert_never(build.source)


def licence_file(manifest: PackageManifest) -> str | None:
    """The licence's file in the package."""
    return next((file.path for file in manifest.files if re.fullmatch(r"(?i)licen[cs]e(\.\w+)?", file.path)), None)


def text(value: object) -> str:
    """Any text, as text: on one line, and nothing in it is Markdown, HTML or a table's border."""
    lines = [line.strip() for line in str(value).strip().splitlines()]
    return "<br>".join(re.sub(r"([\\`*_\[\]<>&|~#:$!])|(?<=www)\.", lambda found: "\\" + found[0], _printable(line)) for line in lines)


def code(value: object) -> str:
    """Any text as inline code, also within a table."""
    shown = _printable(" ".join(str(value).split())).replace("|", "\\|")
    fence = "`" * (_longest_run(shown) + 1)
    pad = " " if shown.startswith("`") or shown.endswith("`") or not shown else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


def block(value: str, language: str = "") -> str:
    """Any text as a block of code that only its own fence ends."""
    lines = "\n".join(_printable(line) for line in value.splitlines())
    fence = "`" * max(3, _longest_run(lines) + 1)
    return f"{fence}{language}\n{lines}\n{fence}"


def string(value: str) -> str:
    """Any text as a Python string."""
    shown = repr(value)
    return f'"{shown[1:-1]}"' if shown.startswith("'") and '"' not in shown else shown


def _printable(line: str) -> str:
    return "".join(c if c.isprintable() or c == _JOINER else " " if c == "\t" else "\N{REPLACEMENT CHARACTER}" for c in line)


def _longest_run(value: str) -> int:
    return max((len(run) for run in re.findall("`+", value)), default=0)


def _whole(verdict: Verdict) -> bool:
    agreement = verdict.agreement
    return agreement.common_tokens == agreement.answer_tokens == agreement.source_tokens


def _flat(values: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """Nested facts as name and value, names joined by dots; what is not set is left out."""
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
def _template() -> Any:
    # The card is Markdown, not HTML: `text`, `code` and `block` escape what is put in.
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"text": text, "code": code, "block": block, "python": string}
    return environment.get_template(TEMPLATE)
