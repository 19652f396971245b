"""A tiny Stable Diffusion with random weights, as diffusers writes it; no package is known that holds a trained one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.support.standin import made_once

BEGIN, END = "<|startoftext|>", "<|endoftext|>"


def pipeline() -> Path:
    """The folder: a U-Net, an autoencoder and a CLIP text encoder of a few layers, in float16."""
    return made_once("diffusion-3", _write)


def _write(folder: Path) -> None:
    import torch
    from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    words = _tokenizer()
    ids = {name: words.convert_tokens_to_ids(token) for name, token in (("bos_token_id", BEGIN), ("eos_token_id", END))}
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        text = CLIPTextModel(CLIPTextConfig(vocab_size=len(words), pad_token_id=ids["eos_token_id"], **ids, **sizes))
        unet = UNet2DConditionModel(
            block_out_channels=(32,), layers_per_block=1, sample_size=16, in_channels=4, out_channels=4, norm_num_groups=8,
            down_block_types=("CrossAttnDownBlock2D",), up_block_types=("CrossAttnUpBlock2D",), mid_block_type=None,
            cross_attention_dim=32, attention_head_dim=8,
        )  # fmt: skip
        for name, weight in unet.named_parameters():
            if "attn2.to_" in name:
                weight.data *= 6  # else the prompt would hardly count
        vae = AutoencoderKL(
            block_out_channels=(16, 32), in_channels=3, out_channels=3, latent_channels=4, norm_num_groups=8, sample_size=32,
            down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
        )  # fmt: skip
    steps = DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False, set_alpha_to_one=False, steps_offset=1
    )
    none: dict[str, Any] = {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
    made = StableDiffusionPipeline(unet=unet, vae=vae, text_encoder=text, tokenizer=words, scheduler=steps, **none)
    made.to(torch.float16).save_pretrained(folder)


def _tokenizer() -> Any:
    """CLIP's kind, of single bytes."""
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import CLIPTokenizer

    letters = sorted(ByteLevel.alphabet())
    tokens = [*letters, *(f"{letter}</w>" for letter in letters), BEGIN, END]
    return CLIPTokenizer(vocab={token: number for number, token in enumerate(tokens)}, merges=[], model_max_length=77)
