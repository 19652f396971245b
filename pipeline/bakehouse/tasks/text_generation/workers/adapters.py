"""LoRA adapters that peft applies to a model while it runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bakehouse.child import events


def apply(model: Any, folders: Sequence[Path], factors: Sequence[float]) -> None:
    """Have adapters act in a model, each so many times as strong as it was trained to; what they add is summed."""
    from peft.tuners.lora import LoraLayer

    names = [str(number) for number, _ in enumerate(folders, 1)]
    adapted = fitting(model, folders[0], names[0])
    for name, folder in zip(names[1:], folders[1:], strict=True):
        fitting(adapted, folder, name)
    adapted.base_model.set_adapter(names)
    for module in adapted.modules():
        if isinstance(module, LoraLayer):
            for name, factor in zip(names, factors, strict=True):
                if name in module.scaling:
                    module.scaling[name] *= factor


def fitting(model: Any, folder: Path, name: str) -> Any:
    """The model with an adapter, which has the name of its number; the layers are replaced within the model that was given."""
    from peft import PeftModel

    try:
        if isinstance(model, PeftModel):
            model.load_adapter(folder, adapter_name=name)
            return model.eval()
        return PeftModel.from_pretrained(model, folder, adapter_name=name).eval()
    except (ValueError, RuntimeError, KeyError) as error:
        remedy = "Take an adapter that was trained on this model."
        events.refuse(f"Adapter {name} does not fit the model.", remedy, str(error).splitlines()[:4])
