"""The table at the end of a run: what was built, what that took, and how it answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from rich.console import Group
from rich.table import Table
from rich.text import Text

from bakehouse.package import manifest as manifests
from bakehouse.package.manifest import PackageManifest
from bakehouse.plan.plan import Build
from bakehouse.recipe.kinds import DEFAULT_TASK
from bakehouse.store import files, package_files
from bakehouse.store.store import Store
from bakehouse.text import clock_text, figure_text, size_text

_LONGEST = 60  # characters of an answer


def summary(
    chosen: Iterable[Build],
    store: Store,
    names: dict[str, str],
    spans: Mapping[str, tuple[float, float]],
    total_s: float,
    failed: Callable[[Build], tuple[str, ...]],
) -> Group | None:
    """Build, what ran, time, size, KLD, answer; failed builds last with what failed; what to type next.

    None if no build was chosen.

    A build's time is that in which any of its steps ran: `spans` has their starts and ends, in seconds.
    """
    table = Table(box=None, padding=(0, 2), pad_edge=False, header_style="bold")
    for title in ("build", "steps run", "time", "size", "KLD", "answer"):
        table.add_column(title, overflow="fold")
    rows = [(_good(build, store), build) for build in chosen]
    for manifest, build in sorted(rows, key=lambda row: row[0] is None):
        steps = [names[step.key] for step in build.package.closure()]
        ran = [spans[name] for name in steps if name in spans]
        table.add_row(
            build.name,
            f"{len(ran)} of {len(steps)}",
            clock_text(_covered(ran)) if ran else "-",
            size_text(files.size_bytes(store.package(build.name))) if manifest else "-",
            mean_kld(manifest),
            _answer(manifest) if manifest else Text(_not_built(failed(build)), style="red", no_wrap=True, overflow="ellipsis"),
        )
    if not table.row_count:
        return None
    made = [build.name for manifest, build in rows if manifest]
    where = f"the package is {store.package(made[0])}" if made and len(rows) == 1 else f"packages are in {store.root / 'packages'}"
    # lines of their own: a caption would be broken at the table's width, the path with it
    runs = [build.name for manifest, build in rows if manifest and manifest.build.task == DEFAULT_TASK]
    after = [f"{clock_text(total_s)} in all; {where}", *([f"next: bakehouse run {runs[0]}"] if runs else [])]
    return Group(table, *(Text(line) for line in after))


def _good(build: Build, store: Store) -> PackageManifest | None:
    return read_manifest(build.name, store) if store.is_exposed(build.package, build.name) else None


def _covered(spans: Iterable[tuple[float, float]]) -> float:
    """How long at least one of these spans lasted: those that overlap count once."""
    covered, until = 0.0, float("-inf")
    for start, end in sorted(spans):
        covered += max(0.0, end - max(start, until))
        until = max(until, end)
    return covered


def _answer(manifest: PackageManifest) -> Text:
    """The first answer in one line, cut with an ellipsis where it is too long or the terminal too narrow."""
    answer = " ".join(manifest.verdicts[0].answer.split())
    return Text(answer if len(answer) <= _LONGEST else f"{answer[: _LONGEST - 1]}…", no_wrap=True, overflow="ellipsis")


def _not_built(failed: tuple[str, ...]) -> str:
    return f"not built: {' and '.join(failed)}" if failed else "not built"


def mean_kld(manifest: PackageManifest | None) -> str:
    """The mean KL divergence from the source, as text; "-" where it was not measured, and of a bundle, whose members have their own."""
    found = manifest.fidelity if manifest else None
    return "-" if found is None else figure_text(found.figures.kl_mean.value)


def read_manifest(name: str, store: Store) -> PackageManifest | None:
    """The manifest in a package; None if there is no such package."""
    package = store.package(name)
    return manifests.read(package) if package_files.file_in(package).exists() else None
