"""The tasks of doit, one group a verb; `bakehouse.app.dodo` makes them."""

from bakehouse.app.dodo import (
    DOIT_CONFIG,
    harness,
    task_build,
    task_convert,
    task_download,
    task_export,
    task_overview,
    task_package,
    task_publish,
    task_setup,
    task_sign,
    task_validate,
)

__all__ = [
    "DOIT_CONFIG", "harness", "task_build", "task_convert", "task_download", "task_export", "task_overview", "task_package", "task_publish",
    "task_setup", "task_sign", "task_validate",
]  # fmt: skip
