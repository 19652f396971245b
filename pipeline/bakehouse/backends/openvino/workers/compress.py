"""Makes one precision of an exported OpenVINO model: int8 and 4 bits with NNCF, fp16 and fp32 by conversion."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from bakehouse.backends.openvino import parts
from bakehouse.backends.openvino.quantization import Scope
from bakehouse.backends.openvino.seams import Compression, CompressRequest, CompressResult, FloatSpec, FourBitSpec, Int8Spec
from bakehouse.backends.openvino.verify import primary
from bakehouse.backends.openvino.workers import export
from bakehouse.child import events, mapped, start


def arguments(spec: Int8Spec | FourBitSpec, left_out: Sequence[str] = ()) -> dict[str, object]:
    """Every argument of `nncf.compress_weights` but the model and the data set; the 8-bit modes take no other than these.

    `left_out` names nodes to ignore besides those of the recipe. Nodes of `backup_scope` are ignored, too: see `quantize`.
    """
    import nncf

    backup = spec.backup_scope if isinstance(spec, FourBitSpec) else None
    made: dict[str, object] = {
        "mode": nncf.CompressWeightsMode(primary(spec)),
        "ratio": spec.ratio if isinstance(spec, FourBitSpec) else 1.0,
        "group_size": spec.group_size if isinstance(spec, FourBitSpec) else -1,
        "ignored_scope": _ignored((spec.ignored_scope, backup), left_out),
    }
    if not isinstance(spec, FourBitSpec):
        return made
    advanced = nncf.AdvancedCompressionParameters(group_size_fallback_mode=nncf.GroupSizeFallbackMode(spec.group_size_fallback))
    made |= {name: getattr(spec, name) for name in ("all_layers", "awq", "scale_estimation", "gptq", "lora_correction")}
    return made | {
        "sensitivity_metric": nncf.SensitivityMetric(spec.sensitivity_metric),
        "backup_mode": nncf.BackupMode(spec.backup_precision),
        "advanced_parameters": advanced,
    }


def _ignored(scopes: Iterable[Scope | None], left_out: Sequence[str]) -> Any:
    """All of this together as NNCF takes it; None for nothing."""
    import nncf

    given = [scope for scope in scopes if scope is not None]
    names = [*(name for scope in given for name in scope.names), *left_out]
    patterns = [pattern for scope in given for pattern in scope.patterns]
    types = [kind for scope in given for kind in scope.types]
    if not (names or patterns or types):
        return None
    return nncf.IgnoredScope(names=names, patterns=patterns, types=types, validate=True)


class Skips(logging.Handler):
    """Collects what NNCF leaves out with no more than a line in its log: AWQ, where the model has no pattern for it."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if "will be skipped" in record.getMessage():
            self.messages.append(record.getMessage())


def quantize(
    model: Any, spec: Int8Spec | FourBitSpec, calibration: Path | None = None, tokenizer: Path | None = None
) -> tuple[Any, CompressResult]:
    """The model with NNCF's weight compression, and marked as optimum-intel marks one."""
    events.progress("importing nncf")
    import nncf
    from nncf.common.logging import nncf_logger

    from bakehouse.backends.openvino.workers import progress as openvino_progress

    data: dict[str, object] = {}
    samples = None
    if calibration is not None and tokenizer is not None and isinstance(spec, FourBitSpec) and spec.calibration is not None:
        from bakehouse.backends.openvino.workers import calibration as openvino_calibration

        samples = openvino_calibration.samples(model, calibration, tokenizer, spec.calibration)
        data = {"dataset": nncf.Dataset(samples), "subset_size": len(samples)}
    openvino_progress.follow()
    nncf_logger.addHandler(skips := Skips())
    events.progress("compressing weights")
    tables: list[str] = []
    try:
        try:
            made = nncf.compress_weights(model, **arguments(spec), **data)
        except nncf.InvalidGroupSizeError as error:
            if not (tables := rotary(str(error))):
                raise
            made = nncf.compress_weights(model, **arguments(spec, tables), **data)
        made = backed_up(made, spec, tables)
    except nncf.InvalidGroupSizeError as error:
        remedy = "Choose another group_size, or a group_size_fallback."
        events.refuse("The group size does not divide every channel.", remedy, str(error).splitlines())
    except nncf.ValidationError as error:
        events.refuse("NNCF refuses the options.", "Correct the quantization in the recipe.", str(error).splitlines())
    mark(made, nncf.__version__)
    return made, CompressResult(calibration_samples=None if samples is None else len(samples), skipped=tuple(skips.messages))


def backed_up(model: Any, spec: Int8Spec | FourBitSpec, left_out: Sequence[str]) -> Any:
    """The compressed model with what `backup_scope` names in 8 bits: a second pass, which takes only what is still in floating point.

    NNCF has no option for that (3.4.0). The model keeps the record of the first pass.
    """
    import nncf

    if not isinstance(spec, FourBitSpec) or spec.backup_scope is None:
        return model
    record = model.get_rt_info("nncf").value
    mode = nncf.CompressWeightsMode(spec.backup_precision)
    made = nncf.compress_weights(model, mode=mode, ignored_scope=_ignored((spec.ignored_scope,), left_out))
    made.set_rt_info(record, "nncf")
    return made


def rotary(error: str) -> list[str]:
    """The nodes that no group fits, by NNCF's words, if all are the frequencies of rotary embeddings, else none.

    Of a Cohere model NNCF 3.4 takes the MatMul of positions and frequencies for a layer with channels of one weight.
    """
    failed: list[str] = re.findall(r'"([^"]+)" \(channel size', error)
    return failed if all("rotary_emb" in name for name in failed) else []


def mark(model: Any, version: str) -> None:
    """What optimum-intel writes into a quantized model, and the runtime heeds: the KV cache may be 8 bits again, and which NNCF it was."""
    if model.has_rt_info(["runtime_options", "KV_CACHE_PRECISION"]):
        runtime = model.get_rt_info("runtime_options").value
        runtime.pop("KV_CACHE_PRECISION")
        model.set_rt_info(runtime, "runtime_options")
    model.set_rt_info(version, ["optimum", "nncf_version"])


def run(request: CompressRequest) -> CompressResult:
    """Fill `files` with every model of the export, {xml,bin}, and openvino_config.json."""
    with mapped.kept_small(request.export):
        results = [_compressed(xml, request) for xml in export.models(request.export)]
    text = json.dumps(config(request.compression), indent=2, sort_keys=True) + "\n"
    (request.files / "openvino_config.json").write_text(text, encoding="utf-8", newline="\n")
    skipped = tuple(message for one in results for message in one.skipped)
    return CompressResult(calibration_samples=results[0].calibration_samples, skipped=skipped)


def _compressed(xml: Path, request: CompressRequest) -> CompressResult:
    """One model of an export; its weights are mapped, not read."""
    import openvino as ov

    events.progress("reading the model")
    model, spec, result = (
        ov.Core().read_model(xml),
        parts.spec_of(export.name_of(xml, request.export), request.compression),
        CompressResult(),
    )
    if isinstance(spec, FloatSpec):
        from bakehouse.backends.openvino.workers import floats as openvino_floats

        openvino_floats.change(model, "f16" if spec.weights == "fp16" else "f32")
    else:
        model, result = quantize(model, spec, request.calibration, request.tokenizer)
    events.progress("saving the model")
    target = request.files / xml.relative_to(request.export)
    target.parent.mkdir(exist_ok=True)
    ov.save_model(model, target, compress_to_fp16=spec.weights == "fp16")
    return result


def config(spec: Compression) -> dict[str, JsonValue]:
    """What optimum-intel's OVConfig reads back. Its own command writes that file with no facts in it (2.1.0)."""
    return {
        "dtype": spec.weights,
        "input_info": None,
        "optimum_version": metadata.version("optimum"),
        "quantization_config": None if isinstance(spec, FloatSpec) else _quantization_config(spec),
        "save_onnx_model": False,
        "transformers_version": metadata.version("transformers"),
    }


def _quantization_config(spec: Int8Spec | FourBitSpec) -> dict[str, JsonValue]:
    """What OVConfig names quantization_config, in the names of OVWeightQuantizationConfig."""
    options: dict[str, JsonValue] = spec.model_dump(mode="json")
    names = ("ratio", "group_size", "group_size_fallback", "all_layers", "backup_precision", "sensitivity_metric")
    kept = (*names, "scale_estimation", "gptq", "lora_correction", "ignored_scope")
    return {
        "dtype": spec.weights,
        "bits": 4 if isinstance(spec, FourBitSpec) else 8,
        "sym": bool(spec.symmetric),
        **{name: options[name] for name in kept if name in options},
        "quant_method": "awq" if isinstance(spec, FourBitSpec) and spec.awq else "default",
        **({"num_samples": spec.calibration.num_samples} if isinstance(spec, FourBitSpec) and spec.calibration else {}),
    }


if __name__ == "__main__":
    start.run(run, CompressRequest)
