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


def leave_out(*modules: str) -> None:
    """Make every import of these fail, as if they were not installed. Call it before any heavy import.

    For what a library imports only since it finds it: transformers 5.5 takes a second for scikit-learn (generation/candidate_generator.py)
    and for boto3 (by accelerate's commands/config/sagemaker.py), whatever it is imported for.
    """
    for name in modules:
        sys.modules[name] = None  # type: ignore[assignment]
