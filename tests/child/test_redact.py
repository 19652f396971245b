"""What a worker says has no secret in it, and each driver of a remote knows its own credentials only."""

from __future__ import annotations

import sys

import pytest

from bakehouse.child import credentials
from bakehouse.child import redact as discreet
from bakehouse.steps.maker import Command
from tests.support import worker

INSTALL = "from bakehouse.child import crash, redact as discreet, events; crash.install(); discreet.install(events.progress)\n"


def _run(program: str, **env: str) -> worker.Said:
    return worker.run(Command((sys.executable, "-c", INSTALL + program)), env)


@pytest.mark.parametrize(
    "program",
    [
        "raise OSError('no: hf_very_secret')",
        "import threading\nthread = threading.Thread(target=lambda: open('/hf_very_secret'))\nthread.start()\nthread.join()",
        "import warnings\nwarnings.warn('with hf_very_secret')",
        "import logging\nlogging.getLogger('botocore').warning('with %s', 'hf_very_secret')",
        "events.refuse('what hf_very_secret', 'remedy hf_very_secret', ['line hf_very_secret'])",
        "events.progress('asking with hf_very_secret')",
    ],
    ids=["traceback", "traceback of a thread", "warning", "log", "refusal", "progress"],
)
def test_nothing_that_a_worker_says_has_a_secret_of_its_environment_in_it(program: str) -> None:
    said = _run(program, HF_TOKEN="hf_very_secret")
    assert "***" in said.text
    assert "very_secret" not in said.text


def test_a_flag_with_a_secret_sounding_name_hides_nothing() -> None:
    said = _run("events.progress('file 1 of 0')", HF_HUB_DISABLE_IMPLICIT_TOKEN="1", HF_TOKEN_PATH="file")
    assert said.progress[0]["doing"] == "file 1 of 0"


ADDRESSES = [  # as given, as shown, and the secret as it is written and as it is meant
    ("s3://me:pass@host/store", "s3://host/store", "pass", "pass"),
    ("s3://me:p@ss@host/store", "s3://host/store", "p@ss", "p@ss"),
    ("s3://me:pa/ss@host/store", "s3://host/store", "pa/ss", "pa/ss"),
    ("sftp://me:p%40ss@host/store", "sftp://host/store", "p%40ss", "p@ss"),
    ("https://a-long-token@host/store", "https://host/store", "a-long-token", "a-long-token"),
    ("az://container/store?sv=2024&sig=Ab%2Bc%3Ddefgh", "az://container/store?***", "Ab%2Bc%3Ddefgh", "Ab+c=defgh"),
]


@pytest.mark.parametrize(("url", "shown", "written", "meant"), ADDRESSES)
def test_an_address_is_shown_without_its_secret_and_no_message_has_it_encoded_or_not(
    url: str, shown: str, written: str, meant: str
) -> None:
    assert discreet.shown(url) == shown
    (event,) = _run(f"events.progress({f'{url} does not take {written} as {meant}'!r})", BAKEHOUSE_REMOTE=url).progress
    assert event["doing"].endswith(" does not take *** as ***")
    assert written not in event["doing"] and meant not in event["doing"]


@pytest.mark.parametrize("url", ["/shared/store", "file:///home/me@home/store", "s3://bucket/a@b", "hf://datasets/bakers/store@main"])
def test_an_address_without_a_secret_is_shown_as_it_is(url: str) -> None:
    assert discreet.shown(url) == url


OF_S3 = {"AWS_ACCESS_KEY_ID", "AWS_CA_BUNDLE", "FSSPEC_S3", "FSSPEC_S3_KEY"}
OF_AZURE = {"AZURE_STORAGE_KEY", "FSSPEC_ABFS_SAS_TOKEN"}
OF_GOOGLE = {"GOOGLE_APPLICATION_CREDENTIALS", "FSSPEC_GCS"}
OF_NONE = {"GITHUB_TOKEN", "PATH"}
ENVIRON = dict.fromkeys(OF_S3 | OF_AZURE | OF_GOOGLE | OF_NONE | {"HF_TOKEN", "SSH_AUTH_SOCK", "FSSPEC_SMB_PASSWORD"}, "x")


@pytest.mark.parametrize(
    ("url", "names"),
    [
        ("s3://bucket/store", OF_S3),
        ("az://container/store", OF_AZURE),
        ("gs://bucket/store", OF_GOOGLE),
        ("hf://datasets/bakers/store", {"HF_TOKEN"}),
        ("smb://host/store", {"FSSPEC_SMB_PASSWORD"}),
        ("sftp://host/store", {"SSH_AUTH_SOCK"}),
        ("file:///shared/store", set()),
        ("/shared/store", set()),
        ("simplecache::s3://bucket/store", OF_S3),
    ],
)
def test_the_driver_of_a_remote_gets_its_own_credentials_and_no_other_clouds(url: str, names: set[str]) -> None:
    assert set(credentials.of_remote(url, ENVIRON)) == names
