"""Computes logits of the unquantized checkpoint in transformers, in float32, at the positions that show what an artifact computes."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from bakehouse.child import events, hermetic, start, temporary
from bakehouse.formats import fields, safetensors_files
from bakehouse.formats.config_json import Config
from bakehouse.tasks.text_generation.seams import Checked, CheckedGroup, LogitsRequest, LogitsResult
from bakehouse.tasks.text_generation.workers import layer_prefix, loading, positions_to_check, tokenizers_loading
from bakehouse.tasks.text_generation.workers.logits_compare import CHECK, LOGITS
from bakehouse.tasks.text_generation.workers.positions_to_check import Check, Run

# Ordinary text: complete sentences are drawn from it again and again in another order, so that long inputs do not just repeat.
_TEXT = (
    "The harbour was quiet when the first boats came in, and nobody had lit the lamps.",
    "In 1869 a chemist wrote sixty-three names on cards and moved them about on a table.",
    "She folded the letter twice, put it back under the clock and went out to feed the hens.",
    "A function that calls itself needs a case in which it does not.",
    "Rain fell on the tin roof all night; by morning the road to the mill was gone.",
    "The committee will meet on Tuesday at ten to decide who pays for the new bridge.",
    "Light takes about eight minutes and twenty seconds from the sun to the earth.",
    "He had never learned to swim, although his father and both his brothers were sailors.",
    "Mix the flour with a little salt, add two eggs and let the dough rest for an hour.",
    "What the map called a village turned out to be three houses and a well.",
    "Every even number greater than two seems to be the sum of two primes.",
    "The violin had belonged to her grandmother, who sold it in the winter of the war.",
)


_FEED_FORWARD = ("mlp", "feed_forward", "ffn", "block_sparse_moe")


def token_ids(checkpoint: Path, count: int, vocabulary: int, remote_code: bool) -> list[int]:
    """So many ids: ordinary text in the model's own tokens, or fixed numbers where its tokenizer gives none that the model has."""
    try:
        encode = _encoder(checkpoint, remote_code)
        ids = encode(" ".join(_TEXT[:3]), True)
        pieces = [encode(f" {text}", False) for text in _TEXT]
    except Exception as error:  # the step that makes the runtime's tokenizer judges it
        events.progress(f"the tokenizer gives no tokens ({type(error).__name__}), so fixed numbers are taken")
        ids, pieces = [], []
    if not ids or max(max(piece, default=0) for piece in (ids, *pieces)) >= vocabulary or min(map(len, pieces)) == 0:
        return [(index * 7919 + index * index * 31 + 11) % vocabulary for index in range(count)]
    state = 1
    while len(ids) < count:
        state = (state * 48271) % 2147483647
        ids += pieces[state % len(pieces)]
    return [int(token) for token in ids[:count]]


def _encoder(checkpoint: Path, remote_code: bool) -> Callable[[str, bool], list[int]]:
    """What gives a text's ids, with special tokens or without: tokenizer.json alone, which transformers takes seconds to compare with."""
    if (checkpoint / tokenizers_loading.FILE).is_file():
        from tokenizers import Tokenizer

        engine = Tokenizer.from_file(str(checkpoint / tokenizers_loading.FILE))
        engine.no_truncation()
        engine.no_padding()
        return lambda text, special: list(engine.encode(text, add_special_tokens=special).ids)
    tokenizer = tokenizers_loading.load(checkpoint, remote_code)
    return lambda text, special: list(tokenizer(text, add_special_tokens=special)["input_ids"])


@contextmanager
def first_layers(checkpoint: Path, layers: int, of: int, linked: bool = False) -> Iterator[Path]:
    """The checkpoint itself, or a folder with its first layers alone.

    `linked`: the weights of later ones may be there, see loading.causal_lm. That takes no time, where the file system has links.
    """
    if layers == of:
        yield checkpoint
        return
    with temporary.folder() as folder:
        events.progress(f"taking out the first {layers} of {of} layers")
        if not (linked and layer_prefix.link(checkpoint, Path(folder), layers, of)):
            layer_prefix.write(checkpoint, Path(folder), layers, of)
        yield Path(folder)


def logits(model: Any, ids: list[int], runs: Sequence[Run], joined: bool) -> list[Any]:
    """An array (positions x vocabulary, float32) for each run: from one long input where that gives the same, else from each as it is."""
    if not joined:
        from bakehouse.tasks.text_generation.workers import reference_model

        alone = reference_model.alone(model, _stepped)
        return [alone(model, ids[: run.tokens], run.prefill, run.scored) for run in runs]
    longest = max(run.tokens for run in runs)
    wanted = sorted({at for run in runs for at in run.scored})
    with _last_rows(model, wanted):
        rows = dict(zip(wanted, _forward(model, ids[:longest], None, wanted)[0], strict=True))
    return [_stack([rows[at] for at in run.scored]) for run in runs]


@contextmanager
def _last_rows(model: Any, wanted: Sequence[int]) -> Iterator[None]:
    """While this lasts, the feed-forward part of the last layer computes the wanted positions only: it is most of a layer's weights.

    Only in transformers' own models, where it takes each position by itself, and gives one tensor for one.
    """
    names = {name: number for name, _ in model.named_modules() if (number := layer_prefix.layer_of(name)) is not None}
    last = max(names.values(), default=0)
    found = [name for name, number in names.items() if number == last and name.rsplit(".", 1)[-1] in _FEED_FORWARD]
    parts = [part for part in map(model.get_submodule, found) if type(part).__module__.startswith("transformers.")]
    for part in parts:
        part.forward = _of_rows(part.forward, list(wanted))
    try:
        yield
    finally:
        for part in parts:
            del part.forward  # the class's own shows again


def _of_rows(forward: Callable[..., Any], wanted: list[int]) -> Callable[..., Any]:
    def of_rows(*given: Any, **named: Any) -> Any:
        if len(given) != 1 or named or given[0].dim() != 3 or given[0].shape[1] <= wanted[-1]:
            return forward(*given, **named)
        made = forward(given[0][:, wanted])
        if not hasattr(made, "new_zeros") or made.dim() != 3:
            return forward(*given)
        whole = made.new_zeros((*given[0].shape[:2], made.shape[2]))
        whole[:, wanted] = made
        return whole

    return of_rows


def _stepped(model: Any, ids: list[int], prefill: int, scored: Sequence[int]) -> Any:
    found, cache = _forward(model, ids[:prefill], None, [at for at in scored if at < prefill])
    rows = list(found)
    for at in range(prefill, len(ids)):
        row, cache = _forward(model, ids[at : at + 1], cache, [0])
        rows += list(row) if at in scored else []
    return _stack(rows)


def _forward(model: Any, ids: list[int], cache: Any, wanted: list[int]) -> tuple[Any, Any]:
    """Rows of logits at the wanted positions of this input, and the cache after it."""
    import torch

    places = torch.tensor(wanted, dtype=torch.long)
    keeps = "logits_to_keep" in inspect.signature(model.forward).parameters
    selected = {"logits_to_keep": places} if keeps and wanted else {}
    made = model(input_ids=torch.tensor([ids]), past_key_values=cache, use_cache=True, **selected)
    rows = made.logits[0] if selected else made.logits[0][places]
    return rows.float().numpy(), made.past_key_values


def _stack(rows: list[Any]) -> Any:
    import numpy as np

    return np.stack(rows)


def plan(checkpoint: Path, remote_code: bool) -> tuple[Check, Config]:
    """What to compare, and the configuration as transformers completes it."""
    from transformers import AutoConfig

    read = partial(AutoConfig.from_pretrained, local_files_only=True, trust_remote_code=remote_code)
    config: Config = read(checkpoint).to_dict()
    shapes = {tensor.name: tensor.shape for tensor in safetensors_files.tensors(checkpoint)}
    wanted = positions_to_check.check(config, shapes)
    if wanted.layers < wanted.of:
        with temporary.folder() as folder:
            layer_prefix.write_config(checkpoint, Path(folder), wanted.layers, wanted.of)
            for code in checkpoint.glob("*.py"):
                layer_prefix.place(code, Path(folder) / code.name)
            try:
                read(folder)
            except Exception:  # a list for each layer that is not known to be one
                wanted = positions_to_check.check(config, shapes, divisible=False)
    return wanted, config


def _loaded(folder: Path, layers: int, of: int, remote_code: bool) -> Any:
    """The model in float32; the weights of later layers than the first are not read."""
    import torch

    first = layers if layers < of else None
    return loading.causal_lm(folder, first=first, trust_remote_code=remote_code, dtype="auto").to(torch.float32).eval()


def compute(checkpoint: Path, files: Path, remote_code: bool) -> LogitsResult:
    """Write check.json (what is compared, of which ids) and logits.npz (an array GROUP-RUN for each run)."""
    import numpy as np
    import torch

    wanted, config = plan(checkpoint, remote_code)
    groups = [(wanted.layers, wanted.runs), *([(wanted.deeper_layers, wanted.deeper)] if wanted.deeper else [])]
    count = max(run.tokens for _, runs in groups for run in runs)
    arrays: list[tuple[str, Any]] = []
    ids: list[int] = []
    for number, (layers, runs) in enumerate(groups):
        events.progress("loading the checkpoint")
        with first_layers(checkpoint, layers, wanted.of, linked=True) as folder, torch.inference_mode():
            model = _loaded(folder, layers, wanted.of, remote_code)
            rows = model.get_input_embeddings().weight.shape[0]
            ids = ids or token_ids(checkpoint, count, min(rows, fields.integer(config, "vocab_size") or rows), remote_code)
            events.progress("computing logits")
            found = logits(model, ids, runs, wanted.joined)
            arrays += [(f"{number}-{place}", array) for place, array in enumerate(found)]
            del model
    np.savez(files / LOGITS, **dict(arrays))
    checked = Checked(
        of=wanted.of,
        joined=wanted.joined,
        ids=tuple(ids),
        groups=tuple(
            CheckedGroup(layers=layers, pruned=positions_to_check.needs_pruned_head(runs, config), runs=runs) for layers, runs in groups
        ),
        not_checked=wanted.not_checked,
    )
    (files / CHECK).write_text(json.dumps(checked.model_dump(mode="json")) + "\n", encoding="utf-8", newline="\n")
    lengths = tuple(run.tokens for run in wanted.runs)
    return LogitsResult(layers=wanted.layers, of=wanted.of, inputs=lengths, not_checked=wanted.not_checked)


def run(request: LogitsRequest) -> LogitsResult:
    """Write the logits."""
    hermetic.leave_out("sklearn", "boto3")
    with start.own_modules():
        events.progress("importing transformers")
        return compute(request.checkpoint, request.files, request.remote_code)


if __name__ == "__main__":
    start.run(run, LogitsRequest)
