"""What may not leave the machine does not, whichever way it is sent: published, signed or released."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from inline_snapshot import snapshot

from bakehouse.errors import Failure
from bakehouse.executor.session import Session
from bakehouse.package import signing
from bakehouse.store import files
from bakehouse.store.store import Store
from tests.package.test_card import manifest, verdict
from tests.support import published
from tests.support.bench import Bench, ran, recipe
from tests.support.hub_write import OWNER, Workshop
from tests.support.keys import key_pair
from tests.support.packed import pack
from tests.support.published import MODEL, REPO
from tests.support.systems import needs_converters

pytestmark = pytest.mark.needs_backend("openvino")

NAME = "tiny-int4"
NPULIB = {"int4": {"runtime": "intel-npu-acceleration-library", "quantization": {"weights": "int4"}}}
PICKLE = {**MODEL, "pytorch_npu_model.pt": b"PK\x03\x04"}


def _sign(bench: Bench, key: Path) -> Path:
    """The signed copy of the bench's package."""
    return signing.sign(published.build(bench).package, NAME, Session(Store(bench.artifacts)), {"PIPELINE_SIGN": f"key:{key}"})


def _signature(bench: Bench, environ: dict[str, str] | None = None) -> object:
    return signing.signature(published.build(bench).package, NAME, Session(Store(bench.artifacts)), environ or {})


def _rot(path: Path) -> None:
    """Change one byte of a sealed file so that its size and time are what they were."""
    path.chmod(0o644)
    body = bytearray(path.read_bytes())
    body[0] ^= 1
    path.write_bytes(body)
    files.seal(path.parent)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    made = published.bench(tmp_path / "bench")
    published.package(made)
    return made


def test_a_byte_that_changed_unseen_is_found_before_it_is_signed_or_released(bench: Bench, tmp_path: Path) -> None:
    private, _ = key_pair(tmp_path, "mine")
    for folder in (Store(bench.artifacts).files(published.build(bench).package), bench.artifacts / "packages" / NAME):
        _rot(folder / "openvino_model.bin")
    with pytest.raises(Failure) as caught:
        _sign(bench, private)
    assert caught.value.what == "The package is damaged." and caught.value.details[0].startswith("openvino_model.bin: content changed")
    done = bench.doit("release", NAME, "--output", str(tmp_path / "out"))
    assert done.returncode == 1
    assert "ERROR: releasing tiny-int4: The package is damaged.\n    openvino_model.bin: content changed" in done.stderr
    assert not (tmp_path / "out").exists()


def test_what_did_not_pass_is_neither_signed_nor_released(tmp_path: Path) -> None:
    bench = published.bench(tmp_path / "bench")
    published.package(bench, passed=False)
    with pytest.raises(Failure, match="The package did not pass validation, or has changed since"):
        _sign(bench, key_pair(tmp_path, "mine")[0])
    assert "releasing tiny-int4: The package did not pass validation, or has changed since." in bench.doit("release", NAME).stderr


def test_a_signature_that_came_later_in_the_place_of_the_one_made_is_none(bench: Bench, tmp_path: Path) -> None:
    signed = _sign(bench, key_pair(tmp_path, "mine")[0])
    assert _signature(bench) is not None
    (signed / "model.sig").write_bytes(b"garbage")
    assert _signature(bench) is None


@pytest.mark.whole
def test_who_signs_now_counts_and_not_who_once_did(bench: Bench, tmp_path: Path) -> None:
    mine, other = key_pair(tmp_path, "mine")[0], key_pair(tmp_path, "other")[0]
    _sign(bench, mine)
    assert _signature(bench, {"PIPELINE_SIGN": f"key:{mine}"}) is not None
    assert _signature(bench, {"PIPELINE_SIGN": f"key:{other}"}) is None
    again = bench.with_env(PIPELINE_SIGN=f"key:{other}")
    assert ran(again.build(f"sign:{NAME}")) == [f"sign:{NAME}"]
    assert ran(again.build(f"sign:{NAME}")) == []


def test_pickles_are_released_only_if_the_recipe_lets_them_go(tmp_path: Path) -> None:
    bench = published.bench(tmp_path / "bench")
    published.package(bench, PICKLE)
    refused = bench.doit("release", NAME)
    assert refused.returncode == 1
    assert "releasing tiny-int4: The package has files that can run any code when they are loaded (pickles)" in refused.stderr
    assert "pytorch_npu_model.pt" in refused.stderr


@pytest.mark.parametrize("kind", ["pickle", pytest.param("failed", marks=pytest.mark.whole)])
def test_packages_from_elsewhere_are_released_under_the_same_rules(tmp_path: Path, kind: str) -> None:
    bench = published.bench(tmp_path / "bench")
    verdicts = (verdict(passed=kind != "failed", reasons=("it does not end",) if kind == "failed" else ()),)
    folder = pack(tmp_path / "from" / "phi3-int4-openvino", manifest("phi3", "int4-openvino", *verdicts))
    if kind == "pickle":
        (folder / "below" / "model.pt").write_bytes(b"PK\x03\x04")
        _list(folder)
    done = bench.doit("release", "--from", str(tmp_path / "from"), "--output", str(tmp_path / "out"))
    said = {"pickle": "(pickles).\n    below/model.pt", "failed": "It is not one that was proven"}[kind]
    assert done.returncode == 1 and said in done.stderr
    assert not (tmp_path / "out").exists()


def _list(folder: Path) -> None:
    """Write manifest and proofs anew, as one would who puts a file into a package."""
    from bakehouse.package.file_names import PROOFS
    from bakehouse.package.manifest import PackageManifest
    from bakehouse.stages import package

    record = PackageManifest.model_validate_json((folder / "bakehouse.json").read_bytes())
    for name in ("README.md", "bakehouse.json", *PROOFS):
        (folder / name).unlink()
    package.describe(folder, record)


@pytest.mark.needs_backend("npu_library")
def test_a_build_of_pickles_that_may_not_go_is_refused_before_it_is_made(workshop: Workshop, tmp_path: Path) -> None:
    bench = published.bench(tmp_path / "bench", builds=NPULIB)
    done = bench.doit(f"publish:{NAME}")
    assert (done.returncode, ran(done.stdout)) == (3, [])
    assert "ERROR: tiny-int4 would have files that can run any code when they are loaded (pickles)" in done.stderr
    assert workshop.requests == []


@pytest.mark.needs_backend("npu_library")
def test_ci_does_not_get_to_make_what_it_could_not_release(tmp_path: Path) -> None:
    bench = published.bench(tmp_path / "bench", builds=NPULIB)
    done = bench.doit("matrix")
    assert json.loads(done.stdout) == {"include": []}
    assert done.stderr.startswith("left out tiny-int4: ")


@pytest.mark.parametrize(
    ("env", "said"),
    [
        pytest.param({"HF_TOKEN": "hf_nobodys"}, "publishing tiny-int4: The hub does not take the token (401): ", marks=pytest.mark.whole),
        ({"HF_TOKEN": ""}, "publishing tiny-int4: No token for the hub is set."),
        ({"PIPELINE_SIGN": "key:nowhere.pem"}, "nowhere.pem does not exist."),
    ],
)
def test_a_wrong_token_or_signer_shows_before_the_build_and_not_after_it(
    workshop: Workshop, tmp_path: Path, env: dict[str, str], said: str
) -> None:
    bench = published.bench(tmp_path / "bench").with_env(**env)
    done = bench.doit(f"publish:{NAME}")
    assert (done.returncode, ran(done.stdout)) == (3, [])
    assert said in done.stderr
    assert REPO not in workshop.made


def test_where_only_signed_packages_go_no_signer_is_found_missing_before_the_build(workshop: Workshop, tmp_path: Path) -> None:
    done = published.bench(tmp_path / "bench", {"sign": True}).doit(f"publish:{NAME}")
    assert done.returncode == 3
    assert "ERROR: PIPELINE_SIGN: It is not set, so how to sign is unknown." in done.stderr


@needs_converters
def test_a_recipe_alone_cannot_run_code_of_the_hub(tmp_path: Path) -> None:
    record = {"modeling_novel.py": "1" * 64}
    source = {"type": "huggingface", "repo": f"{OWNER}/novel", "revision": "0" * 40, "license": "MIT", "remote_code": record}
    bench = Bench(tmp_path / "bench")
    bench.write(recipe(source=source))
    linted = bench.doit("lint")
    assert linted.returncode == 0
    assert "tiny-int4: building it runs Python files of the model's repository, only with PIPELINE_REMOTE_CODE=run" in linted.stdout
    done = bench.doit(f"build:{NAME}")
    assert (done.returncode, ran(done.stdout)) == (3, [])
    assert (
        "would run Python files of the model's own repository on this machine.\n  what to do: Read them at the pinned commit" in done.stderr
    )


@pytest.fixture
def half(tmp_path: Path) -> Bench:
    """Three builds, of which one is made, one failed, and one was never tried."""
    builds = {name: {"runtime": "openvino", "quantization": {"weights": weights}} for name, weights in WEIGHTS.items()}
    made = published.bench(tmp_path / "bench", builds=builds)
    published.package(made, {**published.MODEL, "bom.json": b"{}\n", "provenance.json": b"{}\n"})
    return made


WEIGHTS = {"int4": "int4", "int8": "int8", "fp16": "fp16"}


@needs_converters
def test_a_release_of_all_says_what_was_not_made_and_why_and_is_not_made_without_it(half: Bench) -> None:
    evidence = Store(half.artifacts).failed(published.build(half, "tiny-int8").validate)
    evidence.mkdir(parents=True)
    done = half.doit("release")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "ERROR: 2 of 3 builds are not built as their recipes are now.\n"
        f"    tiny-int8: validate:tiny-int8 failed, evidence: {evidence}\n"
        "    tiny-fp16: it was never made\n"
        "  what to do: Build them, name those that are to be released, or add --without-failed.\n"
    )
    assert not (half.artifacts / "release").exists()


@needs_converters
def test_a_release_leaves_out_what_failed_on_request_and_by_name(half: Bench) -> None:
    done = half.doit("release", "--without-failed")
    assert done.returncode == 0
    assert done.stderr == snapshot("left out tiny-int8: it was never made\nleft out tiny-fp16: it was never made\n")
    assert half.build("release", "tiny-int4").startswith("tiny-int4.tar  ")
    refused = half.doit("release", "--without-failed", "tiny-int4")
    assert refused.stderr == snapshot(
        """\
ERROR: --without-failed is about all builds of the recipes, and others are chosen.
  what to do: Leave it out.
"""
    )


def test_a_release_of_delivered_packages_names_the_builds_that_are_not_among_them(half: Bench, tmp_path: Path) -> None:
    pack(tmp_path / "from" / "phi3-int4-openvino", manifest("phi3", "int4-openvino", verdict(passed=True, reasons=())))
    done = half.doit("release", "--from", str(tmp_path / "from"), "--output", str(tmp_path / "out"))
    assert done.returncode == 0
    assert done.stderr.splitlines() == [f"left out tiny-{name}: it is not in {tmp_path / 'from'}" for name in WEIGHTS]
