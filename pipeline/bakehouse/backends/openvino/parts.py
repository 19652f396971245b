"""What a recipe's quantization means for each of the models that a build consists of."""

from __future__ import annotations

from bakehouse.backends.openvino.quantization import FourBit
from bakehouse.backends.openvino.seams import Compression, FloatSpec, Int8Spec

TEXT = "openvino_text_embeddings_model"
# Models around the one that gets what the recipe says, a language model or a U-Net: they have few weights, and lose the most.
AROUND = frozenset(
    {TEXT}
    | {f"openvino_vision_embeddings{part}_model" for part in ("", "_merger", "_pos")}
    | {f"{name}/openvino_model" for name in ("text_encoder", "vae_decoder", "vae_encoder")}
)


def spec_of(name: str, spec: Compression) -> Compression:
    """What is made of the model of this name.

    The models around the main one get 8 bits, symmetric or not as the recipe's are or as the backup precision is; its scopes name
    layers of the main one. In floating point all get the same.
    """
    if name not in AROUND or isinstance(spec, FloatSpec):
        return spec
    symmetric = spec.symmetric if isinstance(spec, Int8Spec) else spec.backup_precision == "int8_sym"
    return Int8Spec(weights="int8", symmetric=symmetric, ignored_scope=None)


def why_not(options: object) -> tuple[str, ...]:
    """A sentence on what a quantization cannot be for such models, if something."""
    if isinstance(options, FourBit) and options.backup_precision == "none":
        return ("`backup_precision: none` leaves no precision for the models around the main one: write int8_sym or int8_asym",)
    return ()
