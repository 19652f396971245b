"""The cards of models of other tasks than text generation: a template each, the words in it, and what the hub files such models under."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType

from bakehouse.package import card_embeddings, card_reranker, card_speech, card_text_to_image, card_vision_language
from bakehouse.package.manifest import PackageManifest
from bakehouse.tasks.embeddings.golden import TASK as EMBEDDINGS
from bakehouse.tasks.reranker.golden import TASK as RERANKER
from bakehouse.tasks.speech.golden import TASK as SPEECH
from bakehouse.tasks.text_to_image.golden import TASK as TEXT_TO_IMAGE
from bakehouse.tasks.vision_language.golden import TASK as VISION_LANGUAGE


@dataclass(frozen=True)
class TaskCard:
    """The card of a task's models: `kind` is in the names of its templates, here and in the backends; `library` as the hub calls it."""

    kind: str
    hub_tag: str
    words: Callable[[PackageManifest], dict[str, object]]
    library: str = ""

    def variables(self, manifest: PackageManifest) -> dict[str, object]:
        """What its template shows, with what all have: the texts, of those tried, that the runtime's tokenizer makes other tokens of."""
        tried = next(part for part in manifest.measured.values() if "tokenizer_texts_different" in part)
        return self.words(manifest) | {"kind": self.kind, "other_tokens": tried["tokenizer_texts_different"]}

    @property
    def template(self) -> str:
        """The file of the template."""
        return f"card.{self.kind}.md.jinja"


CARDS_OF_TASKS: MappingProxyType[str, TaskCard] = MappingProxyType(
    {
        EMBEDDINGS: TaskCard("embeddings", "feature-extraction", card_embeddings.words),
        RERANKER: TaskCard("reranker", "text-ranking", card_reranker.words),
        SPEECH: TaskCard("speech", "automatic-speech-recognition", card_speech.words),
        TEXT_TO_IMAGE: TaskCard("text_to_image", "text-to-image", card_text_to_image.words, "diffusers"),
        VISION_LANGUAGE: TaskCard("vision_language", "image-text-to-text", card_vision_language.words),
    }
)
