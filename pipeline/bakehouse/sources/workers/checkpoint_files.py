"""Which files of a model repository or directory make a checkpoint: the same rules for the hub and for a local directory.

Weights are safetensors or nothing: a pickle can run any code while it is read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from bakehouse.formats import config_json, json_text, safetensors_files
from bakehouse.sources.workers import other_formats, pipeline_files
from bakehouse.sources.workers.unfit import Unfit as Unfit

if TYPE_CHECKING:
    from pydantic import JsonValue

BESIDE_WEIGHTS = frozenset(
    {
        "config.json",
        "generation_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "tokenizer.model",
        "spiece.model",
        "sentencepiece.bpe.model",
        "vocab.json",
        "vocab.txt",
        "merges.txt",
        "special_tokens_map.json",
        "added_tokens.json",
        "chat_template.jinja",
        "chat_template.json",
        # of models that sentence-transformers reads: how the states of tokens become one vector
        "modules.json",
        "sentence_bert_config.json",
        "config_sentence_transformers.json",
        # of models that hear: how a recording becomes numbers
        "preprocessor_config.json",
        "processor_config.json",
    }
)
SENTENCE_MODULES = re.compile(r"\d+_(?:Pooling|Normalize|Dense)/config\.json")
TEMPLATES = re.compile(r"additional_chat_templates/[^/]+\.jinja")  # the other templates of a tokenizer that has several
# The weights of a checkpoint that has them only as pickles: a file, or an index of files (transformers' WEIGHTS_NAME).
PICKLED, PICKLED_INDEX = "pytorch_model.bin", "pytorch_model.bin.index.json"
ADAPTER, ADAPTER_CONFIG = "adapter_model.safetensors", "adapter_config.json"  # of a LoRA adapter, as peft writes it
LICENCE = re.compile(r"(?i)(?:licen[cs]e|notice|copying|use_policy)(?:[._-][^/]*)?")
PICKLE = re.compile(r"(?i).*\.(?:bin|pt|pth|ckpt|pkl|pickle)")
_COMPLETE = "Take a complete checkpoint, as the model's author published it."
NO_PICKLES = "The weights are safetensors, so convert_pickles would have no effect."
LEAVE_OUT = "Leave convert_pickles out of the recipe."


def belonging(path: Path) -> dict[str, Path]:
    """The files of a local source, by name: of a checkpoint directory, or one file (a GGUF with the licences next to it).

    Raises:
        Unfit: the directory is not a checkpoint. Whether its weights may be pickles, is for others to decide.
    """
    if path.is_file():
        others = [other.name for other in path.parent.iterdir() if other.is_file()] if path.suffix == ".gguf" else []
        return {name: path.parent / name for name in (path.name, *licences(others))}
    names = [other.name for other in path.iterdir() if other.is_file()]
    other_formats.refuse(names, lambda name: (path / name).read_bytes())
    if config_json.is_pipeline(path):
        return {name: path / name for name in (*pipeline_files.belonging(path), *licences(names))}
    inside = [*path.glob("*/*.jinja"), *path.glob("*_*/config.json")]
    names += [other.relative_to(path).as_posix() for other in inside if other.is_file()]
    tokenizer(names)
    wanted = {*beside_weights(names), first := weights(names, pickles=True)}
    if first in (safetensors_files.INDEX, PICKLED_INDEX):
        wanted |= {*shards(json_object((path / first).read_bytes(), first), names, first)}
    for name in sorted(wanted & {"config.json", "generation_config.json", "tokenizer_config.json"}):
        json_object((path / name).read_bytes(), name)
    return {name: path / name for name in sorted(wanted)}


def with_adapters(path: Path) -> dict[str, Path]:
    """`belonging`, or the files of a LoRA adapter.

    Raises:
        Unfit: the directory is neither.
    """
    names = [other.name for other in path.iterdir() if other.is_file()] if path.is_dir() else []
    if ADAPTER_CONFIG in names and not {safetensors_files.SINGLE, safetensors_files.INDEX} & set(names):
        return {name: path / name for name in adapter(names)}
    return belonging(path)


def adapter(names: Iterable[str]) -> tuple[str, ...]:
    """The files of a LoRA adapter; Unfit if its weights are not safetensors."""
    present = set(names)
    if ADAPTER not in present:
        raise Unfit(
            f"There is {ADAPTER_CONFIG}, and no {ADAPTER}.",
            "Take an adapter whose weights are safetensors; a pickle can run any code while it is read.",
            tuple(sorted(name for name in present if PICKLE.fullmatch(name))),
        )
    return (ADAPTER_CONFIG, ADAPTER, *licences(present))


def may_belong(name: str) -> bool:
    """Whether a file of this name at the top of a directory would be taken for part of a checkpoint."""
    weights = name.endswith(".safetensors") or name == safetensors_files.INDEX
    return weights or name in BESIDE_WEIGHTS or bool(LICENCE.fullmatch(name))


def json_object(raw: bytes, name: str) -> dict[str, JsonValue]:
    """The content of a JSON file of a checkpoint; Unfit if it is not a JSON object."""
    try:
        value = json_text.loads(raw)
    except ValueError as error:  # not JSON, or not even text
        raise Unfit(f"{name} is not JSON: {error}.", _COMPLETE) from error
    if not isinstance(value, dict):
        raise Unfit(f"{name} is not a JSON object.", _COMPLETE)
    return value


def one(file: str, names: Iterable[str]) -> str:
    """`file`, if it is among `names`; else an Unfit that shows the others of its sort."""
    present = set(names)
    if file not in present:
        suffix = PurePosixPath(file).suffix
        raise Unfit(
            f"The repository has no file {file} at that commit.",
            "Write the path of a file that is in the repository into the recipe.",
            sorted(name for name in present if name.endswith(suffix)),
        )
    return file


def licences(names: Iterable[str]) -> tuple[str, ...]:
    """The licence and notice files among `names`, at the top only."""
    return tuple(sorted(name for name in names if LICENCE.fullmatch(name)))


def beside_weights(names: Iterable[str]) -> tuple[str, ...]:
    """All files of a checkpoint but the weights; Unfit if there is no config.json."""
    present = set(names)
    if "config.json" not in present and config_json.PIPELINE in present:
        raise Unfit(
            "This is a pipeline of diffusers, which is taken from a folder only.",
            "Download it with `hf download REPO --revision COMMIT --local-dir FOLDER`, and let the source be `type: local, path: FOLDER`.",
        )
    if "config.json" not in present:
        raise Unfit(
            "There is no config.json, so this is not a transformers checkpoint.",
            "Let the recipe's source name a checkpoint in the Hugging Face layout, or a GGUF file.",
        )
    inside = {name for name in present if TEMPLATES.fullmatch(name) or SENTENCE_MODULES.fullmatch(name)}
    return tuple(sorted(present & BESIDE_WEIGHTS | inside | set(licences(present))))


def tokenizer(names: Iterable[str], code: Iterable[str] = ()) -> None:
    """Unfit if transformers can make no tokenizer of these files; of code of the repository's own nothing is known.

    vocab.json with merges.txt, as older repositories have them, is enough. A SentencePiece model alone is not: transformers 5.5 needs
    the package sentencepiece for it, and its conversion drops a leading space that SentencePiece keeps (LlamaTokenizer).
    """
    present = set(names)
    if "tokenizer.json" in present or {"vocab.json", "merges.txt"} <= present or list(code):
        return
    pieces = sorted(present & {"tokenizer.model", "spiece.model", "sentencepiece.bpe.model"})
    if "tekken.json" in present:
        raise Unfit(
            "There is no tokenizer.json, only tekken.json, which no runtime here reads: it is the tokenizer of Mistral's own tools.",
            "Take a repository of this model in the Hugging Face layout, with tokenizer.json.",
        )
    if pieces:
        raise Unfit(
            f"There is no tokenizer.json, only {pieces[0]}: a SentencePiece model alone is not read.",
            "Take a repository or a commit of this model that has tokenizer.json, or add one that its author made.",
        )
    raise Unfit("There is no tokenizer.json, so texts cannot be turned into tokens.", "Put the tokenizer's files with the weights.")


def weights(names: Iterable[str], *, pickles: bool = False) -> str:
    """The file that weights begin with, a single one or the index of several; Unfit if there is none.

    With `pickles` it may be the index of pickles or a single one, where there are no safetensors.
    """
    present = set(names)
    wanted: tuple[str, ...] = (safetensors_files.SINGLE, safetensors_files.INDEX, *((PICKLED, PICKLED_INDEX) if pickles else ()))
    for name in wanted:
        if name in present:
            return name
    if found := sorted(name for name in present if PICKLE.fullmatch(name)):
        raise only_pickles(found)
    others = sorted(name for name in present if name.endswith((".safetensors", ".gguf")))
    raise Unfit(
        f"There is neither {safetensors_files.SINGLE} nor {safetensors_files.INDEX}.",
        "Let the recipe's source name a safetensors checkpoint at the top of a repository, or one GGUF file.",
        others,
    )


def only_pickles(names: Iterable[str]) -> Unfit:
    """What is wrong with a checkpoint that has no other weights, where the recipe does not have them converted."""
    return Unfit(
        "The weights are pickles, which can run any code while they are read, and the repository has no safetensors.",
        "Take a repository or a commit with safetensors weights, or write `convert_pickles: true` into the recipe's source: "
        "they are then read as plain data and made safetensors.",
        tuple(names),
    )


def shards(index: Mapping[str, JsonValue], names: Iterable[str], of: str = safetensors_files.INDEX) -> tuple[str, ...]:
    """The shards that an index, the file `of`, names; Unfit if one is not among `names`, or is not a plain file of its kind."""
    present = set(names)
    try:
        listed = safetensors_files.shards(index)
    except safetensors_files.NotSafetensors as error:
        raise Unfit(f"{of} is not an index of weights: {error}.", _COMPLETE) from error
    suffix = ".bin" if of == PICKLED_INDEX else ".safetensors"
    strange = [name for name in listed if name not in present or "/" in name or not name.endswith(suffix)]
    if strange:
        raise Unfit(
            f"{of} names shards that are missing.",
            "Take another commit of the repository: this one is incomplete.",
            strange,
        )
    return listed


def remote_code(names: Iterable[str], listed: Mapping[str, str]) -> tuple[str, ...]:
    """The Python files that the recipe lists; Unfit if one is not among `names`."""
    lost = sorted(name for name in listed if name not in set(names) or "/" in name)
    if lost:
        raise Unfit(
            "The recipe's remote_code lists files that are not at the top of the repository.",
            "Write down the names as they are in the repository at that commit.",
            lost,
        )
    return tuple(sorted(listed))
