"""Pruning keeps what recipes reach and counts what it gives back; verifying says how to repair it."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

import pytest
from inline_snapshot import snapshot

from bakehouse.app import maintenance as housekeeping
from bakehouse.app import reach, selection
from bakehouse.app.reach import Reach
from bakehouse.errors import Failure
from bakehouse.plan.plan import Plan
from bakehouse.store.store import Store
from tests.package.test_card import manifest
from tests.support.bench import INT4, recipe
from tests.support.fakes import HUB, planned, put
from tests.support.packed import pack
from tests.support.systems import not_under_wine

pytestmark = pytest.mark.needs_backend("openvino")

INT8 = {"runtime": "openvino", "quantization": {"weights": "int8"}}
BOTH = {"int4": {"runtime": "openvino", "quantization": INT4}, "int8": INT8}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "artifacts")


def plan_of(tmp_path: Path, **builds: dict[str, object]) -> Plan:
    """The plan of one recipe with these builds, or both."""
    return planned(tmp_path / "recipes", recipe(source=HUB, builds=builds or BOTH))


def bake(plan: Plan, store: Store) -> None:
    """Make every step, 1000 bytes each and a package's manifest, and publish every build."""
    written = manifest().model_dump_json()
    for step in plan.steps:
        put(step, store, made_txt=step.key[:50] * 20, **({"bakehouse_json": written} if step.kind == "package" else {}))
    for build in plan.builds:
        if build.survey:
            put(build.survey, store)
        store.expose(build.package, build.name, lambda: None)


def bytes_below(folder: Path) -> int:
    """Bytes of all files, those with several names once."""
    return sum({(status := path.stat()).st_ino: status.st_size for path in folder.rglob("*") if path.is_file()}.values())


def pruned(plan: Plan, store: Store, *others: Reach, dry_run: bool = False) -> tuple[int, list[str]]:
    said: list[str] = []
    own = reach.of(plan, store.root.parent / "recipes")
    return housekeeping.prune(own, store, others=others, dry_run=dry_run, say=said.append), said


def test_what_a_recipe_reaches_is_kept_also_what_was_only_surveyed(tmp_path: Path, store: Store) -> None:
    plan = plan_of(tmp_path)
    bake(plan, store)
    assert pruned(plan, store) == (0, [])
    assert all(store.has(step) for step in plan.steps)
    assert len(list((store.root / "store" / "survey").iterdir())) == 1


def test_a_build_that_left_its_recipe_goes_with_its_own_steps_and_its_package(tmp_path: Path, store: Store) -> None:
    before = plan_of(tmp_path)
    bake(before, store)
    after = plan_of(tmp_path, int4=BOTH["int4"])
    gone = [step for step in before.steps if step.key not in {one.key for one in after.steps}]
    would = pruned(after, store, dry_run=True)
    assert all(store.has(step) for step in before.steps)
    on_disk = bytes_below(store.root)
    freed, said = pruned(after, store)
    assert would == (freed, [line.replace("dropped", "would drop", 1) for line in said])
    names = [f"store/{step.kind}/{step.key}" for step in gone]
    assert sorted(line.split()[1] for line in said) == sorted([*names, "packages/tiny-int8"])
    assert freed == on_disk - bytes_below(store.root) > len(gone) * 1000
    assert all(store.has(step) for step in after.steps)
    assert [path.name for path in (store.root / "packages").iterdir()] == ["tiny-int4"]
    assert pruned(after, store) == (0, [])


def test_leavings_of_failures_and_kills_go_too(tmp_path: Path, store: Store) -> None:
    plan = plan_of(tmp_path)
    bake(plan, store)
    failed = f"failed/compress/{'0' * 64}"
    for folder in (failed, ".staging/export-abc"):
        (store.root / folder).mkdir(parents=True)
        (store.root / folder / "log.txt").write_text("x" * 100, encoding="utf-8")
    (store.root / ".staging" / "export-abc" / "link").symlink_to(store.root / failed / "log.txt")
    assert pruned(plan, store) == (200, [f"dropped  {failed}  100 B", "dropped  .staging/export-abc  100 B"])


def test_what_was_not_made_here_is_left_alone_and_named(tmp_path: Path, store: Store) -> None:
    plan = plan_of(tmp_path)
    bake(plan, store)
    foreign = ["store/modules/cart", "packages/.DS_Store", "packages/web", "failed/compress/mine"]
    for folder in foreign:
        (store.root / folder).mkdir(parents=True)
        (store.root / folder / "bakehouse.json").write_text('{"name": "a web page"}', encoding="utf-8")
    (store.root / "packages" / ".DS_Store" / "bakehouse.json").unlink()
    (store.root / "packages" / ".DS_Store").rmdir()
    (store.root / "packages" / ".DS_Store").write_text("a Mac was here", encoding="utf-8")
    for dry_run in (True, False):
        freed, said = pruned(plan, store, dry_run=dry_run)
        assert freed == 0
        assert said == [f"left     {name}: not known to be made here; remove it yourself if nobody needs it" for name in foreign]
    assert all((store.root / name).exists() for name in foreign)


def test_what_cannot_be_removed_is_named(tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    left = store.root / ".staging" / "export-abc"
    left.mkdir(parents=True)

    def refuse(path: Path) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(path))

    monkeypatch.setattr(shutil, "rmtree", refuse)
    with pytest.raises(Failure) as caught:
        pruned(plan_of(tmp_path), store)
    assert str(caught.value) == (
        f"{left} cannot be removed: Read-only file system.\n"
        "  what to do: Run it as the owner of the artifacts, on a disk that can be written."
    )


def test_a_package_that_a_kill_left_aside_is_kept_until_it_is_put_back_and_a_stale_one_goes(tmp_path: Path, store: Store) -> None:
    plan = plan_of(tmp_path)
    bake(plan, store)
    aside = store.root / ".staging" / "package-name-tiny-int4.aside"
    store.package("tiny-int4").rename(aside)
    assert pruned(plan, store) == (0, [])
    store.expose(plan.builds[0].package, "tiny-int4", lambda: None)
    assert not aside.exists()
    aside.mkdir()
    with store.lock("package-name-tiny-int4", lambda: None):
        assert pruned(plan, store) == (0, ["in use   .staging/package-name-tiny-int4.aside"])
    assert pruned(plan, store) == (0, ["dropped  .staging/package-name-tiny-int4.aside  0 B"])


def test_what_another_run_is_at_is_left_alone(tmp_path: Path, store: Store) -> None:
    plan = plan_of(tmp_path)
    old = plan_of(tmp_path, int8=INT8).builds[0]
    bake(plan, store)
    after = plan_of(tmp_path, int4=BOTH["int4"])
    model = old.parts["model"]
    with (
        store.lock(f"compress-{model.key}", lambda: None),
        store.lock("package-name-tiny-int8", lambda: None),
    ):
        _, said = pruned(after, store)
    assert [line for line in said if line.startswith("in use")] == [
        f"in use   store/compress/{model.key}",
        "in use   packages/tiny-int8",
    ]
    assert store.has(model)
    assert store.package("tiny-int8").exists()


def test_verify_names_every_damaged_file_and_one_command_that_fixes_all(tmp_path: Path, store: Store) -> None:
    plan = plan_of(tmp_path, int4=BOTH["int4"])
    bake(plan, store)
    (build,) = plan.builds
    # in a real package that is one file with both names in the store, and one of its own under `packages`
    for path in (store.files(build.parts["model"]), store.files(build.package), store.package(build.name)):
        path = path / "made.txt"
        path.chmod(0o644)
        path.write_text("short", encoding="utf-8")
    said: list[str] = []
    report = housekeeping.check(plan.builds, store, selection.names(plan), said.append)
    names = "convert:tiny-int4 package:tiny-int4 build:tiny-int4"
    fault = "made.txt: 5 bytes, should be 1,000"
    assert report.faults == (
        f"convert:tiny-int4: {fault}",
        f"package:tiny-int4: {fault}",
        f"packages/tiny-int4: {fault}",
    )
    assert [line for line in said if not line.startswith("ok ")] == [
        *(f"damaged  {one}" for one in report.faults),
        f"to repair it: bakehouse clean {names} && bakehouse build {names}",
    ]
    size = len(manifest().model_dump_json())
    assert (report.files, report.size_bytes) == (12, 11000 + size)


def test_a_copy_of_what_was_made_again_since_is_not_damage(tmp_path: Path, store: Store) -> None:
    plan = plan_of(tmp_path, int4=BOTH["int4"])
    (package,) = (build.package for build in plan.builds)
    put(package, store, bakehouse_json="the first making")
    pack(store.package("tiny-int4"))
    assert verified(plan, store) == []
    assert not store.is_exposed(package, "tiny-int4")


def test_verify_says_nothing_of_what_was_never_made(tmp_path: Path, store: Store) -> None:
    plan = plan_of(tmp_path)
    said: list[str] = []
    report = housekeeping.check(plan.builds, store, selection.names(plan), said.append)
    assert (report.files, report.faults, said) == (0, (), [])


def verified(plan: Plan, store: Store) -> list[str]:
    """What is said of everything that is not in order."""
    said: list[str] = []
    housekeeping.check(plan.builds, store, selection.names(plan), said.append)
    return [line for line in said if not line.startswith("ok ")]


def test_a_record_that_cannot_be_read_is_damage_and_its_remedy_fixes_it(tmp_path: Path, store: Store) -> None:
    plan = plan_of(tmp_path, int4=BOTH["int4"])
    bake(plan, store)
    model = plan.builds[0].parts["model"]
    path = store.folder(model) / "manifest.json"
    path.write_text(path.read_text(encoding="utf-8")[:-40], encoding="utf-8")
    assert verified(plan, store) == snapshot(
        [
            "damaged  convert:tiny-int4: manifest.json cannot be read",
            "to repair it: bakehouse clean convert:tiny-int4 && bakehouse build convert:tiny-int4",
        ]
    )
    store.drop(model)
    bake(plan, store)
    assert verified(plan, store) == []


def test_a_package_without_a_readable_record_is_compared_with_its_own_lists(tmp_path: Path, store: Store) -> None:
    plan = plan_of(tmp_path, int4=BOTH["int4"])
    bake(plan, store)
    (store.folder(plan.builds[0].package) / "manifest.json").write_text("[", encoding="utf-8")
    store.withdraw("tiny-int4")
    package = pack(store.package("tiny-int4"))
    record = "damaged  package:tiny-int4: manifest.json cannot be read"
    assert verified(plan, store)[:-1] == [record]
    (package / "openvino_model.bin").write_bytes(b"heavier")
    assert [line.split(" (")[0] for line in verified(plan, store)] == [
        record,
        "damaged  packages/tiny-int4: openvino_model.bin: content changed",
        "to repair it: bakehouse clean package:tiny-int4 build:tiny-int4 && bakehouse build package:tiny-int4 build:tiny-int4",
    ]
    (package / "bakehouse.json").unlink()
    assert "damaged  packages/tiny-int4: The folder has no bakehouse.json, so it is not a package." in verified(plan, store)


@not_under_wine("its links are seen as what they lead to")
def test_a_link_in_a_package_is_damage_and_makes_it_not_built(tmp_path: Path, store: Store) -> None:
    plan = plan_of(tmp_path, int4=BOTH["int4"])
    bake(plan, store)
    (store.package("tiny-int4") / "link").symlink_to(tmp_path)
    assert not store.is_exposed(plan.builds[0].package, "tiny-int4")
    assert verified(plan, store)[0] == snapshot("damaged  packages/tiny-int4: link: is a link")
    store.expose(plan.builds[0].package, "tiny-int4", lambda: None)
    assert verified(plan, store) == []
