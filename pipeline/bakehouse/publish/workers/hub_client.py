"""The hub's client as the publishing workers use it: patient, quiet, and with the token that the environment or a login has."""

from __future__ import annotations

from huggingface_hub import get_token
from huggingface_hub.utils import disable_progress_bars, set_client_factory

from bakehouse.child import events
from bakehouse.child import redact as discreet
from bakehouse.publish.workers import hub_upload
from bakehouse.publish.workers.publish_errors import Refused
from bakehouse.sources.workers.hub_errors import LOG_IN


def token(repo: str, *, needed: bool) -> str | None:
    """Set the client up, and return the token, which is kept out of all that is reported.

    Raises:
        Refused: there is none, and one that may write to `repo` is needed.
    """
    discreet.install(events.progress)
    disable_progress_bars()
    set_client_factory(hub_upload.patient_client)
    found: str | None = get_token()
    discreet.keep(found)
    if found is None and needed:
        raise Refused("No token for the hub is set.", f"Set one that may write to {repo}, with {LOG_IN}.")
    return found
