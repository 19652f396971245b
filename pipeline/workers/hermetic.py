"""A worker that must neither call home nor reach for a hub: shuts what the converters would use for it, before they are imported."""

from __future__ import annotations

import os
import sys


def seal() -> None:
    """Put this process offline and take telemetry away from it. Call it before any heavy import.

    openvino_telemetry sends from `openvino.tools.ovc` and from nncf unless a file in the user's home says no; both fall back
    to a stub when it cannot be imported, and a None in `sys.modules` makes every import of it fail (docs.python.org, import system).
    """
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
