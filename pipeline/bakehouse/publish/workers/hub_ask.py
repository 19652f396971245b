"""Finds out whether the hub takes the token, before a build that is to be published is made."""

from __future__ import annotations

from bakehouse.child import start
from bakehouse.publish.seams import AskRequest
from bakehouse.publish.workers import hub_client, hub_remote
from bakehouse.publish.workers.publish_errors import refusing


def run(request: AskRequest) -> None:
    """Refuse if there is no token, or the hub does not take it."""
    with refusing(request.repo):
        hub_client.token(request.repo, needed=True)
        hub_remote.exists(request.repo)


if __name__ == "__main__":
    start.run(run, AskRequest, online=True)
