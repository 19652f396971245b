"""A build's options as the model builder has them on its command line or as arguments of its functions. Pure."""

from __future__ import annotations

import json
import shlex

from pydantic import JsonValue

from bakehouse.backends.onnxruntime_genai.quantization import OrtInt4
from bakehouse.backends.onnxruntime_genai.seams import BuildSpec
from bakehouse.backends.onnxruntime_genai.workers import plan as ort_plan

_CAPTURE = {"cuda": "enable_cuda_graph", "dml": "enable_dml_graph", "webgpu": "enable_webgpu_graph"}
_RENAMED = {"symmetric": "is_symmetric", "algorithm": "algo_config"}
_JOINED = {"op_types_to_quantize": "/", "nodes_to_exclude": ","}


def extra_options(spec: BuildSpec) -> tuple[str, ...]:
    """KEY=VALUE words of `--extra_options` for a model, all of them spelled out, in the order of their names.

    The builder ignores names that it does not know (0.18.0, parse_extra_options), so only these are ever written.
    """
    quantization: dict[str, JsonValue] = spec.quantization.model_dump(mode="json", exclude={"weights", "int8_nodes", "ratio"})
    options = {name: value for name, value in quantization.items() if value not in (None, [])}
    if spec.graph_capture is not None:
        options[_CAPTURE[spec.execution_provider]] = spec.graph_capture
    if spec.use_webgpu_fp32:
        options["use_webgpu_fp32"] = True
    if spec.remote_code:
        options["hf_remote"] = True
    return tuple(f"{_RENAMED.get(name, name)}={_word(name, value)}" for name, value in sorted(options.items()))


def target_options(spec: BuildSpec, ties: bool) -> dict[str, JsonValue]:
    """What the builder is given as JSON besides: the nodes that get 8 bits by their names, for which it has no KEY=VALUE; {} for none.

    Such a list takes the place of the one that the builder makes of KEY=VALUE words, so all exceptions are in it (0.18.0,
    normalize_target_quant_config in builder_config.py); of entries for one node the first counts. Nor does it see then that an embedding
    which is the last MatMul's is quantized with it: `ties` is whether the model's is.
    """
    requested = spec.quantization
    if not isinstance(requested, OrtInt4) or not requested.int8_nodes:
        return {}
    exceptions: list[JsonValue] = [{"match": {"name": name}, "exclude": True} for name in requested.nodes_to_exclude]
    exceptions += [{"match": {"name": name}, "type": "int8"} for name in requested.int8_nodes]
    mixed = requested.matmul_mixed_precision
    exceptions += [{"match": {"preset": "last_matmul"}, "type": mixed.last_matmul}] if mixed and mixed.last_matmul else []
    weights: dict[str, JsonValue] = {"overrides": exceptions}
    if ties if requested.shared_embeddings is None else requested.shared_embeddings:
        weights["op_types"] = ["MatMul", "Gather"]
    return {"quant_config": {"weights": weights}}


def _word(name: str, value: JsonValue) -> str:
    match value:
        case bool():
            return str(value).lower()
        case dict():
            return ",".join(f"{group}:{kind}" for group, kind in value.items() if kind)
        case list():
            return _JOINED[name].join(map(str, value))
        case _:
            return str(value)


def upstream(spec: BuildSpec, planned: ort_plan.Plan | None = None, ties: bool = False) -> str:
    """The builder's own command line that makes the same model.onnx and model.onnx.data; what it has no words for is in a comment."""
    words = ["python -m onnxruntime_genai.models.builder -i MODEL -o OUT -c CACHE"]
    words.append(f"-p {spec.quantization.weights} -e {spec.execution_provider}")
    extra = (*extra_options(spec), *(planned.words if planned else ()))
    more = planned.by_hand if planned else ()
    as_json = target_options(spec, ties)
    words += ["--builder_config_version 2 --target_options", shlex.quote(json.dumps(as_json))] if as_json else []
    return " ".join([*words, *(("--extra_options", *extra) if extra else ()), *((f"# {', '.join(more)}",) if more else ())])
