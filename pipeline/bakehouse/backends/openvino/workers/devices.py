"""Lists the devices that OpenVINO sees."""

from __future__ import annotations

from bakehouse.backends.base import Devices, DevicesRequest
from bakehouse.child import start


def run(request: DevicesRequest) -> Devices:
    """Name and full name of each."""
    import openvino

    core = openvino.Core()
    names = [name for name in core.available_devices if name.startswith(request.beginning)]
    return Devices(devices={name: str(core.get_property(name, "FULL_DEVICE_NAME")).strip() for name in names})


if __name__ == "__main__":
    start.run(run, DevicesRequest)
