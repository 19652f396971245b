"""Writes LoRA adapters with peft, with seeded random numbers; imports torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

TARGETS = ("q_proj", "v_proj", "down_proj")


def adapter(checkpoint: Path, folder: Path, *, size: float = 0.05, seed: int = 0, matrix: str = "lora_B", **options: Any) -> Path:
    """An adapter of a checkpoint; with size 0 it changes nothing. `matrix`: which of the two is zero before training."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.float32)
    torch.manual_seed(seed)
    settings = {"r": 4, "lora_alpha": 8, "target_modules": list(TARGETS), "task_type": "CAUSAL_LM", **options}
    adapted = get_peft_model(model, LoraConfig(**settings))
    generator = torch.Generator().manual_seed(seed)
    for name, weight in adapted.named_parameters():
        if matrix in name:
            weight.data = size * torch.randn(weight.shape, generator=generator)
    adapted.save_pretrained(folder)
    # As people publish one: it names the model by its place on the hub, which this machine cannot reach.
    path = folder / "adapter_config.json"
    config = json.loads(path.read_text(encoding="utf-8")) | {"base_model_name_or_path": "owner/base"}
    path.write_text(json.dumps(config, sort_keys=True), encoding="utf-8")
    return folder
