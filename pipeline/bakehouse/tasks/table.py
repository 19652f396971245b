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
from bakehouse.tasks.text_to_image import golden as text_to_image_golden
from bakehouse.tasks.text_to_image import reference as text_to_image_reference
from bakehouse.tasks.text_to_image import task as text_to_image
from bakehouse.tasks.vision_language import golden as vision_language_golden
from bakehouse.tasks.vision_language import reference as vision_language_reference
from bakehouse.tasks.vision_language import task as vision_language

TASKS: MappingProxyType[str, Task] = MappingProxyType(
    {
        "text-generation": text_generation,
        embeddings_golden.TASK: embeddings,
        reranker_golden.TASK: reranker,
        speech_golden.TASK: speech,
        vision_language_golden.TASK: vision_language,
        text_to_image_golden.TASK: text_to_image,
    }
)
# Those whose models `bakehouse run` gives something and prints what comes of it; text is written by a worker that goes on.
DIRECT: MappingProxyType[str, Direct] = MappingProxyType(
    {
        embeddings_golden.TASK: embeddings,
        reranker_golden.TASK: reranker,
        speech_golden.TASK: speech,
        vision_language_golden.TASK: vision_language,
        text_to_image_golden.TASK: text_to_image,
    }
)
# By the maker of their steps: what computes the answers that builds are compared with.
REFERENCES: MappingProxyType[str, Reference] = MappingProxyType(
    {
        "reference": reference,
        **{
            one.RUN.maker: one.RUN
            for one in (embeddings_reference, reranker_reference, speech_reference, vision_language_reference, text_to_image_reference)
        },
    }
)
