"""doit's way in: one task group a verb. What the tasks are is in bakehouse/app."""

from bakehouse.app.dodo import (
    DOIT_CONFIG,
    kitchen,
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
    "DOIT_CONFIG", "kitchen", "task_build", "task_convert", "task_download", "task_export", "task_overview", "task_package", "task_publish",
    "task_setup", "task_sign", "task_validate",
]  # fmt: skip
