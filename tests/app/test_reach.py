"""Pruning a store that several folders of recipes share: what another folder reaches is kept, and packages go only on someone's word."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bakehouse.app import maintenance as housekeeping
from bakehouse.app import reach
from bakehouse.errors import Failure
from bakehouse.store.store import Store
from tests.app.test_maintenance import BOTH, INT8, bake, plan_of, pruned
from tests.support import published
from tests.support.bench import INT4, ROOT, Bench, recipe
from tests.support.fakes import HUB, planned

pytestmark = pytest.mark.needs_backend("openvino")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "artifacts")


def test_what_the_recipes_of_another_folder_reach_is_kept_and_reported(tmp_path: Path, store: Store) -> None:
    ours, theirs = plan_of(tmp_path, int4=BOTH["int4"]), planned(tmp_path / "theirs", recipe(source=HUB, builds={"int8": INT8}))
    for plan, folder in ((ours, "recipes"), (theirs, "theirs")):
        bake(plan, store)
        reach.record(plan, tmp_path / folder, store)
    evidence = store.failed(theirs.builds[0].validate)
    evidence.mkdir(parents=True)
    (other,) = reach.others(tmp_path / "recipes", store)
    freed, said = pruned(ours, store, other)
    assert (freed, said) == (0, [f"kept     6 folders, reached by the recipes in {tmp_path / 'theirs'}"])
    assert all(store.has(step) for step in (*ours.steps, *theirs.steps))
    assert evidence.is_dir()
    assert housekeeping.packages_to_drop(reach.of(ours, tmp_path / "recipes"), store, [other]) == []
    assert housekeeping.packages_to_drop(reach.of(ours, tmp_path / "recipes"), store, []) == ["tiny-int8"]
    pruned(ours, store)
    assert not store.has(theirs.builds[0].package) and store.has(ours.builds[0].package)


def test_a_folder_that_is_gone_needs_nothing_and_one_that_changed_needs_what_it_reaches_now(tmp_path: Path, store: Store) -> None:
    both, one = plan_of(tmp_path), plan_of(tmp_path, int4=BOTH["int4"])
    for plan in (both, one):
        reach.record(plan, tmp_path / "recipes", store)
    assert reach.others(tmp_path / "recipes", store) == ()
    (other,) = reach.others(tmp_path / "elsewhere", store)
    assert other.packages == ("tiny-int4",)
    (tmp_path / "recipes").rename(tmp_path / "moved")
    assert reach.others(tmp_path / "elsewhere", store) == ()


def test_what_cannot_be_read_is_not_taken_for_nothing(tmp_path: Path, store: Store) -> None:
    reach.record(plan_of(tmp_path), tmp_path / "recipes", store)
    (path,) = (store.root / "reach").iterdir()
    path.write_text("{", encoding="utf-8")
    with pytest.raises(Failure) as caught:
        reach.others(tmp_path / "elsewhere", store)
    assert str(caught.value) == (
        f"It cannot be read what other recipes need of this store.\n    {path}\n"
        "  what to do: Remove the file: the next run with those recipes writes it anew; or take `--all-recipes`."
    )


@pytest.mark.whole
def test_a_run_records_what_its_recipes_reach_once(tmp_path: Path) -> None:
    bench = published.bench(tmp_path)
    bench.doit()
    assert not (bench.artifacts / "reach").exists()
    published.package(bench)
    bench.build("build:tiny-int4")
    (path,) = (bench.artifacts / "reach").iterdir()
    before = path.stat().st_mtime_ns
    assert reach.Reach.model_validate_json(path.read_bytes()).packages == ("tiny-int4",)
    bench.build("build:tiny-int4")
    assert path.stat().st_mtime_ns == before


@pytest.fixture
def shared(tmp_path: Path) -> Bench:
    """A store with a package of recipes that have another build now."""
    bench = published.bench(tmp_path)
    published.package(bench)
    bench.write(recipe(source=published.SOURCE, builds={"other": {"runtime": "openvino", "quantization": INT4}}))
    return bench


def test_recipes_in_another_folder_take_no_package_away_until_they_are_set_to(shared: Bench, tmp_path: Path) -> None:
    theirs = published.bench(tmp_path / "theirs")
    there = {"PIPELINE_RECIPES": str(theirs.recipes), "PIPELINE_ARTIFACTS": str(shared.artifacts)}
    theirs.with_env(**there).build("build:tiny-int4")
    assert f"reached by the recipes in {theirs.recipes}" in shared.build("prune")
    assert shared.doit("prune", "--all-recipes").returncode == 1
    assert (shared.artifacts / "packages" / "tiny-int4").is_dir()
    shared.build("prune", "--all-recipes", "--yes")
    assert not (shared.artifacts / "packages" / "tiny-int4").exists()


@pytest.mark.whole
@pytest.mark.skipif(sys.platform == "win32", reason="a terminal of our own needs a pty")
@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("", 1)])
def test_on_a_terminal_it_asks_before_packages_go(shared: Bench, answer: str, code: int) -> None:
    import pty  # Windows has none

    ours, theirs = pty.openpty()
    environ = {**os.environ, "PIPELINE_RECIPES": str(shared.recipes), "PIPELINE_ARTIFACTS": str(shared.artifacts)}
    argv = [sys.executable, "-m", "doit", "prune"]
    with subprocess.Popen(argv, cwd=ROOT, env=environ, stdin=theirs, stdout=theirs, stderr=theirs) as doit:
        os.close(theirs)
        said = b""
        while b"[y/N] " not in said:
            said += os.read(ours, 4096)
        os.write(ours, f"{answer}\n".encode())
        while doit.poll() is None:
            try:
                said += os.read(ours, 4096)
            except OSError:  # the other end is closed
                break
    os.close(ours)
    assert f"1 package that no recipe in {shared.recipes} makes would be dropped:\r\n    tiny-int4\r\n" in said.decode()
    assert doit.returncode == code
    assert (shared.artifacts / "packages" / "tiny-int4").exists() == bool(code)
