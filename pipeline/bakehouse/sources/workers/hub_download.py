"""Downloads a checkpoint, or one file, from a hub repository at a pinned commit.

The folder may hold what an earlier, broken-off run left: complete files are hashed again, a partial one goes on where it was.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from bakehouse.child import events, start
from bakehouse.child import redact as discreet
from bakehouse.formats import gguf_faults, gguf_header, safetensors_files
from bakehouse.sources.seams import DownloadRequest, DownloadResult
from bakehouse.sources.workers import checkpoint_files, hub_errors, hub_files, model_type, other_formats
from bakehouse.sources.workers.hub_info import Remote

SECONDS_BETWEEN_REPORTS = 0.5


def run(request: DownloadRequest) -> DownloadResult:
    """Fill the folder."""
    discreet.install(events.progress)
    events.progress(f"asking the hub for {request.repo}")
    repository = hub_files.Repository(request.repo, request.revision, request.type)
    try:
        with hub_errors.explained(request.repo, request.revision):
            remotes = hub_files.listing(repository).files
            if request.only:
                fetched = one_file(repository, remotes, request.only, request.name, request.files, request.beside)
            else:
                fetched = checkpoint(repository, remotes, request)
    except checkpoint_files.Unfit as unfit:
        events.refuse(f"{request.repo}: {unfit.what}", unfit.remedy, list(unfit.details))
    sweep(request.files, fetched)
    by_hub = {name: remote.sha256 for name, remote in remotes.items() if name in fetched and remote.sha256}
    return DownloadResult(files=fetched, hub_sha256=by_hub)


def one_file(
    repository: hub_files.Repository, remotes: dict[str, Remote], only: str, name: str, files: Path, beside: tuple[str, ...] = ()
) -> dict[str, str]:
    """Fetch the file `only`, under its own last name or `name`, those `beside` it, and the licences; their sha256 by name."""
    for needed in (only, *beside):
        checkpoint_files.one(needed, remotes)
    if only.endswith(".gguf"):
        refuse_unreadable_gguf(repository, remotes[only])
    wanted = {only: name or PurePosixPath(only).name} | {other: other for other in (*beside, *checkpoint_files.licences(remotes))}
    fetched, fetch_one = {}, reporting(sum(remotes[origin].size for origin in wanted))
    for origin, target in wanted.items():
        fetched[target] = fetch_one(repository, remotes[origin], files / target)
    return fetched


def refuse_unreadable_gguf(repository: hub_files.Repository, remote: Remote) -> None:
    """Refuse before the download what the reader would refuse after it, from the file's header."""
    events.progress(f"reading the header of {remote.name}")
    try:
        metadata = gguf_header.read_from(hub_files.opened(repository, remote))
    except gguf_header.NotGGUF as error:
        remedy = "Take another file or another commit of the repository."
        raise checkpoint_files.Unfit(f"{remote.name} is not a complete GGUF file: {error}.", remedy) from error
    for what, details in gguf_faults.faults(metadata):
        raise checkpoint_files.Unfit(what, gguf_faults.ANOTHER_SOURCE, tuple(details))


def checkpoint(repository: hub_files.Repository, remotes: dict[str, Remote], request: DownloadRequest) -> dict[str, str]:
    """Fetch all that a checkpoint needs, small files first; their sha256 by name."""
    code, files = request.remote_code, request.files
    other_formats.refuse(remotes, lambda name: hub_files.fetch_range(repository, name, 0, remotes[name].size))
    first = checkpoint_files.weights(remotes, pickles=request.pickles)
    if request.pickles and first in (safetensors_files.SINGLE, safetensors_files.INDEX):
        raise checkpoint_files.Unfit(checkpoint_files.NO_PICKLES, checkpoint_files.LEAVE_OUT)
    checkpoint_files.tokenizer(remotes, code)
    small = (*checkpoint_files.beside_weights(remotes), *checkpoint_files.remote_code(remotes, code))
    large: tuple[str, ...] = (first,)
    total = sum(remotes[name].size for name in small)
    fetched, fetch_one = {}, reporting(total)
    for name in small:
        (files / name).parent.mkdir(exist_ok=True)
        fetched[name] = fetch_one(repository, remotes[name], files / name)
        if name in code and fetched[name] != code[name]:
            raise checkpoint_files.Unfit(
                f"{name} is not the code that the recipe lists.",
                "Read the file; only if you trust it, put its sha256 under source.remote_code.",
                (f"sha256 in the recipe: {code[name]}", f"sha256 of the file:   {fetched[name]}"),
            )
    model_type.refuse_unlisted_code(checkpoint_files.json_object((files / "config.json").read_bytes(), "config.json"), code)
    if first in (safetensors_files.INDEX, checkpoint_files.PICKLED_INDEX):
        fetched[first] = fetch_one(repository, remotes[first], files / first)
        large = checkpoint_files.shards(checkpoint_files.json_object((files / first).read_bytes(), first), remotes, first)
    fetch_one = reporting(sum(remotes[name].size for name in large))
    for name in large:
        fetched[name] = fetch_one(repository, remotes[name], files / name)
    return fetched


def reporting(total: int) -> Callable[[hub_files.Repository, Remote, Path], str]:
    """A `fetch` that reports how many of `total` bytes have come, over all files that it is called for."""
    done, reported = 0, 0.0

    def fetch(repository: hub_files.Repository, remote: Remote, to: Path) -> str:
        nonlocal done

        def arrived(size: int) -> None:
            nonlocal reported
            if time.monotonic() - reported >= SECONDS_BETWEEN_REPORTS or done + size == total:
                reported = time.monotonic()
                events.progress(f"downloading {remote.name}", done + size, total, "B")

        digest = hub_files.fetch(repository, remote, to, arrived)
        done += remote.size
        return digest

    return fetch


def sweep(files: Path, fetched: dict[str, str]) -> None:
    """Remove what an earlier run left that belongs to nothing."""
    for path in sorted(files.rglob("*"), reverse=True):  # a folder after what is in it
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()
        elif path.is_file() and path.relative_to(files).as_posix() not in fetched:
            path.unlink()


if __name__ == "__main__":
    start.run(run, DownloadRequest, online=True)
