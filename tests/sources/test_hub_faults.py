"""A hub that breaks off, refuses or lies, seen through the whole doit: what a person reads, and that the next run goes on."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

from tests.support.bench import Bench, ran, recipe, wait_for
from tests.support.hub import Fault, Hub
from tests.support.systems import needs_converters

pytestmark = pytest.mark.needs_backend("openvino")

REPO, COMMIT = "bakers/tiny", "0123456789abcdef0123456789abcdef01234567"
WEIGHTS = "model.safetensors"
AFTER = 300_000


@pytest.fixture
def bench(tmp_path: Path, hub: Hub, untrained_checkpoint: Path) -> Bench:
    """A recipe whose source is a repository of the hub; nothing downloaded."""
    hub.serve(untrained_checkpoint, REPO, COMMIT)
    bench = Bench(tmp_path, {"HF_ENDPOINT": hub.endpoint, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "0"})
    source = {"type": "huggingface", "repo": REPO, "revision": COMMIT, "license": "MIT"}
    bench.write(recipe(source=source))
    return bench


def size(checkpoint: Path) -> int:
    return (checkpoint / WEIGHTS).stat().st_size


def failed(bench: Bench, *args: str) -> str:
    """What a run that must fail printed of the failure, without the times of the log."""
    done = bench.doit(*args)
    assert done.returncode in (1, 3), done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    if done.returncode == 3:
        return done.stderr
    lines = done.stdout.splitlines()
    start = next(number for number, line in enumerate(lines) if "FAILED" in line)
    return "\n".join(line[9:] if line[2:3] == ":" else line for line in lines[start + 1 :])


PAGE = "{endpoint}/bakers/tiny"
LOG_IN = "`hf auth login` or HF_TOKEN"
TOLD: list[tuple[str, str, str, dict[str, Any]]] = [
    (
        "404",
        "The hub has no repository bakers/tiny.",
        f"Check source.repo in the recipe; a private repository shows only to a token that may read it ({LOG_IN}).",
        {"path": "api"},
    ),
    (
        "no-revision",
        f"bakers/tiny has no commit {COMMIT}.",
        f"Take a full commit from {PAGE}/commits/main.",
        {"path": "api"},
    ),
    (
        "401",
        "The hub does not show bakers/tiny without a valid token (401): it is private or gated, or does not exist.",
        f"Check source.repo in the recipe; if it is right, accept the licence at {PAGE}, and give a token with {LOG_IN}.",
        {"path": "api"},
    ),
    (
        "gated",
        "bakers/tiny is gated: its owner gives it only to those who have accepted the licence.",
        f"Accept it at {PAGE}, and give a token of that account with {LOG_IN}.",
        {"path": "config.json"},
    ),
    (
        "429",
        "The hub takes no more requests from here for now (429).",
        f"Wait some minutes and run the same command again: what was downloaded is kept. With a token ({LOG_IN}) the hub allows more.",
        {"path": WEIGHTS},
    ),
    (
        "500",
        "The hub fails with an error of its own (500).",
        "Run the same command again later: what was downloaded is kept.",
        {"path": WEIGHTS},
    ),
]


# Each sentence is in test_huggingface.py too, without doit; and a 404 is below, before a build.
IN_THE_LIGHT_RUN = ("gated", "429")


@pytest.mark.parametrize(
    ("kind", "what", "remedy", "where"),
    [pytest.param(*row, id=row[0], marks=() if row[0] in IN_THE_LIGHT_RUN else pytest.mark.whole) for row in TOLD],
)
def test_a_refusal_is_reported_in_a_sentence_and_the_next_run_goes_on(
    bench: Bench, hub: Hub, kind: Any, what: str, remedy: str, where: dict[str, str]
) -> None:
    hub.misbehave(Fault(kind, **where))
    text = failed(bench, "download:tiny")
    assert text.rstrip() == f"download of tiny: {what}\n  what to do: {remedy.format(endpoint=hub.endpoint)}"
    assert not bench.records("download")
    hub.misbehave()
    assert ran(bench.build("download:tiny")) == ["download:tiny"]


@needs_converters
def test_a_build_of_what_the_hub_does_not_have_is_refused_before_any_work(bench: Bench, hub: Hub) -> None:
    hub.misbehave(Fault("404", "api"))
    assert failed(bench, "build:tiny-int4") == (
        "ERROR: survey of tiny: The hub has no repository bakers/tiny.\n"
        f"  what to do: Check source.repo in the recipe; a private repository shows only to a token that may read it ({LOG_IN}).\n"
    )
    assert not (bench.artifacts / "store").exists()


@pytest.mark.whole
@pytest.mark.parametrize(
    ("args", "path"),
    [
        ("download:tiny", "api"),
        ("download:tiny", "config.json"),
        ("build:tiny-int4", "api"),
    ],
)
def test_a_hub_that_repeats_the_token_does_not_make_it_known(bench: Bench, hub: Hub, args: str, path: str) -> None:
    hub.misbehave(Fault("echo", path))
    done = bench.with_env(HF_TOKEN="hf_very_secret").doit(args)
    said = done.stdout + done.stderr
    assert "Bearer hf_very_secret" in hub.tokens
    assert "The hub answered 400 to a request for bakers/tiny." in said
    assert "the hub says: cannot read the header Authorization: Bearer ***." in said
    assert "hf_very_secret" not in said
    written = [path for path in bench.folder.rglob("*") if path.is_file()]
    assert any(path.name == "log.txt" for path in written)
    assert [path for path in written if b"hf_very_secret" in path.read_bytes()] == []


def test_a_hub_that_is_not_there_is_named(bench: Bench) -> None:
    away = bench.with_env(HF_ENDPOINT="http://127.0.0.1:9")
    text = failed(away, "download:tiny")
    assert text.startswith("download of tiny: The hub at http://127.0.0.1:9 cannot be reached: ")
    assert "and HF_ENDPOINT and HTTPS_PROXY if they are set, and run the same command again: what was downloaded is kept." in text


def test_a_connection_that_breaks_off_is_taken_up_where_it_broke(bench: Bench, hub: Hub, untrained_checkpoint: Path) -> None:
    hub.misbehave(Fault("break", WEIGHTS, AFTER, times=1))
    bench.build("download:tiny")
    assert hub.sent[WEIGHTS] == size(untrained_checkpoint)


@pytest.mark.whole
def test_after_a_connection_that_keeps_breaking_off_only_the_missing_is_fetched(bench: Bench, hub: Hub, untrained_checkpoint: Path) -> None:
    hub.misbehave(Fault("break", WEIGHTS, AFTER))
    text = failed(bench, "download:tiny")
    whole = size(untrained_checkpoint)
    assert text.startswith(
        f"download of tiny: The connection broke off while {WEIGHTS} was being downloaded: {AFTER} of {whole} bytes are here.\n"
    )
    assert f"  what to do: Check the network and run the same command again: it goes on from byte {AFTER}." in text
    hub.forget()
    bench.build("download:tiny")
    assert hub.sent[WEIGHTS] == whole - AFTER
    assert set(hub.sent) == {WEIGHTS}, "what was whole was fetched again"


@pytest.mark.whole
def test_a_download_killed_half_way_goes_on_and_fetches_only_what_is_missing(bench: Bench, hub: Hub, untrained_checkpoint: Path) -> None:
    hub.misbehave(Fault("slow", WEIGHTS, 200_000))
    doit = bench.start("download:tiny")
    partial = f".staging/download-*/files/{WEIGHTS}.partial"
    wait_for(lambda: sum(path.stat().st_size for path in bench.artifacts.glob(partial)) > 100_000, doit)
    (child,) = doit.children()
    doit.send_signal(signal.SIGKILL)
    doit.wait(10)
    child.wait(10)
    hub.wait_until_idle()
    (left,) = bench.artifacts.glob(partial)
    there = left.stat().st_size
    assert 100_000 < there < size(untrained_checkpoint)
    hub.forget()
    bench.build("download:tiny")
    assert hub.sent[WEIGHTS] == size(untrained_checkpoint) - there
    (record,) = bench.records("download")
    assert (bench.artifacts / "store" / "download" / record.key / "files" / WEIGHTS).read_bytes() == (
        untrained_checkpoint / WEIGHTS
    ).read_bytes()


@pytest.mark.whole
def test_wrong_bytes_are_never_taken_and_the_next_run_fetches_them_anew(bench: Bench, hub: Hub, untrained_checkpoint: Path) -> None:
    hub.misbehave(Fault("wrong", WEIGHTS, 1000))
    text = failed(bench, "download:tiny")
    assert text.startswith(f"download of tiny: The hub sent other bytes for {WEIGHTS} than it announces.\n    announced: ")
    assert "  what to do: Run the same command again; if it happens twice, a proxy or a mirror (HF_ENDPOINT) changes the files." in text
    assert not bench.records("download")
    hub.forget()
    bench.build("download:tiny")
    assert hub.sent[WEIGHTS] == size(untrained_checkpoint)


def test_what_was_downloaded_needs_no_hub_any_more(bench: Bench) -> None:
    bench.build("download:tiny")
    away = bench.with_env(HF_ENDPOINT="http://127.0.0.1:9")
    assert ran(away.build("download:tiny")) == []
    assert "have  download:tiny" in away.build("plan")
