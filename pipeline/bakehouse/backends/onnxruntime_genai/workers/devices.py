"""Lists the execution providers of the installed ONNX Runtime."""

from __future__ import annotations

from bakehouse.backends.base import Devices, DevicesRequest
from bakehouse.backends.onnxruntime_genai.workers import plugins
from bakehouse.child import start


def run(request: DevicesRequest) -> Devices:
    """Without their common ending, and without Azure's, which sends the work to a server; the runtime has no more to say of them."""
    import onnxruntime

    names = [name.removesuffix("ExecutionProvider") for name in onnxruntime.get_available_providers()]
    found = {name: "" for name in names if name != "Azure"} | plugins.devices()
    return Devices(devices={name: about for name, about in found.items() if name.startswith(request.beginning)})


if __name__ == "__main__":
    start.run(run, DevicesRequest)
