"""Which variables of the environment are credentials, and whose: a child gets none but those that its command declares a need for."""

from __future__ import annotations

import re
from collections.abc import Mapping

_SECRET = re.compile(
    r"TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIAL|CONNECTION_STRING|APIKEY|(^|_)(KEY|SAS|PAT|AUTH)(_|$)|^PIPELINE_REMOTE$",
    re.IGNORECASE,
)
_PLACE = re.compile(r"_(FILE|PATH|DIR|SOCK|URI|URL|CREDENTIALS)$", re.IGNORECASE)  # says where a secret is, and is none itself
_LOGIN_IN_ADDRESS = re.compile(r"://[^/\s@]*:[^/\s]*@")
# What file systems and clouds are configured with; which of it is secret differs from driver to driver.
_SETTINGS = ("AWS_", "AZURE_", "IDENTITY_", "MSI_", "GOOGLE_", "GCS_", "CLOUDSDK_", "FSSPEC_", "HF_OIDC_")
_OF_THE_HUB = ("HF_", "HUGGING_FACE_HUB_")
_OF_A_JOB = ("ACTIONS_ID_TOKEN_REQUEST_",)  # what a CI job proves its identity with
# The schemes that one driver of fsspec's goes by, and what else that driver reads.
_DRIVERS: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    (("s3", "s3a"), ("AWS_",)),
    (("az", "abfs", "abfss", "adl"), ("AZURE_", "IDENTITY_", "MSI_")),
    (("gs", "gcs"), ("GOOGLE_", "GCS_", "CLOUDSDK_")),
    (("sftp", "ssh"), ("SSH_AUTH_",)),
)


def is_secret(name: str) -> bool:
    """Whether the value of a variable of this name is a secret, to be shown nowhere."""
    return bool(_SECRET.search(name)) and not _PLACE.search(name)


def without(environ: Mapping[str, str], *, online: bool) -> dict[str, str]:
    """The environment without credentials. Addresses with a login in them (a proxy, a package index) stay for a child that is online."""
    return {
        name: value
        for name, value in environ.items()
        if not _SECRET.search(name) and not name.upper().startswith(_SETTINGS) and (online or not _LOGIN_IN_ADDRESS.search(value))
    }


def of_hub(environ: Mapping[str, str]) -> dict[str, str]:
    """What the hub's client may know: its token, or, where HF_OIDC_RESOURCE asks for it, what it gets one with in a CI job."""
    return _beginning(environ, (*_OF_THE_HUB, *(_OF_A_JOB if environ.get("HF_OIDC_RESOURCE") else ())))


def of_remote(url: str, environ: Mapping[str, str]) -> dict[str, str]:
    """What the driver of a URL's scheme may know: its own settings, and no other cloud's. A folder needs none."""
    found: dict[str, str] = {}
    for scheme in re.findall(r"(?:^|::)([\w+.-]+)(?=::|://)", url):
        if scheme in ("file", "local"):
            continue
        names, prefixes = next((driver for driver in _DRIVERS if scheme in driver[0]), ((scheme,), ()))
        own = tuple(f"FSSPEC_{name.upper()}" for name in names)
        found |= _beginning(environ, ("FSSPEC_CONFIG_", *prefixes, *(f"{name}_" for name in own)))
        found |= {name: value for name, value in environ.items() if name in own}
        found |= of_hub(environ) if scheme == "hf" else {}
    return found


def _beginning(environ: Mapping[str, str], prefixes: tuple[str, ...]) -> dict[str, str]:
    return {name: value for name, value in environ.items() if name.startswith(prefixes)}
