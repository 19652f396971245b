"""Runs in the environment of the Intel NPU Acceleration Library: imports what the other workers will, and multiplies on its device."""

from __future__ import annotations

import sys
import warnings
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from bakehouse.child import start

TOOLS = ("intel-npu-acceleration-library", "neural-compressor", "numpy", "torch", "transformers")


@dataclass(frozen=True)
class Request:
    """The fields of seams.CheckRequest: none."""


@dataclass(frozen=True)
class Result:
    """The fields of seams.CheckResult."""

    modules: list[str]
    device: str
    versions: dict[str, str]


def run(request: Request) -> Result:
    """The versions, the device and the Python files that were imported, as paths below the folder of packages."""
    warnings.simplefilter("ignore")
    import intel_npu_acceleration_library as library
    import neural_compressor.adaptor.pytorch  # noqa: F401
    import torch
    from intel_npu_acceleration_library.backend import get_driver_version, npu_available, run_matmul
    from neural_compressor.quantization import fit  # noqa: F401
    from transformers import AutoTokenizer, LlamaForCausalLM, Phi3ForCausalLM, TextStreamer  # noqa: F401

    torch.manual_seed(0)
    one, other = torch.randn(4, 64), torch.randn(32, 64)
    made = run_matmul(one.half(), other.half()).float()
    if (made - one @ other.T).abs().max() > 0.1:
        raise RuntimeError("the library multiplies wrongly")
    site = Path(str(library.__file__)).parent.parent
    files = {Path(str(module.__file__)) for module in list(sys.modules.values()) if getattr(module, "__file__", None)}
    modules = sorted(path.relative_to(site).as_posix() for path in files if path.suffix == ".py" and site in path.parents)
    return Result(
        modules=modules,
        device=f"NPU, driver {get_driver_version()}" if npu_available() else "CPU, in place of an NPU",
        versions={name: metadata.version(name) for name in TOOLS if name != TOOLS[0]} | {TOOLS[0]: library.__version__.removeprefix("v")},
    )


if __name__ == "__main__":
    start.run_plain(run, Request)
