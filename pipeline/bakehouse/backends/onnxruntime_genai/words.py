"""A build's options as the model builder has them on its command line or as arguments of its functions. Pure."""

from __future__ import annotations

from pydantic import JsonValue

from bakehouse.backends.onnxruntime_genai.seams import BuildSpec
from bakehouse.backends.onnxruntime_genai.workers import plan as ort_plan

_CAPTURE = {"cuda": "enable_cuda_graph", "dml": "enable_dml_graph", "webgpu": "enable_webgpu_graph"}
_RENAMED = {"symmetric": "is_symmetric", "algorithm": "algo_config"}
_JOINED = {"op_types_to_quantize": "/", "nodes_to_exclude": ","}


def extra_options(spec: BuildSpec) -> tuple[str, ...]:
    """KEY=VALUE words of `--extra_options` for a model, all of them spelled out, in the order of their names.

    The builder ignores names that it does not know (0.18.0, parse_extra_options), so only these are ever written.
    """
    quantization: dict[str, JsonValue] = spec.quantization.model_dump(mode="json", exclude={"weights"})
    options = {name: value for name, value in quantization.items() if value not in (None, [])}
    if spec.graph_capture is not None:
        options[_CAPTURE[spec.execution_provider]] = spec.graph_capture
    if spec.use_webgpu_fp32:
        options["use_webgpu_fp32"] = True
    if spec.remote_code:
        options["hf_remote"] = True
    return tuple(f"{_RENAMED.get(name, name)}={_word(name, value)}" for name, value in sorted(options.items()))


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


def upstream(spec: BuildSpec, planned: ort_plan.Plan | None = None) -> str:
    """The builder's own command line that makes the same model.onnx and model.onnx.data; what it has no words for is in a comment."""
    words = ["python -m onnxruntime_genai.models.builder -i MODEL -o OUT -c CACHE"]
    words.append(f"-p {spec.quantization.weights} -e {spec.execution_provider}")
    extra = (*extra_options(spec), *(planned.words if planned else ()))
    more = planned.by_hand if planned else ()
    return " ".join([*words, *(("--extra_options", *extra) if extra else ()), *((f"# {', '.join(more)}",) if more else ())])
