"""Publishing with the hub's real client against a hub of our own: what is sent, what is not, what is refused, what a receipt says."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from inline_snapshot import snapshot

from bakehouse.errors import Failure
from bakehouse.publish import receipts
from bakehouse.publish import report as publication
from bakehouse.store.package_files import MANIFEST, MANIFESTS, OLD_MANIFEST
from bakehouse.store.store import Store
from tests.support import published
from tests.support.bench import Bench
from tests.support.hub_write import READER, Workshop
from tests.support.published import CARD, MODEL, REPO, refusal, run

pytestmark = pytest.mark.needs_backend("openvino")

SMALLER = {**MODEL, "config.json": b'{"a": 1}\n', "README.md": CARD.replace("tiny model", "small model").encode(), "added.txt": b"new\n"}
SMALLER.pop("openvino_tokenizer.bin")


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A package of a recipe that publishes it."""
    made = published.bench(tmp_path / "bench")
    published.package(made)
    return made


def publishing(folder: Path, contents: dict[str, bytes] = MODEL, /, **publish: Any) -> Bench:
    """A package of a recipe that publishes it with these fields."""
    made = published.bench(folder / "bench", publish)
    published.package(made, contents)
    return made


def on_disk(bench: Bench) -> dict[str, bytes]:
    package = bench.artifacts / "packages" / "tiny-int4"
    return {path.name: path.read_bytes() for path in package.iterdir()}


def asked(workshop: Workshop) -> list[str]:
    """The requests that could change something."""
    return [path for method, path in workshop.requests if method in ("POST", "PUT")]


# --- what arrives ---------------------------------------------------------------------------------


def test_everything_arrives_in_one_commit_after_the_weights(workshop: Workshop, bench: Bench) -> None:
    outcome = run(bench)
    assert workshop.holds(REPO) == on_disk(bench)
    assert [title for _, title, _ in workshop.made[REPO].log] == ["initial commit", outcome.title]
    steps = [path.split("/")[2] if path.startswith("/lfs") else path.split("/")[-2] for path in asked(workshop)]
    assert steps.index("commit") == len(steps) - 1
    assert {"put", "complete", "verify"} <= set(steps[: steps.index("commit")])
    assert outcome.title == f"tiny-int4, package {published.build(bench).package.key[:12]}"


def test_large_files_go_in_parts_and_the_rest_in_one_piece(workshop: Workshop, bench: Bench) -> None:
    run(bench)
    weights, tokenizer = (hashlib.sha256(MODEL[f"openvino_{name}.bin"]).hexdigest() for name in ("model", "tokenizer"))
    assert sorted(workshop.put) == sorted([*(f"{weights}/{part}" for part in (1, 2, 3, 4)), tokenizer])


@pytest.mark.whole
def test_a_repository_is_made_as_private_or_public_as_the_recipe_says(workshop: Workshop, tmp_path: Path, bench: Bench) -> None:
    run(bench)
    run(publishing(tmp_path / "public", repo="bakers/open", visibility="public"))
    assert (workshop.made[REPO].private, workshop.made["bakers/open"].private) == (True, False)


@pytest.mark.whole
def test_the_receipt_says_what_went_where_and_when(workshop: Workshop, tmp_path: Path) -> None:
    bench = publishing(tmp_path, tag="v1")
    before = datetime.now(UTC)
    outcome = run(bench)
    (receipt,) = receipts.of(Store(bench.artifacts), "tiny-int4")
    assert receipt == outcome.receipt
    commit = workshop.made[REPO].branches["main"]
    package = published.build(bench).package
    assert (receipt.name, receipt.key, receipt.endpoint, receipt.repo, receipt.branch, receipt.tag) == (
        *("tiny-int4", package.key, workshop.endpoint, REPO, "main", "v1"),
    )
    assert (receipt.commit, receipt.url, receipt.committed) == (commit, f"{workshop.endpoint}/{REPO}/commit/{commit}", True)
    assert before <= receipt.published_at <= datetime.now(UTC)
    assert receipt.manifest_sha256 == hashlib.sha256(on_disk(bench)["bakehouse.json"]).hexdigest()
    assert receipt.files == len(on_disk(bench))


@pytest.mark.whole
def test_a_tag_that_is_added_later_has_a_receipt_too(workshop: Workshop, bench: Bench) -> None:
    first = run(bench).receipt
    later = run(published.bench(bench.folder, {"tag": "v1"})).receipt
    again = run(published.bench(bench.folder, {"tag": "v1"})).receipt
    assert first and later and again and first.commit == later.commit == again.commit
    assert receipts.of(Store(bench.artifacts), "tiny-int4") == (later, first)
    assert (first.tag, later.tag, later.committed) == (None, "v1", False)


def test_a_receipt_that_cannot_be_read_is_named(workshop: Workshop, bench: Bench) -> None:
    run(bench)
    (path,) = receipts.folder(Store(bench.artifacts), "tiny-int4").glob("*.json")
    path.chmod(0o644)
    path.write_text("{", encoding="utf-8")
    with pytest.raises(Failure) as caught:
        receipts.of(Store(bench.artifacts), "tiny-int4")
    assert str(caught.value) == (
        f"tiny-int4: Some receipts cannot be read.\n    {path}\n"
        "  what to do: Move them away; `bakehouse publish tiny-int4` writes the receipt of the newest commit again."
    )


def test_pruning_keeps_receipts(workshop: Workshop, bench: Bench) -> None:
    run(bench)
    store = Store(bench.artifacts)
    assert not [path for path in store.prunable([], []) if "published" in path.parts]


def test_a_second_time_nothing_is_sent(workshop: Workshop, bench: Bench) -> None:
    first = run(bench)
    workshop.forget()
    second = run(bench)
    assert asked(workshop) == []
    assert second.receipt and first.receipt and second.receipt.commit == first.receipt.commit
    assert not second.receipt.committed
    assert receipts.of(Store(bench.artifacts), "tiny-int4") == (first.receipt,)
    assert publication.text(second).splitlines()[0] == f"tiny-int4: nothing to do, {first.receipt.url} has exactly this package"


@pytest.mark.whole
def test_only_what_differs_is_sent_and_what_is_gone_is_removed(workshop: Workshop, bench: Bench) -> None:
    run(bench)
    workshop.put.clear()
    published.package(bench, SMALLER)
    outcome = run(bench)
    assert workshop.holds(REPO) == on_disk(bench)
    assert workshop.put == []
    assert outcome.plan.changed == ("README.md", "bakehouse.json", "config.json")
    assert (outcome.plan.new, outcome.plan.gone) == (("added.txt",), ("openvino_tokenizer.bin",))
    assert ".gitattributes" in workshop.repos[("model", REPO, workshop.made[REPO].branches["main"])]


@pytest.mark.whole
def test_folders_of_a_package_arrive_as_folders(workshop: Workshop, tmp_path: Path) -> None:
    folder = "cpu_and_mobile/cpu-int4-rtn-block-32"
    bench = publishing(tmp_path, {f"{folder}/model.onnx": b"graph", f"{folder}/model.onnx.data": bytes(50_000), "README.md": CARD.encode()})
    run(bench)
    assert set(workshop.holds(REPO)) == {f"{folder}/model.onnx", f"{folder}/model.onnx.data", "README.md", "bakehouse.json"}
    published.package(bench, {"README.md": CARD.encode()})
    assert run(bench).plan.gone == (f"{folder}/model.onnx", f"{folder}/model.onnx.data")
    assert set(workshop.holds(REPO)) == {"README.md", "bakehouse.json"}


@pytest.mark.needs_backend("onnxruntime_genai")
def test_builds_that_lie_in_one_repository_go_there_together_and_not_by_themselves(workshop: Workshop, tmp_path: Path) -> None:
    builds = {
        provider: {"runtime": "onnxruntime-genai", "execution_provider": provider, "quantization": {"weights": "int4", "block_size": 32}}
        for provider in ("cpu", "dml")
    }
    bench = published.bench(tmp_path / "bench", builds=builds, repositories={"onnx": ["cpu", "dml"]})
    assert [published.build(bench, f"tiny-{name}").destination for name in ("cpu", "dml")] == [None, None]
    folders = ("cpu_and_mobile/cpu-int4", "directml/directml-int4")
    published.package(bench, {f"{folder}/model.onnx": folder.encode() for folder in folders}, "tiny-onnx")
    run(bench, "tiny-onnx")
    assert set(workshop.holds("bakers/tiny-onnx")) == {*(f"{folder}/model.onnx" for folder in folders), "bakehouse.json"}


@pytest.mark.whole
def test_content_that_the_hub_has_under_another_name_is_not_sent_again(workshop: Workshop, bench: Bench) -> None:
    run(bench)
    workshop.put.clear()
    published.package(bench, {**MODEL, "openvino_detokenizer.bin": MODEL["openvino_tokenizer.bin"]})
    run(bench)
    assert workshop.put == []
    assert workshop.holds(REPO)["openvino_detokenizer.bin"] == MODEL["openvino_tokenizer.bin"]


@pytest.mark.whole
def test_a_branch_is_made_from_main_and_main_stays_as_it_was(workshop: Workshop, tmp_path: Path) -> None:
    main = workshop.make(REPO).branches["main"]
    bench = publishing(tmp_path, branch="nightly/openvino")
    run(bench)
    assert workshop.made[REPO].branches["main"] == main
    assert workshop.holds(REPO, "nightly/openvino") == on_disk(bench)
    workshop.forget()
    run(bench)
    assert asked(workshop) == []


@pytest.mark.whole
def test_a_pull_request_is_opened_once_and_main_stays_as_it_was(workshop: Workshop, tmp_path: Path) -> None:
    main = workshop.make(REPO, files={"README.md": b"soon"}).branches["main"]
    bench = publishing(tmp_path, pull_request=True)
    first = run(bench)
    assert first.receipt and first.receipt.url == f"{workshop.endpoint}/{REPO}/discussions/1"
    assert workshop.made[REPO].branches["main"] == main
    assert workshop.holds(REPO, "refs/pr/1") == on_disk(bench)
    workshop.forget()
    second = run(bench)
    assert asked(workshop) == []
    assert second.receipt and (second.receipt.url, second.receipt.committed) == (first.receipt.url, False)
    assert "pull request 1 has exactly this package" in publication.text(run(bench, dry_run=True))


@pytest.mark.whole
def test_a_pull_request_that_was_closed_is_opened_again_and_a_merged_one_is_not(workshop: Workshop, tmp_path: Path) -> None:
    workshop.make(REPO)
    bench = publishing(tmp_path, pull_request=True)
    run(bench)
    workshop.made[REPO].pulls[0].status = "closed"
    run(bench)
    assert len(workshop.made[REPO].pulls) == 2
    merged = workshop.made[REPO].pulls[1]
    merged.status, workshop.made[REPO].branches["main"] = "merged", merged.commit
    run(bench)
    assert len(workshop.made[REPO].pulls) == 2


@pytest.mark.whole
def test_who_may_only_read_can_open_a_pull_request_and_not_commit(
    workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    main = workshop.make(REPO).branches["main"]
    monkeypatch.setenv("HF_TOKEN", READER)
    run(publishing(tmp_path / "pull", pull_request=True))
    assert "The token may not do this to bakers/tiny-int4 (403)." in refusal(publishing(tmp_path / "push"))
    assert workshop.made[REPO].branches["main"] == main


@pytest.mark.whole
def test_a_tag_names_the_commit_and_the_same_content_under_it_is_fine(workshop: Workshop, tmp_path: Path) -> None:
    bench = publishing(tmp_path, tag="v1")
    run(bench)
    first = workshop.made[REPO].branches["main"]
    assert workshop.made[REPO].tags == {"v1": first}
    files = workshop.repos[("model", REPO, first)]
    workshop.made[REPO].branches["main"] = workshop.commit(REPO, files, "nothing changed")
    run(bench)
    assert workshop.made[REPO].tags == {"v1": first}


@pytest.mark.whole
def test_a_tag_can_be_added_to_what_is_there(workshop: Workshop, tmp_path: Path) -> None:
    bench = publishing(tmp_path)
    run(bench)
    bench = published.bench(tmp_path / "bench", {"tag": "v1"})
    run(bench)
    assert workshop.made[REPO].tags == {"v1": workshop.made[REPO].branches["main"]}
    assert len(workshop.made[REPO].log) == 2


@pytest.mark.whole
def test_a_tag_of_another_content_is_refused_before_anything_is_sent(workshop: Workshop, tmp_path: Path) -> None:
    bench = publishing(tmp_path, tag="v1")
    run(bench)
    tagged = workshop.made[REPO].tags["v1"]
    published.package(bench, SMALLER)
    workshop.forget()
    assert refusal(bench) == (
        f"publishing tiny-int4: The tag v1 of bakers/tiny-int4 already names another content (commit {tagged[:12]}), "
        "and tags are never moved.\n"
        "  what to do: Choose another publish.tag, or delete the tag on the hub."
    )
    assert asked(workshop) == []
    assert workshop.made[REPO].tags == {"v1": tagged}


# --- dry runs -------------------------------------------------------------------------------------


def test_a_dry_run_of_a_first_publication_sends_nothing_and_says_all(workshop: Workshop, bench: Bench) -> None:
    outcome = run(bench, dry_run=True)
    assert asked(workshop) == []
    assert workshop.made == {}
    key, digest = published.build(bench).package.key, hashlib.sha256(on_disk(bench)["bakehouse.json"]).hexdigest()
    size = sum(map(len, on_disk(bench).values()))
    card = "\n".join(f"    +{line}" for line in CARD.splitlines())
    assert (
        publication.text(outcome)
        == f"""\
tiny-int4 to {workshop.endpoint}/bakers/tiny-int4 (private), branch main
  the repository would be created
  + new     LICENSE
  + new     README.md
  + new     bakehouse.json
  + new     config.json
  + new     openvino_model.bin
  + new     openvino_model.xml
  + new     openvino_tokenizer.bin
  not signed, as PIPELINE_SIGN is not set
  {size / 1000:.0f} kB differ from what the hub has; the hub decides which of it must be sent
  the commit's message:
    tiny-int4, package {key[:12]}

    Made from the local files model.
    Package key: {key}
    sha256 of bakehouse.json: {digest}
  the model card:
    --- on the hub
    +++ in the package
    @@ -0,0 +1,9 @@
{card}
Nothing was uploaded: this was a dry run."""
    )
    assert receipts.of(Store(bench.artifacts), "tiny-int4") == ()


@pytest.mark.whole
def test_a_dry_run_says_what_is_new_changed_gone_and_the_same_and_how_the_card_changes(workshop: Workshop, bench: Bench) -> None:
    run(bench)
    published.package(bench, SMALLER)
    workshop.forget()
    lines = publication.text(run(bench, dry_run=True)).splitlines()
    assert asked(workshop) == []
    assert [line.split() for line in lines[1:9]] == [
        ["+", "new", "added.txt"],
        ["~", "changed", "README.md"],
        ["~", "changed", "bakehouse.json"],
        ["~", "changed", "config.json"],
        ["-", "gone", "openvino_tokenizer.bin"],
        ["=", "same", "LICENSE"],
        ["=", "same", "openvino_model.bin"],
        ["=", "same", "openvino_model.xml"],
    ]
    assert [line.strip() for line in lines if "model." in line and line.strip()[0] in "+-"] == ["-A tiny model.", "+A small model."]


def test_a_dry_run_says_whether_a_signature_goes_with_it(workshop: Workshop, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = run(bench, dry_run=True)
    assert "  not signed, as PIPELINE_SIGN is not set" in publication.text(outcome).splitlines()
    monkeypatch.setenv("PIPELINE_SIGN", "sigstore")
    assert (
        "  not signed yet: PIPELINE_SIGN is set, so `bakehouse publish tiny-int4` would sign it first"
        in publication.text(outcome).splitlines()
    )
    signed = replace(outcome, plan=outcome.plan.model_copy(update={"new": (*outcome.plan.new, "model.sig")}))
    assert "  signed: model.sig is part of it" in publication.text(signed).splitlines()


@pytest.mark.whole
def test_a_dry_run_of_what_is_there_says_that_there_is_nothing_to_do(workshop: Workshop, bench: Bench) -> None:
    run(bench)
    assert publication.text(run(bench, dry_run=True)).splitlines()[-1] == snapshot("  nothing to do: the hub has exactly this package")


@pytest.mark.whole
def test_a_dry_run_of_a_public_repository_needs_no_token(workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workshop.make(REPO, private=False)
    bench = publishing(tmp_path, visibility="public")
    monkeypatch.delenv("HF_TOKEN")
    assert len(run(bench, dry_run=True).plan.new) == 7
    assert refusal(bench) == snapshot(
        """\
publishing tiny-int4: No token for the hub is set.
  what to do: Set one that may write to bakers/tiny-int4, with `hf auth login` or HF_TOKEN.\
"""
    )
    assert asked(workshop) == []


# --- what is never published ----------------------------------------------------------------------


def test_a_package_that_is_not_built_as_its_recipe_is_now_is_not_published(workshop: Workshop, tmp_path: Path) -> None:
    bench = published.bench(tmp_path / "bench")
    assert refusal(bench) == snapshot(
        """\
publishing tiny-int4: The package is not built from its present recipe.
  what to do: Build it with `bakehouse build tiny-int4`.\
"""
    )
    published.package(bench)
    bench = published.bench(tmp_path / "bench", golden=[{"prompt": "Hi", "contains": ["Hi"]}])
    assert "The package is not built from its present recipe." in refusal(bench)
    assert workshop.requests == []


def test_a_package_whose_validation_failed_is_not_published_however_it_came_into_the_store(workshop: Workshop, tmp_path: Path) -> None:
    bench = published.bench(tmp_path / "bench")
    published.package(bench, passed=False)
    assert refusal(bench) == snapshot(
        """\
publishing tiny-int4: The package did not pass validation, or has changed since.
    'What is the capital of France?' was not answered as expected
  what to do: Run `bakehouse clean package:tiny-int4`, and build it again.\
"""
    )
    assert workshop.requests == []


def test_one_changed_byte_is_found_right_before_the_upload(workshop: Workshop, bench: Bench) -> None:
    path = bench.artifacts / "packages" / "tiny-int4" / "openvino_model.bin"
    was = path.stat()
    path.chmod(0o644)
    with path.open("r+b") as opened:  # same size, and the time put back: nothing shows at a glance
        opened.write(b"\xff")
    path.chmod(0o444)

    os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))
    now = hashlib.sha256(path.read_bytes()).hexdigest()
    assert refusal(bench) == (
        "publishing tiny-int4: The package has changed since it was validated, so it is not published.\n"
        f"    openvino_model.bin: sha256 {now}, should be {hashlib.sha256(MODEL['openvino_model.bin']).hexdigest()}\n"
        "  what to do: Build it again."
    )
    assert asked(workshop) == []


def test_a_pickle_is_published_only_if_the_recipe_allows_it(workshop: Workshop, tmp_path: Path) -> None:
    contents = {**MODEL, "pytorch_npu_model.pt": b"PK\x03\x04"}
    assert refusal(publishing(tmp_path / "not", contents)) == snapshot(
        """\
publishing tiny-int4: The package has files that can run any code when they are loaded (pickles).
    pytorch_npu_model.pt
  what to do: Use another build, or set publish.allow_pickle: true if those who load the package can trust you that far.\
"""
    )
    assert workshop.requests == []
    run(publishing(tmp_path / "allowed", contents, allow_pickle=True))
    assert "pytorch_npu_model.pt" in workshop.holds(REPO)


@pytest.mark.whole
def test_a_licence_of_its_owners_own_is_not_published_without_its_text(workshop: Workshop, tmp_path: Path) -> None:
    bench = published.bench(tmp_path / "bench", source={**published.SOURCE, "license": "LicenseRef-Llama-3"})
    published.package(bench, {name: body for name, body in MODEL.items() if name != "LICENSE"})
    assert refusal(bench) == snapshot(
        """\
publishing tiny-int4: The licence LicenseRef-Llama-3 is not on the SPDX list, and its text is not in the package.
  what to do: Use a source that includes its licence as a file (LICENSE).\
"""
    )
    published.package(bench)
    run(bench)
    assert workshop.holds(REPO)["LICENSE"] == MODEL["LICENSE"]


def test_a_model_whose_licence_nobody_stated_is_not_published(workshop: Workshop, tmp_path: Path) -> None:
    """`init` writes LicenseRef-unknown where a source states none."""
    bench = published.bench(tmp_path / "bench", source={**published.SOURCE, "license": "LicenseRef-unknown"})
    published.package(bench)
    assert refusal(bench) == snapshot("""\
publishing tiny-int4: The recipe does not say what licence the model has: LicenseRef-unknown stands for one that nobody stated.
  what to do: Find out the model's licence, and write it as source.license in the recipe.\
""")
    assert workshop.requests == []


@pytest.mark.parametrize(("is_", "says"), [("public", "private"), pytest.param("private", "public", marks=pytest.mark.whole)])
def test_a_repository_that_others_see_against_the_recipes_word_is_refused(workshop: Workshop, tmp_path: Path, is_: str, says: str) -> None:
    workshop.make(REPO, private=is_ == "private")
    assert refusal(publishing(tmp_path, visibility=says)) == (
        f"publishing tiny-int4: bakers/tiny-int4 is {is_}, and the recipe says {says}.\n"
        f"  what to do: Set publish.visibility to {is_}, or change the repository's visibility in its settings on the hub."
    )
    assert asked(workshop) == []


@pytest.mark.whole
@pytest.mark.parametrize("name", MANIFESTS)
def test_somebody_elses_work_is_not_removed_but_may_be_in_a_pull_request(workshop: Workshop, tmp_path: Path, name: str) -> None:
    workshop.make(REPO, files={"model.safetensors": b"theirs", name: json.dumps({"manifest_version": 3}).encode()})
    assert refusal(publishing(tmp_path / "commit")) == (
        "publishing tiny-int4: bakers/tiny-int4 holds files that are not from a package, and publishing would remove them.\n"
        f"{''.join(f'    {one}' + chr(10) for one in sorted((name, 'model.safetensors')))}"
        "  what to do: Choose another repository, empty this one, or open a pull request (`publish.pull_request: true`), "
        "where a person decides."
    )
    assert asked(workshop) == []
    outcome = run(publishing(tmp_path / "pull", pull_request=True))
    assert "model.safetensors" in outcome.plan.gone
    assert "model.safetensors" in workshop.holds(REPO)


def test_a_package_takes_the_place_of_one_whose_manifest_has_the_old_name(workshop: Workshop, bench: Bench) -> None:
    older = {**on_disk(bench), "weights.bin": b"older"}
    older[OLD_MANIFEST] = older.pop(MANIFEST)
    workshop.make(REPO, files=older)
    assert run(bench).plan.gone == (OLD_MANIFEST, "weights.bin")
    assert workshop.holds(REPO) == on_disk(bench)


@pytest.mark.whole
def test_a_repository_made_by_hand_with_a_card_and_a_licence_is_filled(workshop: Workshop, bench: Bench) -> None:
    workshop.make(REPO, files={"README.md": b"soon", "LICENSE": b"mine", ".gitignore": b"*.bin\n"})
    outcome = run(bench)
    assert workshop.holds(REPO) == on_disk(bench)
    assert outcome.plan.gone == (".gitignore",)
