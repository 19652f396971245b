"""Asks a hub repository what a download would bring: sizes, configuration, and every tensor from the safetensors headers alone."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from bakehouse.child import events, start
from bakehouse.child import redact as discreet
from bakehouse.formats import safetensors_files
from bakehouse.formats.checkpoint import Survey, Tensor
from bakehouse.sources.seams import SurveyRequest
from bakehouse.sources.workers import checkpoint_files, hub_errors, hub_files, model_type, other_formats
from bakehouse.sources.workers.hub_info import Remote

if TYPE_CHECKING:
    from pydantic import JsonValue

FIRST_BYTES = 1 << 17  # most headers fit, so that one request reads them


def run(request: SurveyRequest) -> None:
    """Write survey.json into the folder."""
    discreet.install(events.progress)
    events.progress(f"asking the hub for {request.repo}")
    repository = hub_files.Repository(request.repo, request.revision)
    try:
        with hub_errors.explained(request.repo, request.revision):
            found = hub_files.listing(repository)
            survey = of_checkpoint(repository, found, request.remote_code).model_dump(mode="json")
            (request.files / "survey.json").write_text(json.dumps(survey, indent=1) + "\n", encoding="utf-8", newline="\n")
    except checkpoint_files.Unfit as unfit:
        events.refuse(f"{request.repo}: {unfit.what}", unfit.remedy, list(unfit.details))


def of_checkpoint(repository: hub_files.Repository, listing: hub_files.Listing, code: dict[str, str]) -> Survey:
    """Sizes, configuration, tensors and licence of a safetensors checkpoint."""
    remotes = listing.files
    other_formats.refuse(remotes, lambda name: hub_files.fetch_range(repository, name, 0, remotes[name].size))
    first = checkpoint_files.weights(remotes)
    checkpoint_files.tokenizer(remotes, code)
    names = {*checkpoint_files.beside_weights(remotes), *checkpoint_files.remote_code(remotes, code), first}
    config = read_json(repository, remotes["config.json"])
    model_type.refuse_unlisted_code(config, code)
    shards: tuple[str, ...] = (first,)
    if first == safetensors_files.INDEX:
        shards = checkpoint_files.shards(read_json(repository, remotes[first]), remotes)
    tensors: list[safetensors_files.Tensor] = []
    for number, name in enumerate(shards):
        events.progress("reading the headers of the weights", number, len(shards), "files")
        tensors += header(repository, name)
    size = sum(remotes[name].size for name in names.union(shards))
    described = tuple(Tensor(**tensor._asdict()) for tensor in tensors)
    return Survey(download_bytes=size, config=config, tensors=described, license=listing.license)


def read_json(repository: hub_files.Repository, remote: Remote) -> dict[str, JsonValue]:
    """A JSON file of the repository, as a value."""
    return checkpoint_files.json_object(hub_files.fetch_range(repository, remote.name, 0, remote.size), remote.name)


def header(repository: hub_files.Repository, name: str) -> tuple[safetensors_files.Tensor, ...]:
    """The tensors of one safetensors file, by one ranged request, or two where the header is long."""
    first = hub_files.fetch_range(repository, name, 0, FIRST_BYTES)
    try:
        end = safetensors_files.LENGTH_BYTES + safetensors_files.header_length(first)
        if end > len(first):
            first += hub_files.fetch_range(repository, name, len(first), end)
        return safetensors_files.described(first[safetensors_files.LENGTH_BYTES : end])[0]
    except safetensors_files.NotSafetensors as error:
        raise checkpoint_files.Unfit(f"{name} is not a safetensors file: {error}.", "Take another commit of the repository.") from error


if __name__ == "__main__":
    start.run(run, SurveyRequest, online=True)
