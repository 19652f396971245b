"""Tiny vision-language models with random weights, and pictures; no package is known that holds a trained one as a checkpoint."""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path
from typing import Any

from tests.support.cases import making
from tests.support.standin import made_once

_TEXT = {
    "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16,
    "max_position_embeddings": 512, "initializer_range": 0.2, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2,
}  # fmt: skip
SIDE = 56  # of the pictures that the models see
_VISION = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": SIDE,
    "patch_size": 14,
}
_CUT = {"patch_size": 14, "spatial_merge_size": 2, "temporal_patch_size": 2}
_INNER = {"depth": 2, "hidden_size": 32, "out_hidden_size": 64, "intermediate_size": 64, "num_heads": 2}
_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' }}"
    "{% if message['content'] is string %}{{ message['content'] }}"
    "{% else %}{% for part in message['content'] %}{% if part['type'] == 'image' %}{{ 'PICTURE' }}{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}{{ '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def llava() -> Path:
    """A Llama that sees through a CLIP, both of 2 layers."""
    return made_once("vision-llava-1", _write_llava)


def gemma3() -> Path:
    """A Gemma 3 of 2 layers that sees through a SigLIP."""
    return made_once("vision-gemma3-1", _write_gemma3)


def qwen2_vl() -> Path:
    """A Qwen2-VL of 2 layers, whose pictures have as many tokens as their size gives."""
    return made_once("vision-qwen2-vl-1", _write_qwen2_vl)


def qwen2_5_vl() -> Path:
    """A Qwen2.5-VL of 2 layers, of which one looks at windows of a picture."""
    return made_once("vision-qwen2-5-vl-1", _write_qwen2_5_vl)


def qwen3_vl() -> Path:
    """A Qwen3-VL of 2 layers, whose pictures have 32 x 32 points a token."""
    return made_once("vision-qwen3-vl-1", _write_qwen3_vl)


def picture(path: Path, width: int, height: int) -> Path:
    """A PNG file with a pattern of colours."""
    rows = (
        b"\0" + bytes(value for x in range(width) for value in (x * 255 // width, y * 255 // height, x * y % 256)) for y in range(height)
    )
    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(b"".join(rows))),
        (b"IEND", b""),
    )
    chunks = (struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))
    return path


def _tokenizer(picture: str, *special: str) -> Any:
    found = making.tokenizer()
    found.add_special_tokens({"additional_special_tokens": list(special)})
    found.chat_template = _TEMPLATE.replace("PICTURE", picture)
    return found


def _write_llava(folder: Path) -> None:
    from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration, LlavaProcessor
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    words = _tokenizer("<image>\n", "<image>")
    config = LlavaConfig(
        text_config=LlamaConfig(vocab_size=len(words), **_TEXT),
        vision_config=CLIPVisionConfig(**_VISION),
        image_token_index=words.convert_tokens_to_ids("<image>"),
        image_seq_length=(SIDE // 14) ** 2,
    )
    sees = CLIPImageProcessorPil(size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE})
    cuts = {"patch_size": 14, "vision_feature_select_strategy": "default", "num_additional_image_tokens": 1}
    _save(LlavaForConditionalGeneration, config, folder)
    LlavaProcessor(sees, words, chat_template=words.chat_template, **cuts).save_pretrained(folder)


def _write_gemma3(folder: Path) -> None:
    from transformers import Gemma3Config, Gemma3ForConditionalGeneration, Gemma3Processor, Gemma3TextConfig, SiglipVisionConfig
    from transformers.models.gemma3.image_processing_pil_gemma3 import Gemma3ImageProcessorPil

    names = {"boi_token": "<start_of_image>", "image_token": "<image_soft_token>", "eoi_token": "<end_of_image>"}
    words = _tokenizer(names["boi_token"], *names.values())
    words._set_model_specific_special_tokens(special_tokens=names)
    ids = {name: words.convert_tokens_to_ids(token) for name, token in names.items()}
    config = Gemma3Config(
        text_config=Gemma3TextConfig(vocab_size=len(words), sliding_window=32, query_pre_attn_scalar=16, **_TEXT),
        vision_config=SiglipVisionConfig(**_VISION),
        mm_tokens_per_image=4,
        boi_token_index=ids["boi_token"],
        eoi_token_index=ids["eoi_token"],
        image_token_id=ids["image_token"],
        eos_token_id=2,
    )
    _save(Gemma3ForConditionalGeneration, config, folder)
    sees = Gemma3ImageProcessorPil(size={"height": SIDE, "width": SIDE}, image_mean=[0.5] * 3, image_std=[0.5] * 3)
    Gemma3Processor(sees, words, chat_template=words.chat_template, image_seq_length=4).save_pretrained(folder)


def _write_qwen2_vl(folder: Path) -> None:
    from transformers import Qwen2VLConfig, Qwen2VLForConditionalGeneration

    sizes = {"depth": 2, "embed_dim": 32, "hidden_size": 64, "num_heads": 2, "mlp_ratio": 2, **_CUT}
    _write_qwen(Qwen2VLConfig, Qwen2VLForConditionalGeneration, sizes, {"mrope_section": [2, 3, 3]}, folder)


def _write_qwen2_5_vl(folder: Path) -> None:
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    sizes = {**_INNER, **_CUT, "window_size": SIDE, "fullatt_block_indexes": [1]}
    _write_qwen(Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration, sizes, {"mrope_section": [2, 3, 3]}, folder)


def _write_qwen3_vl(folder: Path) -> None:
    from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration

    sizes = {**_INNER, **_CUT, "patch_size": 16, "num_position_embeddings": 16, "deepstack_visual_indexes": [0]}
    _write_qwen(Qwen3VLConfig, Qwen3VLForConditionalGeneration, sizes, {"mrope_section": [4, 2, 2], "mrope_interleaved": True}, folder)


def _write_qwen(settings: Any, kind: Any, sizes: dict[str, Any], turns: dict[str, Any], folder: Path) -> None:
    names = {"image": "<|image_pad|>", "video": "<|video_pad|>", "vision_start": "<|vision_start|>", "vision_end": "<|vision_end|>"}
    words = _tokenizer("<|vision_start|><|image_pad|><|vision_end|>", *names.values())
    ids = {f"{name}_token_id": words.convert_tokens_to_ids(token) for name, token in names.items()}
    text = {**_TEXT, "vocab_size": len(words), "rope_parameters": {"rope_type": "default", "rope_theta": 1e4, **turns}}
    _save(kind, settings(text_config=text, vision_config=sizes, tie_word_embeddings=False, **ids), folder)
    words.save_pretrained(folder)
    # Not through transformers, of which the processor needs torchvision for videos; as it is in the hub's checkpoints.
    sees = {
        "image_processor_type": "Qwen2VLImageProcessor",
        "processor_class": kind.__name__.replace("ForConditionalGeneration", "Processor"),
        "patch_size": sizes["patch_size"],
        "temporal_patch_size": 2,
        "merge_size": 2,
        "min_pixels": SIDE**2,
        "max_pixels": (4 * SIDE) ** 2,
        "image_mean": [0.48145466, 0.4578275, 0.40821073],
        "image_std": [0.26862954, 0.26130258, 0.27577711],
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(sees), encoding="utf-8")


def _save(kind: Any, config: Any, folder: Path) -> None:
    """A model whose answers differ, depend on every weight, and do not end early."""
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = kind(config)
        for weight in made.parameters():
            if weight.dim() == 1 and weight.numel() > 1:
                weight.data += 0.1 * torch.randn_like(weight)
            elif weight.dim() > 1 and weight.std() < 0.05:
                weight.data.normal_(0, 0.1)
    if getattr(config.get_text_config(), "tie_word_embeddings", False):
        made.get_input_embeddings().weight.data *= 0.02  # else a token follows itself
    made.get_output_embeddings().weight.data[2] = 0
    made.to(torch.bfloat16).eval().save_pretrained(folder)
