"""Publishing when the network or the hub fails: what is tried again, what is sent twice (nothing), what is said, and what is left."""

from __future__ import annotations

import hashlib
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import psutil
import pytest
from huggingface_hub import constants
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.utils import hf_raise_for_status
from inline_snapshot import snapshot

from bakehouse.errors import Failure
from bakehouse.publish import receipts
from bakehouse.publish.seams import PublishRequest
from bakehouse.publish.workers import hub_publish, hub_remote, hub_upload, publish_errors
from bakehouse.store.store import Store
from tests.support import published
from tests.support.bench import Bench, wait_for
from tests.support.hub_write import WRITER, Workshop, fault
from tests.support.published import MODEL, REPO, refusal, run
from tests.support.systems import not_on_windows

pytestmark = pytest.mark.needs_backend("openvino")

STEPS = ("create", "yaml", "preupload", "batch", "put", "complete", "verify", "commit", "branch", "tag")
WEIGHTS, TOKENIZER = (hashlib.sha256(MODEL[f"openvino_{name}.bin"]).hexdigest() for name in ("model", "tokenizer"))


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A package of a recipe that publishes it to a branch, with a tag: every step of the protocol is taken."""
    made = published.bench(tmp_path / "bench", {"branch": "next", "tag": "v1"})
    published.package(made)
    return made


def holds_the_package(workshop: Workshop, bench: Bench, revision: str) -> bool:
    package = bench.artifacts / "packages" / "tiny-int4"
    return workshop.holds(REPO, revision) == {path.name: path.read_bytes() for path in package.iterdir()}


def log(bench: Bench) -> str:
    return (receipts.folder(Store(bench.artifacts), "tiny-int4") / "log.txt").read_text(encoding="utf-8")


# --- what passes ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["429", "lost", *(pytest.param(kind, marks=pytest.mark.whole) for kind in ("500", "cut"))])
def test_every_step_may_fail_once_and_nothing_happens_twice(workshop: Workshop, bench: Bench, kind: str) -> None:
    workshop.misbehave(*(fault(kind, step) for step in STEPS), *([fault("429", "read")] if kind == "429" else []))
    run(bench)
    assert not [left for left in workshop.faults if left.times], "every fault was met"
    assert holds_the_package(workshop, bench, "next")
    assert len(workshop.made[REPO].log) == 2, "one commit after the first"
    assert workshop.made[REPO].tags == {"v1": workshop.made[REPO].branches["next"]}


@pytest.mark.whole
def test_an_upload_that_is_cut_off_in_the_middle_is_sent_again(workshop: Workshop, bench: Bench) -> None:
    workshop.misbehave(fault("break", "put", after=300, times=2))
    run(bench)
    assert holds_the_package(workshop, bench, "next")


def test_a_pull_request_whose_answer_is_lost_is_not_opened_twice(workshop: Workshop, tmp_path: Path) -> None:
    workshop.make(REPO)
    bench = published.bench(tmp_path / "bench", {"pull_request": True})
    published.package(bench)
    workshop.misbehave(fault("lost", "commit"))
    outcome = run(bench)
    assert len(workshop.made[REPO].pulls) == 1
    assert outcome.receipt and outcome.receipt.url == f"{workshop.endpoint}/{REPO}/discussions/1"
    assert "the commit exists, only its answer was lost" in log(bench)


def test_a_hub_that_cannot_be_reached_for_a_moment_is_tried_again(
    workshop: Workshop, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A refused connection makes the client close its session and go on with it (huggingface_hub 1.21)."""
    from tests.support import hub_write

    hub, server = hub_write.start(workshop.folder / "late")
    server.shutdown()
    server.server_close()  # the port is known, and nobody listens
    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
    said = refusal(bench)
    assert said.startswith(f"publishing tiny-int4: The hub at {hub.endpoint} cannot be reached or does not answer: ")
    assert "run the same command again; files that are uploaded already are not sent again" in said


# --- what does not pass ---------------------------------------------------------------------------


@pytest.mark.whole
def test_an_interrupted_upload_goes_on_with_what_is_missing(workshop: Workshop, bench: Bench) -> None:
    workshop.misbehave(fault("403", "complete"))  # the larger file, of which the parts are sent by then
    said = refusal(bench)
    assert "next of bakers/tiny-int4 is unchanged: commit" in said
    assert TOKENIZER in workshop.put
    workshop.put.clear()
    run(bench)
    assert workshop.put == [f"{WEIGHTS}/{part}" for part in (1, 2, 3, 4)]
    assert holds_the_package(workshop, bench, "next")


SIGNALS = [
    getattr(signal, "SIGKILL", 0),  # Windows has none
    *(pytest.param(number, marks=pytest.mark.whole) for number in (signal.SIGTERM, signal.SIGINT)),
]


@pytest.mark.whole
@not_on_windows("it has no signals")
@pytest.mark.parametrize("number", SIGNALS)
def test_a_publication_killed_in_the_middle_leaves_the_repository_as_it_was_and_goes_on(
    workshop: Workshop, bench: Bench, number: int
) -> None:
    workshop.misbehave(fault("stall", "complete"))
    process = bench.with_env(HF_ENDPOINT=workshop.endpoint, HF_TOKEN=WRITER).start("publish:tiny-int4")
    wait_for(lambda: f"{WEIGHTS}/4" in workshop.put and TOKENIZER in workshop.objects, process)
    workers = psutil.Process(process.pid).children(recursive=True)
    os.kill(process.pid, number)
    process.wait(60)
    psutil.wait_procs(workers, timeout=60)
    workshop.wait_until_idle()
    assert [title for _, title, _ in workshop.made[REPO].log] == ["initial commit"]
    assert receipts.of(Store(bench.artifacts), "tiny-int4") == ()
    workshop.put.clear()
    run(bench)
    assert TOKENIZER not in workshop.put
    assert holds_the_package(workshop, bench, "next")


SENTENCES = {
    "401": (
        "The hub does not take the token (401): it is missing, wrong or expired.",
        "Create a token that may write to bakers/tiny-int4 at {hub}/settings/tokens, and set it with `hf auth login` or HF_TOKEN.",
    ),
    "403": (
        "The token may not do this to bakers/tiny-int4 (403).",
        "Set a token that may write to the repositories of bakers (`hf auth login` or HF_TOKEN); or let the recipe open a pull "
        "request (`publish.pull_request: true`); or, if the hub's answer is about storage, free some of it.",
    ),
    "404": (
        "The hub shows no bakers/tiny-int4 to this token (404): it or its owner bakers does not exist or is hidden.",
        "Check publish.repo in the recipe; bakers must be an account or an organization that the token may write to.",
    ),
    "413": (
        "The hub refuses this as too large (413).",
        "A file may have 50 GB: make a build with fewer bits, or let the runtime's exporter split the weights.",
    ),
}
REFUSALS = [("403", "commit"), ("403", "tag"), ("401", "commit"), ("404", "create")]
MORE_REFUSALS = [("403", "create"), ("403", "preupload"), ("413", "commit")]


@pytest.mark.parametrize(("kind", "step"), [*REFUSALS, *(pytest.param(*row, marks=pytest.mark.whole) for row in MORE_REFUSALS)])
def test_each_refusal_has_its_own_sentence_with_the_remedy_and_says_what_the_repository_holds(
    workshop: Workshop, bench: Bench, step: str, kind: str
) -> None:
    what, remedy = SENTENCES[kind]
    workshop.misbehave(fault(kind, step, times=-1))
    said = refusal(bench).splitlines()
    assert said[0] == f"publishing tiny-int4: {what}"
    assert said[-1] == f"  what to do: {remedy.format(hub=workshop.endpoint)}"
    held = {
        "create": "next of bakers/tiny-int4 does not exist; nothing was created",
        "tag": f"next of bakers/tiny-int4 holds the complete package at commit {_branch(workshop)}; only the tag is missing",
    }
    assert held.get(step, f"next of bakers/tiny-int4 is unchanged: commit {_branch(workshop)[:12]}") in "\n".join(said[1:-1])
    assert receipts.of(Store(bench.artifacts), "tiny-int4") == ()


def _branch(workshop: Workshop) -> str:
    return workshop.made[REPO].branches["next"] if REPO in workshop.made else ""


def test_a_conflict_has_its_own_sentence(workshop: Workshop, bench: Bench) -> None:
    workshop.misbehave(fault("409", "commit"))
    assert refusal(bench).splitlines()[0::3] == [
        "publishing tiny-int4: Another change to bakers/tiny-int4 conflicts with this one (409).",
        f"  what to do: Look at {workshop.endpoint}/bakers/tiny-int4 for the other change, wait until it is done, and run the same "
        "command again; files that are uploaded already are not sent again.",
    ]


@pytest.mark.whole
def test_nothing_is_committed_over_what_somebody_else_committed_meanwhile(workshop: Workshop, bench: Bench) -> None:
    workshop.misbehave(fault("moved", "commit"))
    said = refusal(bench)
    assert said.startswith(
        "publishing tiny-int4: bakers/tiny-int4 has a newer commit than the one that was read (412), so nothing was committed over it.\n"
    )
    assert "next of bakers/tiny-int4 has moved from commit" in said
    assert set(workshop.holds(REPO, "next")) == {"theirs.txt"}


@pytest.mark.whole
def test_content_that_arrives_changed_is_refused_by_the_hub_and_never_committed(workshop: Workshop, bench: Bench) -> None:
    workshop.misbehave(fault("wrong", "put"))
    said = refusal(bench)
    assert "the hub says: the object's sha256 is another one than was announced" in said
    assert "next of bakers/tiny-int4 is unchanged" in said
    assert len(workshop.made[REPO].log) == 1
    run(bench)
    assert holds_the_package(workshop, bench, "next")


@pytest.mark.whole
def test_a_hash_that_the_hub_reports_wrong_after_the_commit_leaves_no_receipt(workshop: Workshop, bench: Bench) -> None:
    run(bench)
    (receipt,) = receipts.of(Store(bench.artifacts), "tiny-int4")
    receipts.folder(Store(bench.artifacts), "tiny-int4").joinpath(f"{receipt.commit}.json").unlink()
    published.package(bench, {**MODEL, "config.json": b"{}\n\n"})
    bench = published.bench(bench.folder, {"branch": "next"})  # without the tag, which names the other content
    workshop.misbehave(fault("wrong", "report", times=-1))
    said = refusal(bench)
    commit = workshop.made[REPO].branches["next"]
    assert f"bakers/tiny-int4 differs from the package at commit {commit[:12]}." in said
    assert f"openvino_model.bin: the hub reports 76800 bytes, sha256 {'0' * 64}; the package has 76800 bytes, sha256 {WEIGHTS}" in said
    assert f"next of bakers/tiny-int4 holds commit {commit}" in said
    assert receipts.of(Store(bench.artifacts), "tiny-int4") == ()


@pytest.mark.whole
def test_a_front_matter_that_the_hub_refuses_is_reported_and_not_committed(workshop: Workshop, tmp_path: Path) -> None:
    bench = published.bench(tmp_path / "bench")
    published.package(bench, {**MODEL, "README.md": b"---\nlicense: [\n---\n"})
    said = refusal(bench)
    assert said.startswith("publishing tiny-int4: The hub does not take the model card's front matter.")
    assert len(workshop.made[REPO].log) == 1


@pytest.mark.whole
def test_large_files_that_the_hub_has_no_room_for_are_reported_and_not_committed(workshop: Workshop, bench: Bench) -> None:
    workshop.misbehave(fault("quota", "batch"))
    said = refusal(bench)
    assert said.startswith("publishing tiny-int4: The hub does not take a large file for bakers/tiny-int4.\n")
    assert "Private repository storage limit reached" in said
    assert "next of bakers/tiny-int4 is unchanged" in said


def test_a_client_that_is_set_to_stay_offline_is_reported(workshop: Workshop, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert refusal(bench) == snapshot(
        """\
publishing tiny-int4: bakers/tiny-int4 is on the hub, and the hub's client is configured to stay offline.
  what to do: Unset HF_HUB_OFFLINE and TRANSFORMERS_OFFLINE.\
"""
    )


def test_what_a_hub_that_is_gone_holds_is_reported_as_unknown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")  # nobody listens there
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    request = PublishRequest(
        folder=tmp_path, repo=REPO, private=True, branch="main", pull_request=False, tag=None, title="title", description="", files=()
    )
    assert hub_publish.standing(request, hub_remote.Held(True, "ab" * 20, {})) == snapshot(
        "what main of bakers/tiny-int4 holds now could not be read; before this it held commit abababababab"
    )


# --- how long it is tried -------------------------------------------------------------------------


def _answer(status: int, **headers: str) -> HfHubHTTPError:
    with pytest.raises(HfHubHTTPError) as caught:
        hf_raise_for_status(httpx.Response(status, headers=headers, request=httpx.Request("POST", "http://hub/api/x"), json={}))
    return caught.value


@pytest.mark.parametrize(
    ("error", "waits"),
    [
        (lambda: _answer(500), [1, 2, 4, 8]),
        (lambda: _answer(429), [1, 2, 4, 8]),
        (lambda: _answer(429, **{"Retry-After": "30"}), [30, 30, 30, 30]),
        (lambda: _answer(429, RateLimit='"api";r=0;t=55'), [56, 56, 56, 56]),
        (lambda: _answer(429, **{"Retry-After": "86400"}), [310, 310, 310, 310]),
        (lambda: httpx.ConnectError("refused"), [1, 2, 4, 8]),
        (lambda: RuntimeError("Cannot send a request, as the client has been closed."), [1, 2, 4, 8]),
        (lambda: _answer(403), []),
        (lambda: ValueError("a bug"), []),
    ],
)
def test_what_can_pass_is_tried_five_times_with_longer_and_longer_waits_or_as_long_as_the_hub_says(
    monkeypatch: pytest.MonkeyPatch, error: Callable[[], Exception], waits: list[float]
) -> None:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    tried = 0

    def action() -> None:
        nonlocal tried
        tried += 1
        raise error()

    with pytest.raises(type(error())):
        hub_upload.insist("trying", action)
    assert (slept, tried) == (waits, len(waits) + 1)


def test_a_hub_that_says_nothing_any_more_is_given_up_on() -> None:
    client = hub_upload.patient_client()
    assert client.timeout == httpx.Timeout(connect=30, write=120, read=300, pool=None)
    client.close()


def test_a_hub_that_stays_busy_or_broken_has_its_own_sentences() -> None:
    again = "then run the same command again; files that are uploaded already are not sent again."
    busy, broken = (publish_errors.in_words(_answer(status), REPO) for status in (429, 503))
    assert busy and (busy.what, busy.remedy) == (
        "The hub takes no more requests from here for now (429), even after some waiting.",
        f"Wait some minutes, {again}",
    )
    assert broken and (broken.what, broken.remedy) == (
        "The hub fails with a server error (503), even after some tries.",
        f"Wait until the hub works again, {again}",
    )


def test_a_bug_is_not_dressed_up_as_a_failure_of_the_hub() -> None:
    assert publish_errors.in_words(KeyError("x"), REPO) is None


# --- secrets --------------------------------------------------------------------------------------


def leaks(folder: Path, *secrets: str) -> list[Path]:
    """Files below a folder that have one of the secrets in them."""
    return [path for path in folder.rglob("*") if path.is_file() and any(secret.encode() in path.read_bytes() for secret in secrets)]


@pytest.mark.whole
@pytest.mark.parametrize(
    "kind", ["echo", "500", *(pytest.param(kind, marks=pytest.mark.whole) for kind in ("well", "cut", "wrong", "401"))]
)
def test_the_token_and_signed_addresses_are_in_no_log_message_or_artifact(workshop: Workshop, bench: Bench, kind: str) -> None:
    steps = {"echo": "commit", "wrong": "put", "401": "preupload"}
    if kind != "well":
        workshop.misbehave(*(fault(kind, step) for step in ([steps[kind]] if kind in steps else ["put", "commit"])))
    done = bench.with_env(HF_ENDPOINT=workshop.endpoint, HF_TOKEN=WRITER).doit("publish:tiny-int4", "-v", "2")
    assert (done.returncode == 0) == (kind in ("well", "500", "cut"))
    assert leaks(bench.folder, WRITER, "X-Amz-Signature=signed") == []
    assert WRITER not in done.stdout + done.stderr and "X-Amz-Signature" not in done.stdout + done.stderr
    if kind == "echo":
        assert "cannot read the header Authorization: Bearer ***" in done.stdout
    if kind == "500":
        assert "?***" in log(bench), "the client's warning about a signed address came through, without its signature"


@pytest.mark.whole
def test_the_token_goes_to_the_hub_and_not_where_the_bytes_go(workshop: Workshop, bench: Bench) -> None:
    run(bench)
    assert set(workshop.put_tokens) == {""}
    assert f"Bearer {WRITER}" in workshop.tokens


@pytest.mark.whole
def test_a_login_is_as_good_as_a_variable(workshop: Workshop, bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("HF_TOKEN")
    (tmp_path / "hf").mkdir(exist_ok=True)
    (tmp_path / "hf" / "token").write_text(WRITER, encoding="utf-8")
    run(bench)
    assert holds_the_package(workshop, bench, "next")
    assert leaks(bench.folder, WRITER) == []


@pytest.mark.whole
def test_two_runs_of_one_publication_make_one_commit(workshop: Workshop, bench: Bench) -> None:
    failures: list[Failure] = []

    def one() -> None:
        try:
            run(bench)
        except Failure as failure:
            failures.append(failure)

    threads = [threading.Thread(target=one) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(workshop.made[REPO].log) == 2
    assert len(workshop.put) == 5
