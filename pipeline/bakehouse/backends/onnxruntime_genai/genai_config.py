"""genai_config.json, what the runtime reads of a model folder: the fields that are used here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, JsonValue

from bakehouse.tasks.text_generation.workers import end_tokens

NAME = "genai_config.json"
# Search defaults that a generation config may set under the same name. max_length is not among them: it is the model's context.
SEARCH = (
    "diversity_penalty",
    "do_sample",
    "early_stopping",
    "length_penalty",
    "min_length",
    "no_repeat_ngram_size",
    "num_beams",
    "num_return_sequences",
    "repetition_penalty",
    "temperature",
    "top_k",
    "top_p",
)
ProviderOptions = tuple[dict[str, dict[str, JsonValue]], ...]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)


class SessionOptions(_Part):
    """`provider_options`: the provider's name -> its options; nothing for the CPU."""

    provider_options: ProviderOptions = ()


class SlidingWindow(_Part):
    """A cache that slides, of so many tokens."""

    window_size: int | None = None


class Decoder(_Part):
    """The graph; `inputs` and `outputs` name those of the graph, with %d for the number of a layer.

    `layer_types`: where layers differ in what they keep, "conv" has a cache of `conv_cache_size` columns, every other keys and values.
    """

    session_options: SessionOptions = SessionOptions()
    sliding_window: SlidingWindow | None = None
    inputs: dict[str, str] = {}
    outputs: dict[str, str] = {}
    head_size: int = 0
    num_hidden_layers: int = 0
    num_key_value_heads: int = 0
    hidden_size: int = 0
    layer_types: tuple[str, ...] = ()
    conv_cache_size: int = 0

    def layers_of(self, role: str) -> list[int]:
        """The layers that have an input or output of this role, as in "past_conv_names"."""
        convolves = [layer < len(self.layer_types) and self.layer_types[layer] == "conv" for layer in range(self.num_hidden_layers)]
        return [layer for layer, conv in enumerate(convolves) if conv == ("conv" in role)]


def named(names: Mapping[str, str], layers_of: Callable[[str], Iterable[int]]) -> set[str]:
    """The names of inputs or outputs by their roles; one with `%d` stands for one of each layer that `layers_of` gives for its role."""
    return {name for role, value in names.items() for name in ([value % layer for layer in layers_of(role)] if "%d" in value else [value])}


class Model(_Part):
    """The model; `context_length` in tokens, `type` as the builder calls its architecture. `encoder`: of one that hears."""

    context_length: int
    type: str = ""
    vocab_size: int = 0
    eos_token_id: int | list[int] | None = None
    decoder: Decoder
    encoder: Decoder | None = None


class GenaiConfig(_Part):
    """The complete file; of what the builder leaves out the defaults are nothing that a model could have."""

    model: Model
    search: Mapping[str, JsonValue] = {}

    @property
    def provider(self) -> str:
        """The execution provider; "cpu" if the file names none."""
        return next((name for entry in self.model.decoder.session_options.provider_options for name in entry), "cpu")

    @property
    def window(self) -> int:
        """The tokens of a cache that slides; 0 if it does not."""
        sliding = self.model.decoder.sliding_window
        return (sliding.window_size or 0) if sliding else 0

    @property
    def end_tokens(self) -> list[int]:
        """The ids that end an answer, in order."""
        return end_tokens.listed(self.model.eos_token_id)


def read(folder: Path) -> GenaiConfig:
    """The one of a model folder.

    Raises:
        pydantic.ValidationError: it is not one.
    """
    return GenaiConfig.model_validate_json((folder / NAME).read_bytes())
