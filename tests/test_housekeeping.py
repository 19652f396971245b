"""Pruning keeps what recipes reach and counts what it gives back; verifying tells how to mend."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline import housekeeping, tasks
from pipeline.plan import Plan
from pipeline.store import Store
from tests.bench import INT4, recipe
from tests.fakes import HUB, planned, put

INT8 = {"runtime": "openvino", "quantization": {"weights": "int8"}}
BOTH = {"int4": {"runtime": "openvino", "quantization": INT4}, "int8": INT8}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "artifacts")


def plan_of(tmp_path: Path, **builds: dict[str, object]) -> Plan:
    """The plan of one recipe with these builds, or both."""
    return planned(tmp_path / "recipes", recipe(source=HUB, builds=builds or BOTH))


def bake(plan: Plan, store: Store) -> None:
    """Make every step, 1000 bytes each, and publish every build."""
    for step in plan.steps:
        put(step, store, made_txt=step.key[:50] * 20)
    for build in plan.builds:
        if build.survey:
            put(build.survey, store)
        store.publish(build.package, build.name, lambda: None)


def bytes_below(folder: Path) -> int:
    """Bytes of all files, those with several names once."""
    return sum({(status := path.stat()).st_ino: status.st_size for path in folder.rglob("*") if path.is_file()}.values())


def pruned(plan: Plan, store: Store, *, dry_run: bool = False) -> tuple[int, list[str]]:
    said: list[str] = []
    return housekeeping.prune(plan, store, dry_run=dry_run, say=said.append), said


def test_what_a_recipe_reaches_is_kept_also_what_was_only_asked_beforehand(tmp_path: Path, store: Store) -> None:
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
    for folder in ("failed/compress/abc", ".staging/export-abc"):
        (store.root / folder).mkdir(parents=True)
        (store.root / folder / "log.txt").write_text("x" * 100, encoding="utf-8")
    assert pruned(plan, store) == (200, ["dropped  failed/compress/abc  100 B", "dropped  .staging/export-abc  100 B"])


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


def test_verify_names_every_damaged_file_and_one_command_that_mends_all(tmp_path: Path, store: Store) -> None:
    plan = plan_of(tmp_path, int4=BOTH["int4"])
    bake(plan, store)
    (build,) = plan.builds
    for path in (store.files(build.parts["model"]) / "made.txt", store.package(build.name) / "made.txt"):
        path.chmod(0o644)
        path.write_text("short", encoding="utf-8")
    said: list[str] = []
    report = housekeeping.verify(plan.builds, store, tasks.names(plan), said.append)
    names = "convert:tiny-int4 package:tiny-int4 build:tiny-int4"
    fault = "made.txt: 5 bytes, should be 1,000"
    assert report.faults == (
        f"convert:tiny-int4: {fault}",
        f"package:tiny-int4: {fault}",
        f"packages/tiny-int4: {fault}",
    )
    assert [line for line in said if not line.startswith("ok ")] == [
        *(f"damaged  {one}" for one in report.faults),
        f"to mend it: doit clean {names} && doit {names}",
    ]
    assert (report.files, report.size_bytes) == (7, 7000)


def test_verify_says_nothing_of_what_was_never_made(tmp_path: Path, store: Store) -> None:
    plan = plan_of(tmp_path)
    said: list[str] = []
    report = housekeeping.verify(plan.builds, store, tasks.names(plan), said.append)
    assert (report.files, report.faults, said) == (0, (), [])
