"""The kinds of models: their modules by the name that a recipe has for them."""

from __future__ import annotations

from types import MappingProxyType

from bakehouse.tasks.base import Direct, Reference, Task
from bakehouse.tasks.embeddings import golden as embeddings_golden
from bakehouse.tasks.embeddings import reference as embeddings_reference
from bakehouse.tasks.embeddings import task as embeddings
from bakehouse.tasks.reranker import golden as reranker_golden
from bakehouse.tasks.reranker import reference as reranker_reference
from bakehouse.tasks.reranker import task as reranker
from bakehouse.tasks.speech import golden as speech_golden
from bakehouse.tasks.speech import reference as speech_reference
from bakehouse.tasks.speech import task as speech
from bakehouse.tasks.text_generation import reference
from bakehouse.tasks.text_generation import task as text_generation

TASKS: MappingProxyType[str, Task] = MappingProxyType(
    {"text-generation": text_generation, embeddings_golden.TASK: embeddings, reranker_golden.TASK: reranker, speech_golden.TASK: speech}
)
# Those whose models `bakehouse run` gives something and prints what comes of it; text is written by a worker that goes on.
DIRECT: MappingProxyType[str, Direct] = MappingProxyType(
    {embeddings_golden.TASK: embeddings, reranker_golden.TASK: reranker, speech_golden.TASK: speech}
)
# By the maker of their steps: what computes the answers that builds are compared with.
REFERENCES: MappingProxyType[str, Reference] = MappingProxyType(
    {"reference": reference, **{run.maker: run for run in (embeddings_reference.RUN, reranker_reference.RUN, speech_reference.RUN)}}
)
