"""What a repository on the hub is, as far as a recipe needs to know it before there is one: its commit, licence and files."""

from __future__ import annotations

from bakehouse.steps.maker import Command, worker
from bakehouse.steps.seam import Request, Result


class LookRequest(Request):
    """A repository `owner/name`, and the branch, tag or commit of it."""

    repo: str
    revision: str


class LookResult(Result):
    """What the hub answers.

    Attributes:
        commit: the commit that the revision stands for now.
        license: as the card's front matter has it; "" if it names none. `license_name` and `license_link` go with "other".
        files: the paths of all files.
        chat: whether the tokenizer has a chat template.
        architectures: the classes that config.json names.
    """

    commit: str
    license: str
    license_name: str
    license_link: str
    files: tuple[str, ...]
    chat: bool
    architectures: tuple[str, ...] = ()


def command(repo: str, revision: str) -> Command:
    """The command that asks the hub; its result is a `LookResult`."""
    return worker("sources.workers.hub_look", request=LookRequest(repo=repo, revision=revision), needs_network=True, hub_token=True)
