"""Asks the hub what a repository holds at a branch, tag or commit."""

from __future__ import annotations

from huggingface_hub import constants
from huggingface_hub.errors import EntryNotFoundError

from bakehouse.child import events, redact, start
from bakehouse.formats import fields, json_text
from bakehouse.sources.look import LookRequest, LookResult
from bakehouse.sources.workers import hub_errors, hub_files, hub_info

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
            found = hub_info.read(response.read())
        if found.sha is None:
            raise hub_info.Unreadable("it names no commit")
        card = found.card if isinstance(found.card, dict) else {}
        files = tuple(one.name for one in found.siblings)
        return LookResult(
            commit=found.sha,
            license=fields.text(card, "license"),
            license_name=fields.text(card, "license_name"),
            license_link=fields.text(card, "license_link"),
            files=files,
            architectures=fields.texts(found.config, "architectures") if isinstance(found.config, dict) else (),
            chat=any(name in files for name in _TEMPLATES) or _has_template(request.repo, found.sha, files),
        )


def _has_template(repo: str, commit: str, files: tuple[str, ...]) -> bool:
    if _TOKENIZER not in files:
        return False
    try:
        settings = json_text.loads(hub_files.fetch_range(hub_files.Repository(repo, commit), _TOKENIZER, 0, _MOST_BYTES))
    except (EntryNotFoundError, ValueError):
        return False
    return isinstance(settings, dict) and bool(settings.get("chat_template"))


if __name__ == "__main__":
    start.run(run, LookRequest, online=True)
