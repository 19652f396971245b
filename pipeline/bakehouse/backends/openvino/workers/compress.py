"""Makes one precision of an exported OpenVINO model: int8 and 4 bits with NNCF, fp16 and fp32 by conversion."""

from __future__ import annotations

import json
import logging
from importlib import metadata
from pathlib import Path
from typing import Any

from bakehouse.child import events, start

XML = "openvino_model.xml"


def arguments(options: dict[str, Any]) -> dict[str, Any]:
    """Every argument of `nncf.compress_weights` but the model and the data set; the 8-bit modes take no other than these."""
    import nncf

    weights, symmetric = options["weights"], options.get("symmetric")
    mode = {"int4": "int4_sym" if symmetric else "int4_asym", "int8": "int8_sym" if symmetric else "int8_asym"}.get(weights, weights)
    scope = options["ignored_scope"]
    told: dict[str, Any] = {
        "mode": nncf.CompressWeightsMode(mode),
        "ratio": options.get("ratio", 1.0),
        "group_size": options.get("group_size", -1),
        "ignored_scope": nncf.IgnoredScope(**{name: list(values) for name, values in scope.items()}, validate=True) if scope else None,
    }
    if weights == "int8":
        return told
    advanced = nncf.AdvancedCompressionParameters(group_size_fallback_mode=nncf.GroupSizeFallbackMode(options["group_size_fallback"]))
    told |= {name: options[name] for name in ("all_layers", "awq", "scale_estimation", "gptq", "lora_correction")}
    return told | {
        "sensitivity_metric": nncf.SensitivityMetric(options["sensitivity_metric"]),
        "backup_mode": nncf.BackupMode(options["backup_precision"]),
        "advanced_parameters": advanced,
    }


class Skips(logging.Handler):
    """Reports what NNCF leaves out with no more than a line in its log: AWQ, where the model has no pattern for it."""

    def emit(self, record: logging.LogRecord) -> None:
        if "will be skipped" in record.getMessage():
            events.result(skipped=[record.getMessage()])


def quantize(model: Any, options: dict[str, Any], calibration: Path | None, tokenizer: Path | None) -> Any:
    """The model with NNCF's weight compression, and marked as optimum-intel marks one."""
    events.progress("importing nncf")
    import nncf
    from nncf.common.logging import nncf_logger

    from bakehouse.backends.openvino.workers import progress as openvino_progress

    data: dict[str, Any] = {}
    if calibration is not None and tokenizer is not None:
        from bakehouse.backends.openvino.workers import calibration as openvino_calibration

        samples = openvino_calibration.samples(model, calibration, tokenizer, options["calibration"])
        events.result(calibration_samples=len(samples))
        data = {"dataset": nncf.Dataset(samples), "subset_size": len(samples)}
    openvino_progress.follow()
    nncf_logger.addHandler(Skips())
    events.progress("compressing weights")
    try:
        made = nncf.compress_weights(model, **arguments(options), **data)
    except nncf.InvalidGroupSizeError as error:
        remedy = "Choose another group_size, or a group_size_fallback."
        events.refuse("The group size does not divide every channel.", remedy, str(error).splitlines())
    except nncf.ValidationError as error:
        events.refuse("NNCF refuses the options.", "Correct the quantization in the recipe.", str(error).splitlines())
    mark(made, nncf.__version__)
    return made


def mark(model: Any, version: str) -> None:
    """What optimum-intel writes into a quantized model, and the runtime heeds: the KV cache may be 8 bits again, and which NNCF it was."""
    if model.has_rt_info(["runtime_options", "KV_CACHE_PRECISION"]):
        runtime = model.get_rt_info("runtime_options").value
        runtime.pop("KV_CACHE_PRECISION")
        model.set_rt_info(runtime, "runtime_options")
    model.set_rt_info(version, ["optimum", "nncf_version"])


def compress(export: Path, files: Path, options: dict[str, Any], calibration: Path | None, tokenizer: Path | None) -> None:
    """Fill `files` with openvino_model.{xml,bin} and openvino_config.json; the weights of `export` are mapped, not read."""
    import openvino as ov

    events.progress("reading the model")
    model = ov.Core().read_model(export / XML)
    target = options["weights"]
    if target == "fp16" or target == "fp32":
        from bakehouse.backends.openvino.workers import floats as openvino_floats

        openvino_floats.change(model, "f16" if target == "fp16" else "f32")
    else:
        model = quantize(model, options, calibration, tokenizer)
    events.progress("saving the model")
    ov.save_model(model, files / XML, compress_to_fp16=target == "fp16")
    (files / "openvino_config.json").write_text(
        json.dumps(config(options), indent=2, sort_keys=True) + "\n", encoding="utf-8", newline="\n"
    )


def config(options: dict[str, Any]) -> dict[str, Any]:
    """What optimum-intel's OVConfig reads back. Its own command writes that file with no facts in it (2.1.0)."""
    weights = options["weights"]
    quantized: dict[str, Any] | None = None
    if weights not in ("fp16", "fp32"):
        names = ("ratio", "group_size", "group_size_fallback", "all_layers", "backup_precision", "sensitivity_metric")
        methods = ("scale_estimation", "gptq", "lora_correction")
        quantized = {"dtype": weights, "bits": 8 if weights == "int8" else 4, "sym": options.get("symmetric", False)}
        quantized |= {name: options[name] for name in (*names, *methods) if name in options}
        quantized |= {"quant_method": "awq" if options.get("awq") else "default", "ignored_scope": options["ignored_scope"]}
        quantized |= {"num_samples": options["calibration"]["num_samples"]} if options.get("calibration") else {}
    return {
        "dtype": weights,
        "input_info": None,
        "optimum_version": metadata.version("optimum"),
        "quantization_config": quantized,
        "save_onnx_model": False,
        "transformers_version": metadata.version("transformers"),
    }


def main() -> None:
    """`EXPORT FILES OPTIONS [--calibration DIR --tokenizer DIR]`, OPTIONS being the step's options as JSON."""
    parser = start.parser(__doc__, "export", "files")
    parser.add_argument("--calibration", type=Path)
    parser.add_argument("--tokenizer", type=Path)
    told = parser.parse_args()
    compress(told.export, told.files, told.options, told.calibration, told.tokenizer)


if __name__ == "__main__":
    main()
