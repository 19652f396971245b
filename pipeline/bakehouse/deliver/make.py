"""Delivers a package: the same files laid out as a place wants them, what the place needs in addition, and a record of both."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path

from bakehouse.backends.delivery import Code, Layout, Packed, Profile
from bakehouse.deliver.record import Carried, Delivery, Replaced
from bakehouse.errors import Failure
from bakehouse.executor import process
from bakehouse.executor.process import Children
from bakehouse.inference.found import Found
from bakehouse.package import card_use, markdown
from bakehouse.package import manifest as manifests
from bakehouse.package.file_names import CARD, DELIVERY, PROOFS, SIGNATURE
from bakehouse.package.manifest import PackageManifest
from bakehouse.recipe.types import printable
from bakehouse.records import FileRecord
from bakehouse.store import clone, files, package_files
from bakehouse.tasks.text_generation.golden import Golden

PACKAGES_CARD = "MODEL_CARD.md"  # what the package's README.md is called in the folder
_GREETING = (("user", "Hello!"),)  # for a model all of whose golden prompts are raw


def packed(found: Found) -> Packed:
    """A package as a profile sees it."""
    manifest = manifests.read(found.folder)  # of a bundle the whole
    shown = card_use.program(tuple(one for one in manifest.build.golden if isinstance(one, Golden)))
    return Packed(
        name=manifest.name,
        folder=found.folder,
        builds=tuple(one.build.options for one in manifest.members or (manifest,)),
        files={file.path: file.sha256 for file in manifest.files},
        chat=tuple(shown["chat"]) or _GREETING,
        max_new_tokens=shown["max_new_tokens"],
    )


def deliver(found: Found, profile: Profile, target: Path, children: Children) -> Delivery:
    """Write the package, laid out by `profile`, into the new folder `target`: whole, or not at all.

    Raises:
        Failure: the profile takes no such package, the folder is not empty or cannot be written, or the package is damaged.
    """
    staged = target.with_name(f".{target.name}.bakehouse-delivery")
    try:
        _refuse(target, found.folder)
        known = packed(found)
        profile.fits(known.name, known.builds)
        layout = profile.layout(known)
        files.remove(staged)
        staged.mkdir(parents=True)
        record = _fill(staged, found, profile, layout, children)
        if target.is_dir():
            target.rmdir()  # it is empty
        files.move(staged, target)
    except OSError as error:
        remedy = "Name a folder that you may write to, on a disk with enough space."
        raise Failure(f"The folder cannot be written: {error}.", where=str(target), remedy=remedy) from error
    finally:
        files.remove(staged)
    return record


def _refuse(target: Path, package: Path) -> None:
    if target.resolve().is_relative_to(package.resolve()):
        raise Failure("the target is within the package, which stays as it is", where=str(target), remedy="name a folder elsewhere")
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        raise Failure("the target is not a folder", where=str(target), remedy="name a folder that does not exist yet")
    if target.is_dir() and any(target.iterdir()):
        raise Failure("the folder is not empty", where=str(target), remedy="name a folder that does not exist yet, or an empty one")


def _fill(folder: Path, found: Found, profile: Profile, layout: Layout, children: Children) -> Delivery:
    """Write everything into the empty `folder`."""
    manifest = manifests.read(found.folder)
    listed = {file.path: file for file in manifest.files}
    for of, _ in layout.instead.values():
        _refuse_changed(found.folder, of, files.sha256(found.folder / of), listed)
    carried = _copied(folder, found.folder, layout, listed)
    for place, one in layout.written.items():
        files.write(folder / place, one.text)
    _remake(folder, layout, children)
    files.write(folder / CARD, _readme(manifest, profile, layout))
    replaced = layout.instead
    new = [CARD, *(place for place, one in layout.written.items() if not one.of)]
    records = {one.path: one for one in files.records_of(folder, [folder / place for place in (*replaced, *new)])}
    clone.copy(package_files.file_in(found.folder), folder / package_files.MANIFEST)
    record = Delivery(
        profile=profile.name,
        profile_version=profile.version,
        name=manifest.name,
        key=manifest.key,
        manifest_sha256=files.sha256(folder / package_files.MANIFEST),
        carried=carried,
        replaced=tuple(Replaced(**dict(records[place]), package_path=of, why=why) for place, (of, why) in sorted(replaced.items())),
        added=tuple(records[place] for place in sorted(new)),
        left_out=tuple(name for name in (*PROOFS, SIGNATURE) if (found.folder / name).is_file()),
    )
    files.write(folder / DELIVERY, record.model_dump_json(indent=2) + "\n")
    files.seal(folder, read_only=False)
    return record


def _places(layout: Layout, listed: Collection[str]) -> dict[str, str]:
    """Path in the folder -> path in the package, of every file that is carried over."""
    moved = {*layout.carried.values(), *layout.same, *(of for of, _ in layout.instead.values())}
    rest = {PACKAGES_CARD if path == CARD else path: path for path in listed if path not in moved}
    taken = {package_files.MANIFEST, DELIVERY, CARD, *layout.written, *layout.remade}
    if clash := sorted(taken & {*rest, *layout.carried} | rest.keys() & layout.carried.keys()):
        raise Failure(
            f"the package has a file called {printable(clash[0])}, and the folder needs another of that name",
            remedy="deliver a package that has no such file",
        )
    return {**rest, **layout.carried}


def _copied(folder: Path, package: Path, layout: Layout, listed: Mapping[str, FileRecord]) -> tuple[Carried, ...]:
    """Copy files of the package, never by a second name; each is compared with the manifest.

    Raises:
        Failure: one is not what the manifest says.
    """
    done = []
    for place, path in sorted(_places(layout, listed).items()):
        also = tuple(sorted(other for other, there in layout.same.items() if there == place))
        copied = clone.copy(package / path, folder / place) or files.sha256(folder / place)
        for one in (path, *also):
            _refuse_changed(package, one, copied, listed)
        done.append(Carried(path=place, size=listed[path].size, sha256=copied, package_path=path, also=also))
    return tuple(done)


def _refuse_changed(package: Path, path: str, digest: str, listed: Mapping[str, FileRecord]) -> None:
    if digest != listed[path].sha256:
        raise Failure(
            f"{printable(path)} is not what the package's manifest says",
            where=str(package),
            remedy=f"`bakehouse check {package}` shows the damage",
        )


def _remake(folder: Path, layout: Layout, children: Children) -> None:
    """Have a worker write what only a tool can; its log stays if a failure names it."""
    if layout.remake is None:
        return
    room, keep = Path(tempfile.mkdtemp(prefix="bakehouse-deliver-")), False
    try:
        process.run(
            layout.remake(folder), children=children, log=room / "log.txt", scratch=room / "scratch", on_progress=lambda progress: None
        )
    except Failure as failure:
        keep = any(str(room) in detail for detail in failure.details)
        raise
    finally:
        if not keep:
            files.remove(room)


def _readme(manifest: PackageManifest, profile: Profile, layout: Layout) -> str:
    """The folder's README.md."""
    changed = [f"- `{place}` is the package's `{of}`, but {why}." for place, (of, why) in layout.instead.items()]
    parts = [
        f"# {manifest.name} for {profile.place}",
        f"This folder holds the package {manifest.name}, laid out for {profile.place} by `bakehouse deliver --to {profile.name}`. "
        f"The weights are the package's, byte for byte. [{PACKAGES_CARD}]({PACKAGES_CARD}) is the package's card: what the model is, how "
        f"it was made and what was shown of it; its programs are for the package, not for this folder. `{DELIVERY}` lists every file, and "
        "`bakehouse check` compares them.",
        *(["\n".join(["What is not as in the package:", "", *changed])] if changed else []),
        "## Use",
        *(markdown.block(part.text, part.language) if isinstance(part, Code) else part for part in layout.readme),
    ]
    return "\n\n".join(parts) + "\n"
