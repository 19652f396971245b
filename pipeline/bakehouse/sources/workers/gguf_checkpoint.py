"""Turns a GGUF file into a Hugging Face checkpoint: bfloat16 safetensors, configuration, tokenizer, chat template, end tokens.

Reading the weights is transformers' work. What that reader skips in silence (a key or a tensor that it has no place
for, a weight that the file does not hold) is refused here, because the result would be another model.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection
from pathlib import Path
from typing import Any

from bakehouse.child import events, start
from bakehouse.formats import gguf_faults
from bakehouse.formats.gguf_faults import ANOTHER_SOURCE
from bakehouse.formats.gguf_header import Metadata
from bakehouse.sources.seams import GGUFRequest, GGUFResult
from bakehouse.sources.workers import checkpoint_files, gguf_config
from bakehouse.tasks.text_generation.workers import chats


def run(request: GGUFRequest) -> GGUFResult:
    """Make the checkpoint of the GGUF file."""
    gguf, files = request.gguf, request.files
    events.progress("reading the GGUF's metadata")
    reader = opened(gguf)
    metadata = {key: field.contents() for key, field in reader.fields.items()}
    for what, details in gguf_faults.faults(metadata):
        events.refuse(what, ANOTHER_SOURCE, details)
    refuse_unknown_types(reader)
    from bakehouse.sources.workers import gguf_tokenizer

    tokenizer = gguf_tokenizer.build(metadata)
    ends = end_tokens(tokenizer, metadata)
    events.progress("reading the weights")
    model = load(gguf, reader, metadata)
    name_tokens(model, tokenizer, ends)
    events.progress("writing the checkpoint")
    model.save_pretrained(files, max_shard_size="5GB")
    tokenizer.save_pretrained(files)
    tidy(files)
    for name in checkpoint_files.licences(path.name for path in gguf.parent.iterdir() if path.is_file()):
        shutil.copyfile(gguf.parent / name, files / name)
    parameters = sum(weight.numel() for weight in model.parameters())
    return GGUFResult(architecture=metadata["general.architecture"], end_tokens=tuple(ends), parameters=parameters)


def opened(gguf: Path) -> Any:
    """The file as `gguf` reads it, its tensors not yet in memory."""
    from gguf import GGUFReader

    try:
        return GGUFReader(gguf)
    except (ValueError, IndexError) as error:  # what the reader raises for a wrong magic number and for a file cut short
        events.refuse(f"{gguf.name} is not a complete GGUF file: {error}.", "Check the file in the recipe's source.")


def refuse_unknown_types(reader: Any) -> None:
    """End here if a tensor is stored in a way that `gguf` cannot turn into numbers."""
    import numpy
    from gguf import GGML_QUANT_SIZES, quants

    unknown: dict[str, str] = {}
    for tensor in reader.tensors:
        try:
            quants.dequantize(numpy.zeros(GGML_QUANT_SIZES[tensor.tensor_type][1], numpy.uint8), tensor.tensor_type)
        except NotImplementedError:
            unknown.setdefault(tensor.tensor_type.name, tensor.name)
    if unknown:
        examples = [f"{kind}: {name}" for kind, name in sorted(unknown.items())]
        events.refuse("The GGUF stores weights in ways that cannot be dequantized.", ANOTHER_SOURCE, examples)


def load(gguf: Path, reader: Any, metadata: Metadata) -> Any:
    """The model in bfloat16; refuses a file whose tensors are not exactly the model's weights."""
    import torch
    from gguf import quants
    from transformers import AutoConfig, AutoModelForCausalLM

    describing = {
        tensor.name: quants.dequantize(tensor.data, tensor.tensor_type)
        for tensor in reader.tensors
        if tensor.name in gguf_config.DESCRIBING
    }
    config = AutoConfig.from_pretrained(gguf.parent, gguf_file=gguf.name, local_files_only=True)
    gguf_config.complete(config, metadata, describing)
    refuse_other_weights(reader, config, describing)
    model, report = AutoModelForCausalLM.from_pretrained(
        gguf.parent, gguf_file=gguf.name, config=config, dtype=torch.bfloat16, output_loading_info=True, local_files_only=True
    )
    if missing := sorted(report["missing_keys"]):
        events.refuse("The GGUF lacks weights of the model.", ANOTHER_SOURCE, missing)
    return model


def refuse_other_weights(reader: Any, config: Any, describing: Collection[str]) -> None:
    """End here if the file has weights that the model has no place for, or of another size."""
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.modeling_gguf_pytorch_utils import TENSOR_PROCESSORS, TensorProcessor, get_gguf_hf_weights_map

    with torch.device("meta"):
        empty = AutoModelForCausalLM.from_config(config)
    processor = TENSOR_PROCESSORS.get(config.model_type, TensorProcessor)(config={})
    places, weights = get_gguf_hf_weights_map(empty, processor), empty.state_dict()
    tensors = [tensor for tensor in reader.tensors if tensor.name not in describing]
    if homeless := sorted(tensor.name for tensor in tensors if tensor.name not in places):
        events.refuse("The GGUF holds weights that the model has no place for.", ANOTHER_SOURCE, homeless)
    shapes = {tensor.name: [int(size) for size in tensor.shape][::-1] for tensor in tensors}
    if other := [name for name, shape in shapes.items() if shape != list(weights[places[name]].shape)]:
        lines = [f"{name}: {shapes[name]}, and {list(weights[places[name]].shape)} follows from the metadata" for name in other[:8]]
        events.refuse("The GGUF's weights have other sizes than its metadata says.", ANOTHER_SOURCE, lines)


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
            config[name] = gguf_config.shortest(config[name])
    write_json(files / "config.json", config)
    # transformers 5 writes the class TokenizersBackend, which 4 does not have; both read the older name.
    tokenizer = json.loads((files / "tokenizer_config.json").read_text(encoding="utf-8"))
    tokenizer["tokenizer_class"] = "PreTrainedTokenizerFast"
    tokenizer.pop("backend", None)
    write_json(files / "tokenizer_config.json", tokenizer)


def write_json(path: Path, value: Any) -> None:
    """Write `value` in one fixed form."""
    path.write_text(json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8", newline="\n")


if __name__ == "__main__":
    start.run(run, GGUFRequest)
