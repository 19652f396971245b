"""`bakehouse schema`."""

from __future__ import annotations

from typing import Any

from bakehouse.app.cli import Ours
from bakehouse.app.workspace import recipes_folder
from bakehouse.recipe import schema


class Schema(Ours):
    """`bakehouse schema`"""

    doc_purpose = "write the recipes' JSON Schema for editors and the table of their fields"
    doc_usage = ""

    def _do(self, params: Any, args: list[str]) -> int:
        for path in schema.write(recipes_folder()):
            print(path)
        return 0
