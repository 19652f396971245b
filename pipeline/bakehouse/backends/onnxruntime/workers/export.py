"""Makes an ONNX graph of a checkpoint, in float32, with torch's exporter, and finds every weight of it in the checkpoint again.

The exporter is the one that traces (`dynamo=False`): the other one needs onnxscript, which no part of Bakehouse does.
"""

from __future__ import annotations

import hashlib
import inspect
import tempfile
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from bakehouse.backends.onnxruntime.seams import GRAPH, OUTPUTS, ExportRequest, ExportResult, Task
from bakehouse.backends.onnxruntime.workers import graphs
from bakehouse.backends.onnxruntime.workers.tokenizer import refuse_without_padding
from bakehouse.child import events, start
from bakehouse.tasks.embeddings.workers import transformers_embed
from bakehouse.tasks.reranker.workers import transformers_rerank

_OPSET = 17  # the first with LayerNormalization
_EXAMPLES = ("A text to trace the model with.", "Another one, which is so much longer that the first one needs padding.")


def run(request: ExportRequest) -> ExportResult:
    """Fill `files` with the graph."""
    with start.own_modules():
        events.progress("loading the checkpoint")
        import torch
        from transformers import AutoTokenizer

        load = transformers_embed.load if request.task == "embeddings" else transformers_rerank.load
        model = load(request.checkpoint, remote_code=request.remote_code, dtype=torch.float32)
        _with_traceable_masks(model)
        tokenizer = AutoTokenizer.from_pretrained(request.checkpoint, local_files_only=True, trust_remote_code=request.remote_code)
        given = _inputs(model, tokenizer, request.task)
        events.progress("tracing and saving the model")
        _trace(model, given, OUTPUTS[request.task], request.files / GRAPH)
        events.progress("comparing its weights with the checkpoint's")
        return _compared(model, request.files / GRAPH, tuple(given))


def _with_traceable_masks(model: Any) -> None:
    """Have the model compute its masks from the lengths of its inputs, which are tensors while it is traced.

    transformers 5.5 takes a traced length for positions (sdpa_mask in masking_utils.py) and ends with an IndexError.
    """
    import torch
    from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS

    def mask(*, attention_mask: Any, mask_function: Any, dtype: Any = torch.float32, **others: Any) -> Any:
        at, first = torch.arange(attention_mask.shape[1]), torch.zeros(1, 1, 1, 1, dtype=torch.long)
        allowed = mask_function(first, first, at[None, None, :, None], at[None, None, None, :])
        allowed = allowed & attention_mask[:, None, None, :].to(torch.bool)
        return torch.where(allowed, 0.0, torch.finfo(dtype).min)

    ALL_MASK_ATTENTION_FUNCTIONS.register("eager", mask)
    model.set_attn_implementation("eager")
    model.config.use_cache = False


def _inputs(model: Any, tokenizer: Any, task: Task) -> dict[str, Any]:
    """What the tokenizer makes of two texts, or of a query with each, as far as the model takes it."""
    pairs = () if task == "embeddings" else ([_EXAMPLES[0]] * len(_EXAMPLES),)
    refuse_without_padding(tokenizer)
    made = tokenizer(*pairs, list(_EXAMPLES), return_tensors="pt", padding=True)
    taken = inspect.signature(model.forward).parameters
    return {name: value for name, value in made.items() if name in taken}


def _trace(model: Any, given: Mapping[str, Any], output: str, path: Path) -> None:
    import onnx
    import torch

    class Traced(torch.nn.Module):  # type: ignore[misc]
        """The model with its inputs in order, and one output."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, *values: Any) -> Any:
            return self.model(**dict(zip(given, values, strict=True)))[output]

    axes = {name: {0: "batch_size", 1: "sequence_length"} for name in given}
    axes[output] = {0: "batch_size"} | ({1: "sequence_length"} if output == OUTPUTS["embeddings"] else {})
    with tempfile.TemporaryDirectory(dir=path.parent) as folder, torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the exporter is deprecated, and each place where Python decides by a traced number
        torch.onnx.export(
            Traced(), tuple(given.values()), f"{folder}/{GRAPH}", input_names=list(given), output_names=[output], dynamic_axes=axes,
            opset_version=_OPSET, dynamo=False,
        )  # fmt: skip
        made = onnx.load(f"{folder}/{GRAPH}")
        _without_aliases(made.graph)
        graphs.save(made, path)


def _without_aliases(graph: Any) -> None:
    """Have the operators read weights themselves: the exporter puts an Identity between where layers share one (ALBERT)."""
    weights = {one.name for one in graph.initializer}
    aliases = [node for node in graph.node if node.op_type == "Identity" and node.input[0] in weights]
    names = {node.output[0]: node.input[0] for node in aliases}
    for node in aliases:
        graph.node.remove(node)
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]


def _compared(model: Any, path: Path, inputs: tuple[str, ...]) -> ExportResult:
    """Which weights of the graph are none of the model's, also not transposed, and which of the model's it lacks."""
    own = {name: value.detach().numpy() for name, value in model.named_parameters() if value.ndim == 2}
    digests = {digest: name for name, value in own.items() for digest in _digests(value, value.T)}
    found = {name: next((digests[one] for one in _digests(value) if one in digests), None) for name, value in graphs.values(path).items()}
    used = set(found.values())
    graph = graphs.read(path)
    matrices = {one.name for one in graph.matrices}
    return ExportResult(
        graph=graph,
        inputs=inputs,
        strange=tuple(sorted(name for name, of in found.items() if of is None and name in matrices)),
        left_out=tuple(sorted(name for name in own if name not in used)),
    )


def _digests(*arrays: Any) -> Iterable[tuple[tuple[int, ...], str]]:
    """Shape and content of arrays, to find equal ones by."""
    import numpy as np

    for one in arrays:
        yield one.shape, hashlib.sha256(np.ascontiguousarray(one).tobytes()).hexdigest()


if __name__ == "__main__":
    start.run(run, ExportRequest)
