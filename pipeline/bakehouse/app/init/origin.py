"""What SOURCE is: a repository on the hub, a folder or a GGUF file here; and how a recipe names it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import yaml
from pydantic import ValidationError

from bakehouse.app.init import hub_cache, kinds
from bakehouse.app.init.paths import as_written, without_dots
from bakehouse.errors import Failure
from bakehouse.executor import process
from bakehouse.executor.session import Session
from bakehouse.formats import checkpoint, config_json, gguf_header
from bakehouse.formats.config_json import Config
from bakehouse.formats.gguf_header import Metadata
from bakehouse.recipe import spdx
from bakehouse.recipe.kinds import DEFAULT_TASK, TaskName
from bakehouse.recipe.source import HuggingFace, Local, Source
from bakehouse.recipe.spdx import UNSTATED
from bakehouse.recipe.types import is_repository, quoted
from bakehouse.sources import look
from bakehouse.sources.look import LookResult
from bakehouse.store import files

_GIVE = "Give a repository (owner/name, or its address), a folder with a checkpoint, or a .gguf file."
_FRONT_MATTER = re.compile(r"\A---\n(.*?)\n---\s*$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Origin:
    """A source that a recipe can name.

    Attributes:
        source: as it stands in the recipe.
        name: what a recipe of it is called if nothing else is said.
        title: what the model is called where it comes from.
        chat: whether it has a chat template.
        hub: of a snapshot in the hub's cache, repository and commit: ("owner/name", "40 digits").
        task: what it is for, by its files.
    """

    source: Source
    name: str
    title: str
    chat: bool
    hub: tuple[str, str] | None = None
    task: TaskName = DEFAULT_TASK


@dataclass(frozen=True)
class Place:
    """A repository on the hub, at a revision, and a GGUF file of it ("" for none)."""

    repo: str
    revision: str
    gguf: str


def find(given: str, recipes: Path, session: Session) -> Origin:
    """What `given` is; recipes lie in the folder `recipes`.

    Raises:
        Failure: it is nothing that a recipe can name, or the hub does not give it.
    """
    path = Path(given).expanduser()
    if path.exists():
        return _here(hub_cache.snapshot(without_dots(path)), recipes)
    if (found := place(given)) is not None:
        return _on_the_hub(found, session)
    looks_like_a_path = given.startswith((".", "/", "~")) or re.match(r"[A-Za-z]:/|.*\\", given) or given.endswith(".gguf")
    raise Failure(f"{quoted(given)} {'does not exist here' if looks_like_a_path else 'is not a model'}.", remedy=_GIVE)


def place(given: str) -> Place | None:
    """`owner/name`, `owner/name@revision`, or an address of the hub's pages; None for anything else."""
    if re.match(r"https?://", given):
        parts = [unquote(part) for part in urlsplit(given).path.strip("/").split("/")]
        repo, rest = "/".join(parts[:2]), parts[2:]
        if not is_repository(repo):
            return None
        revision = rest[1] if len(rest) > 1 and rest[0] in ("tree", "blob", "resolve", "commit") else "main"
        file = "/".join(rest[2:])
        return Place(repo, revision, file if file.endswith(".gguf") else "")
    repo, _, revision = given.partition("@")
    return Place(repo, revision or "main", "") if is_repository(repo) else None


def _on_the_hub(place: Place, session: Session) -> Origin:
    scratch = session.store.root / "looks" / place.repo.replace("/", "--")
    scratch.mkdir(parents=True, exist_ok=True)
    command = look.command(place.repo, place.revision)
    log = scratch / "log.txt"
    try:
        done = process.run(command, children=session.children, log=log, scratch=scratch, on_progress=lambda _: None)
    except Failure as failure:
        taken = f"{place.repo} does not exist here, so it was taken for a repository on the hub"
        raise Failure(failure.what, where=failure.where, remedy=failure.remedy, details=(*failure.details, taken)) from failure
    finally:
        files.remove(scratch.parent)
    found = done.report.read(LookResult)
    fields = {"type": "huggingface", "repo": place.repo, "revision": found.commit, **_hub_licence(found)}
    gguf = _gguf(place, found)
    source = HuggingFace.model_validate(fields | ({"gguf": gguf} if gguf else {}))
    title = place.repo.partition("/")[2]
    task = kinds.of({"architectures": [*found.architectures]}, () if source.gguf else found.files)
    return Origin(source, _name(title), title, found.chat or bool(source.gguf), task=task)


def _gguf(place: Place, found: LookResult) -> str | None:
    """The GGUF file to import: the one that is named, or the only one of a repository without other weights.

    Raises:
        Failure: it is not there, or there are several to choose from.
    """
    files = sorted(name for name in found.files if name.endswith(".gguf"))
    if place.gguf:
        if place.gguf not in files:
            raise Failure(f"{place.repo} has no file {place.gguf} at {found.commit}.", details=tuple(files), remedy="Name one that it has.")
        return place.gguf
    if not files or any(name.endswith(".safetensors") for name in found.files):
        return None
    if len(files) == 1:
        return files[0]
    raise Failure(
        f"{place.repo} has {len(files)} GGUF files and no safetensors checkpoint.",
        details=tuple(f"https://huggingface.co/{place.repo}/blob/{place.revision}/{name}" for name in files),
        remedy="Give the address of the one to import; the more bits it has, the nearer it is to the model.",
    )


def _hub_licence(found: LookResult) -> dict[str, str]:
    return _licence(found.license, found.license_name, found.license_link)


def _licence(named: str, name: str = "", link: str = "") -> dict[str, str]:
    """The fields of a source for a licence as the hub's cards name one; UNSTATED where they name none."""
    if named and named != "other" and spdx.is_expression(named) and not spdx.unknown(named):
        return {"license": named}
    if named == "other" and name and link:
        return {"license": "other", "license_name": name, "license_link": link}
    own = re.sub(r"[^A-Za-z0-9.-]+", "-", name or named).strip("-")
    return {"license": f"LicenseRef-{own}" if own and own not in ("other", "unknown") else UNSTATED}


def _here(path: Path, recipes: Path) -> Origin:
    if path.is_dir():
        found, title = _front_matter(path / "README.md"), path.name
        chat, task = checkpoint.has_chat_template(path), kinds.of(_config(path), [one.name for one in path.iterdir()])
    else:
        task = DEFAULT_TASK
        header = _gguf_header(path)
        found = {"license": header.get("general.license"), "license_name": header.get("general.license.name")}
        title, chat = path.stem, bool(header.get("tokenizer.chat_template"))
    words = {key: value for key, value in found.items() if isinstance(value, str)}
    licence = _licence(words.get("license", ""), words.get("license_name", ""), words.get("license_link", ""))
    origin, hub = words.get("base_model", ""), hub_cache.origin(path)
    base = {"base_model": origin} if is_repository(origin) else {}
    if hub and path.is_dir():
        title = hub[0].partition("/")[2]
    try:
        source = Local.model_validate({"type": "local", "path": as_written(path, recipes), **licence, **base})
    except ValidationError as error:
        what = "; ".join(one["msg"] for one in error.errors(include_url=False))
        raise Failure(f"A recipe cannot name {path}: {what}", remedy="Rename it, or give another place.") from error
    return Origin(source, _name(title), title, chat, hub, task)


def _config(folder: Path) -> Config:
    """The config.json of a folder; nothing where it has none that can be read, which the checks before any work refuse."""
    try:
        return config_json.read(folder)
    except (OSError, ValueError, Failure):
        return {}


def _gguf_header(path: Path) -> Metadata:
    try:
        return gguf_header.read(path)
    except gguf_header.NotGGUF as error:
        raise Failure(f"{path} is not a GGUF file: {error}.", remedy=_GIVE) from error


def _front_matter(card: Path) -> dict[str, object]:
    """The front matter of a model card; empty if there is none, or none that can be read."""
    try:
        found = _FRONT_MATTER.search(card.read_text(encoding="utf-8"))
        card_fields = yaml.safe_load(found[1]) if found else {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return {}
    return card_fields if isinstance(card_fields, dict) else {}


def _name(title: str) -> str:
    """A recipe's name out of a model's title."""
    name = re.sub(r"[^a-z0-9._-]+", "-", title.lower()).strip("-._")
    return name[:40].rstrip("-._") or "model"
