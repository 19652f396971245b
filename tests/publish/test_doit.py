"""Publishing through the real doit: the task group, the dry run, what it needs, and what it says."""

from __future__ import annotations

from pathlib import Path

import pytest
from inline_snapshot import snapshot

from bakehouse.publish import receipts
from bakehouse.store.store import Store
from tests.support import published
from tests.support.bench import Bench, ran, recipe
from tests.support.hub_write import WRITER, Workshop
from tests.support.published import PUBLISH, REPO
from tests.support.systems import needs_converters

pytestmark = pytest.mark.needs_backend("openvino")


@pytest.fixture
def bench(workshop: Workshop, tmp_path: Path) -> Bench:
    """A package of a recipe that publishes it, and an environment with a hub."""
    made = published.bench(tmp_path / "bench")
    published.package(made)
    return made


def test_publish_is_a_task_of_its_own_that_plans_publishes_and_then_has_nothing_to_do(workshop: Workshop, bench: Bench) -> None:
    planned = bench.doit("publish:tiny-int4", "--dry-run")
    assert planned.returncode == 0 and workshop.made == {}
    assert planned.stdout.splitlines()[0] == f"tiny-int4 to {workshop.endpoint}/{REPO} (private), branch main"
    assert planned.stdout.splitlines()[-1] == snapshot("Nothing was uploaded: this was a dry run.")
    first = bench.build("publish:tiny-int4")
    assert ran(first) == ["publish:tiny-int4"]
    (receipt,) = receipts.of(Store(bench.artifacts), "tiny-int4")
    assert f"tiny-int4: published as {receipt.url}\n  files: 7 new\n" in first
    second = bench.build("publish")
    assert f"tiny-int4: nothing to do, {receipt.url} has exactly this package" in second
    assert len(workshop.made[REPO].log) == 2


def test_a_build_and_bare_doit_publish_nothing(workshop: Workshop, bench: Bench) -> None:
    bench.build("build")
    bench.build()
    assert workshop.requests == []


@pytest.mark.parametrize(
    ("args", "text"),
    [
        pytest.param(
            *(["build", "--dry-run"], "--dry-run is for publishing, and not for build:tiny-int4.\n  what to do: `bakehouse plan NAME` "),
            marks=needs_converters,  # without them `build` is no build
        ),
        (["--dry-run"], "--dry-run is for publishing, and not for overview.\n"),
        (["publish:tiny-int5"], "There is no build called tiny-int5.\n  what to do: Perhaps `bakehouse publish tiny-int4`, or tiny."),
    ],
)
def test_what_makes_no_sense_is_refused(workshop: Workshop, bench: Bench, args: list[str], text: str) -> None:
    done = bench.doit(*args)
    assert done.returncode == 3
    assert f"ERROR: {text}" in done.stderr
    assert workshop.requests == []


def test_a_build_that_its_recipe_does_not_publish_is_refused(workshop: Workshop, tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.write(recipe(source=published.SOURCE))
    remedy = "\n  what to do: Add `publish` to the recipe; `bakehouse schema` writes FIELDS.md, which has its fields.\n"
    assert bench.doit("publish:tiny-int4").stderr == f"ERROR: Its recipe does not say where tiny-int4 is published.{remedy}"
    assert bench.doit("publish").stderr == f"ERROR: No recipe says where its builds are published.{remedy}"


def test_a_dry_run_builds_nothing(workshop: Workshop, tmp_path: Path) -> None:
    bench = published.bench(tmp_path / "bench")
    done = bench.doit("publish:tiny-int4", "--dry-run")
    assert done.returncode == 3
    assert done.stderr == snapshot(
        """\
ERROR: publishing tiny-int4: The package is not built from its present recipe.
  what to do: Build it with `bakehouse build tiny-int4`.
"""
    )
    assert not (bench.artifacts / "store").exists()


def test_a_failed_publication_is_a_failed_task_without_a_traceback(workshop: Workshop, bench: Bench) -> None:
    done = bench.with_env(HF_TOKEN="hf_nobodys").doit("publish:tiny-int4")
    assert done.returncode == 1
    assert "The hub does not take the token (401): it is missing, wrong or expired." in done.stdout
    assert "hf_nobodys" not in done.stdout and "Traceback" not in done.stdout + done.stderr


@pytest.mark.whole
def test_a_signed_package_goes_with_its_signature_and_an_unsigned_one_not_where_it_must_be_signed(
    workshop: Workshop, tmp_path: Path
) -> None:
    bench = published.bench(tmp_path / "bench", {"sign": True})
    published.package(bench)
    done = bench.doit("publish:tiny-int4", "--dry-run")
    assert "ERROR: publishing tiny-int4: The recipe publishes signed packages only, and this one is not signed." in done.stderr
    assert workshop.made == {}
    key = tmp_path / "key.pem"
    _write_key(key)
    signing = bench.with_env(PIPELINE_SIGN=f"key:{key}")
    assert ran(signing.build("publish:tiny-int4")) == ["sign:tiny-int4", "publish:tiny-int4"]
    assert "model.sig" in workshop.holds(REPO)
    assert ran(signing.build("publish:tiny-int4")) == ["publish:tiny-int4"]
    assert len(workshop.made[REPO].log) == 2


def _write_key(path: Path) -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(ec.generate_private_key(ec.SECP256R1()).private_bytes(*form))


@pytest.mark.model
def test_from_nothing_to_the_hub_in_one_command_and_what_fails_validation_never_gets_there(
    workshop: Workshop, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    bench = Bench(tmp_path / "bench")
    bench.add_model(tiny_checkpoint)
    builds = {"fp16": {"runtime": "openvino", "quantization": {"weights": "fp16"}}}
    words = {"tags": ["conversational"], "license": "Apache-2.0", "license_reason": "Its owner allows both."}
    wrong = [{"prompt": "What is the capital of France?", "contains": ["Berlin"], "max_new_tokens": 32}]
    bench.write(recipe(builds=builds, golden=wrong, publish={**PUBLISH, **words}))
    failed = bench.doit("publish:tiny-fp16")
    assert failed.returncode == 1
    assert [method for method, _ in workshop.requests] == ["GET"], "more than whether the hub takes the token"
    bench.write(recipe(builds=builds, publish={**PUBLISH, **words}))
    assert ran(bench.build("publish:tiny-fp16"))[-2:] == ["build:tiny-fp16", "publish:tiny-fp16"]
    package = bench.artifacts / "packages" / "tiny-fp16"
    assert workshop.holds("bakers/tiny-fp16") == {
        path.relative_to(package).as_posix(): path.read_bytes() for path in package.rglob("*") if path.is_file()
    }
    card = workshop.holds("bakers/tiny-fp16")["README.md"].decode()
    assert "license: apache-2.0\n" in card and "- conversational\n" in card
    assert "Its source has the licence MIT" in card and "The reason for the other licence: Its owner allows both." in card
    assert WRITER.encode() not in b"".join(path.read_bytes() for path in bench.folder.rglob("*") if path.is_file())
    bench.write(recipe(builds=builds, publish={**PUBLISH, **words, "tags": ["chat"]}))
    assert ran(bench.build("publish:tiny-fp16")) == ["package:tiny-fp16", "build:tiny-fp16", "publish:tiny-fp16"]
    bench.write(recipe(builds=builds, publish={"repo": "bakers/elsewhere", **words, "tags": ["chat"]}))
    named = ["package:tiny-fp16", "build:tiny-fp16", "publish:tiny-fp16"]  # its card names the repository
    assert ran(bench.build("publish:tiny-fp16")) == named
