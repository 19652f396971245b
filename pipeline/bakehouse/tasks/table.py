"""The kinds of models: their modules by the name that a recipe has for them."""

from __future__ import annotations

from types import MappingProxyType

from bakehouse.tasks.base import Reference, Task
from bakehouse.tasks.embeddings import reference as embeddings_reference
from bakehouse.tasks.embeddings import task as embeddings
from bakehouse.tasks.text_generation import reference
from bakehouse.tasks.text_generation import task as text_generation

TASKS: MappingProxyType[str, Task] = MappingProxyType({"text-generation": text_generation, "embeddings": embeddings})
# By the maker of their steps: what computes the answers that builds are compared with.
REFERENCES: MappingProxyType[str, Reference] = MappingProxyType({"reference": reference, embeddings_reference.MAKER: embeddings_reference})
