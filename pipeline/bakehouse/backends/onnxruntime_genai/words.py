"""What the model builder is told: a build's options as its own words, on its command line or to its functions. Pure."""

from __future__ import annotations

from typing import Any

from bakehouse.backends.onnxruntime_genai.workers import plan as ort_plan

_CAPTURE = {"cuda": "enable_cuda_graph", "dml": "enable_dml_graph", "webgpu": "enable_webgpu_graph"}
_RENAMED = {"symmetric": "is_symmetric", "algorithm": "algo_config"}
_JOINED = {"op_types_to_quantize": "/", "nodes_to_exclude": ","}


def extra_options(options: dict[str, Any]) -> tuple[str, ...]:
    """KEY=VALUE words of `--extra_options` for a step's options, all of them spelled out, in the order of their names.

    The builder ignores names that it does not know (0.18.0, parse_extra_options), so only these are ever said.
    """
    said = {name: value for name, value in options["quantization"].items() if name != "weights" and value not in (None, [], ())}
    if options["graph_capture"] is not None:
        said[_CAPTURE[options["execution_provider"]]] = options["graph_capture"]
    if options["remote_code"]:
        said["hf_remote"] = True
    return tuple(f"{_RENAMED.get(name, name)}={_word(name, value)}" for name, value in sorted(said.items()))


def _word(name: str, value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case dict():
            return ",".join(f"{group}:{kind}" for group, kind in value.items() if kind)
        case list():
            return _JOINED[name].join(value)
        case _:
            return str(value)


def upstream(options: dict[str, Any], planned: ort_plan.Plan | None = None) -> str:
    """The builder's own command line that makes the same model.onnx and model.onnx.data; what it has no words for is in a comment."""
    words = ["python -m onnxruntime_genai.models.builder -i MODEL -o OUT -c CACHE"]
    words.append(f"-p {options['quantization']['weights']} -e {options['execution_provider']}")
    extra = (*extra_options(options), *(planned.words if planned else ()))
    more = planned.by_hand if planned else ()
    return " ".join([*words, *(("--extra_options", *extra) if extra else ()), *((f"# {', '.join(more)}",) if more else ())])
