"""Turns a GGUF file into a Hugging Face checkpoint: bfloat16 safetensors, configuration, tokenizer, chat template, end tokens.

Reading the weights is transformers' work. What that reader skips in silence (a key or a tensor that it has no place
for, a weight that the file does not hold) is refused here, because the result would be another model.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from bakehouse.child import events, start
from bakehouse.formats import gguf_header
from bakehouse.formats.gguf_header import ANOTHER_SOURCE, Metadata
from bakehouse.sources.seams import GGUFRequest, GGUFResult
from bakehouse.sources.workers import checkpoint_files
from bakehouse.tasks.text_generation.workers import chats


def run(request: GGUFRequest) -> GGUFResult:
    """Make the checkpoint of the GGUF file."""
    gguf, files = request.gguf, request.files
    events.progress("reading the GGUF's metadata")
    metadata, tensors = read(gguf)
    refuse_what_is_not_carried(metadata, tensors)
    from bakehouse.sources.workers import gguf_tokenizer

    tokenizer = gguf_tokenizer.build(metadata)
    ends = end_tokens(tokenizer, metadata)
    events.progress("reading the weights")
    model = load(gguf)
    name_tokens(model, tokenizer, ends)
    events.progress("writing the checkpoint")
    model.save_pretrained(files, max_shard_size="5GB")
    tokenizer.save_pretrained(files)
    tidy(files)
    for name in checkpoint_files.licences(path.name for path in gguf.parent.iterdir() if path.is_file()):
        shutil.copyfile(gguf.parent / name, files / name)
    parameters = sum(weight.numel() for weight in model.parameters())
    return GGUFResult(architecture=metadata["general.architecture"], end_tokens=tuple(ends), parameters=parameters)


def read(gguf: Path) -> tuple[Metadata, list[str]]:
    """All key-value pairs of the file, and the names of its tensors."""
    from gguf import GGUFReader

    try:
        reader = GGUFReader(gguf)
    except (ValueError, IndexError) as error:  # what the reader raises for a wrong magic number and for a file cut short
        events.refuse(f"{gguf.name} is not a complete GGUF file: {error}.", "Check the file in the recipe's source.")
    return {key: field.contents() for key, field in reader.fields.items()}, [tensor.name for tensor in reader.tensors]


def refuse_what_is_not_carried(metadata: Metadata, tensors: list[str]) -> None:
    """End here if the file says something that the reader would leave out."""
    for what, details in gguf_header.faults(metadata):
        events.refuse(what, ANOTHER_SOURCE, details)
    if "rope_freqs.weight" in tensors:
        lost = ["rope_freqs.weight (frequencies of the rotary embedding)"]
        events.refuse("The GGUF says things about the model that its reader leaves out.", ANOTHER_SOURCE, lost)


def load(gguf: Path) -> Any:
    """The model in bfloat16; refuses a file whose tensors are not exactly the model's weights."""
    import torch
    from gguf import GGUFReader
    from transformers import AutoModelForCausalLM
    from transformers.modeling_gguf_pytorch_utils import TENSOR_PROCESSORS, TensorProcessor, get_gguf_hf_weights_map

    model, report = AutoModelForCausalLM.from_pretrained(
        gguf.parent, gguf_file=gguf.name, dtype=torch.bfloat16, output_loading_info=True, local_files_only=True
    )
    places = get_gguf_hf_weights_map(model, TENSOR_PROCESSORS.get(model.config.model_type, TensorProcessor)(config={}))
    homeless = sorted({tensor.name for tensor in GGUFReader(gguf).tensors} - set(places))
    if homeless:
        events.refuse("The GGUF holds weights that the model has no place for.", ANOTHER_SOURCE, homeless)
    missing = sorted(report["missing_keys"])
    if missing:
        events.refuse("The GGUF lacks weights of the model.", ANOTHER_SOURCE, missing)
    return model


def end_tokens(tokenizer: Any, metadata: Metadata) -> list[int]:
    """Numbers of the tokens that end an answer: end-of-sequence first, then end-of-turn where that is another one."""
    ends = [
        metadata[key]
        for key in ("tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id")
        if key in metadata
    ]
    refuse_template(tokenizer)
    turn = chats.turn_end(tokenizer)
    if turn is not None:
        ends.append(turn)
    if not ends:
        events.refuse("The GGUF names no token that ends an answer, and its chat template ends answers without one.", ANOTHER_SOURCE)
    if tokenizer.eos_token is None:
        tokenizer.eos_token = tokenizer.convert_ids_to_tokens(ends[0])
    return list(dict.fromkeys(ends))


def refuse_template(tokenizer: Any) -> None:
    """End here if the chat template takes no chat at all."""
    reason = ""
    for chat in chats.CHATS if tokenizer.chat_template else ():
        try:
            chats.reference_prompt(tokenizer, chat)
            return
        except Exception as error:  # of a template's own, of a type, of a missing field
            reason = reason or str(error)
    if reason:
        events.refuse(f"The GGUF's chat template cannot be rendered: {reason}.", ANOTHER_SOURCE)


def name_tokens(model: Any, tokenizer: Any, ends: list[int]) -> None:
    """Put the tokenizer's own special tokens into the configuration, in place of the architecture's defaults."""
    from transformers import GenerationConfig

    model.config.bos_token_id = tokenizer.bos_token_id
    model.config.pad_token_id = tokenizer.pad_token_id
    model.config.eos_token_id = ends[0]
    model.generation_config = GenerationConfig(
        bos_token_id=tokenizer.bos_token_id, pad_token_id=tokenizer.pad_token_id, eos_token_id=ends if len(ends) > 1 else ends[0]
    )


def tidy(files: Path) -> None:
    """Take out of the configuration files what only says how they came about, and what older releases cannot read."""
    config = json.loads((files / "config.json").read_text(encoding="utf-8"))
    config.pop("_model_name_or_path", None)  # the GGUF's general.name, which is no path
    config.pop("unk_token_id", None)  # belongs to the tokenizer
    for name in ("rms_norm_eps", "rope_theta"):
        if name in config:
            config[name] = shortest(config[name])
    write_json(files / "config.json", config)
    # transformers 5 writes the class TokenizersBackend, which 4 does not have; both read the older name.
    tokenizer = json.loads((files / "tokenizer_config.json").read_text(encoding="utf-8"))
    tokenizer["tokenizer_class"] = "PreTrainedTokenizerFast"
    tokenizer.pop("backend", None)
    write_json(files / "tokenizer_config.json", tokenizer)


def shortest(number: float) -> float:
    """The shortest decimal that is the same in float32, which is what a GGUF holds: 1e-05 for 9.999999747378752e-06."""
    import numpy

    return float(str(numpy.float32(number)))


def write_json(path: Path, value: Any) -> None:
    """Write `value` in one fixed form."""
    path.write_text(json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8", newline="\n")


if __name__ == "__main__":
    start.run(run, GGUFRequest)
