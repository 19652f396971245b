"""Asks the hub what a repository holds at a branch, tag or commit."""

from __future__ import annotations

import json

from huggingface_hub import constants
from huggingface_hub.errors import EntryNotFoundError

from bakehouse.child import events, redact, start
from bakehouse.sources.look import LookRequest, LookResult
from bakehouse.sources.workers import hub_errors, hub_files

_TEMPLATES = ("chat_template.jinja", "chat_template.json", "additional_chat_templates/default.jinja")
_TOKENIZER = "tokenizer_config.json"
_MOST_BYTES = 4 << 20  # of a tokenizer_config.json


def run(request: LookRequest) -> LookResult:
    """Ask for the repository, and read the tokenizer's settings for a chat template."""
    redact.install(events.progress)
    events.progress(f"asking the hub for {request.repo}")
    with hub_errors.explained(request.repo, request.revision):
        url = f"{constants.ENDPOINT}/api/models/{request.repo}/revision/{request.revision}"
        with hub_files.answer(url) as response:
            response.read()
        found = response.json()
        card = found.get("cardData") or {}
        files = tuple(entry["rfilename"] for entry in found["siblings"])
        return LookResult(
            commit=found["sha"],
            license=_text(card.get("license")),
            license_name=_text(card.get("license_name")),
            license_link=_text(card.get("license_link")),
            files=files,
            architectures=_architectures(found.get("config")),
            chat=any(name in files for name in _TEMPLATES) or _has_template(request.repo, found["sha"], files),
        )


def _architectures(config: object) -> tuple[str, ...]:
    """The classes of the model, in what the hub tells of its config.json."""
    named = config.get("architectures") if isinstance(config, dict) else None
    return tuple(one for one in named if isinstance(one, str)) if isinstance(named, list) else ()


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _has_template(repo: str, commit: str, files: tuple[str, ...]) -> bool:
    if _TOKENIZER not in files:
        return False
    try:
        settings = json.loads(hub_files.fetch_range(hub_files.Repository(repo, commit), _TOKENIZER, 0, _MOST_BYTES))
    except (EntryNotFoundError, ValueError):
        return False
    return isinstance(settings, dict) and bool(settings.get("chat_template"))


if __name__ == "__main__":
    start.run(run, LookRequest, online=True)
