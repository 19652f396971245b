"""Answers prompts about pictures with the unquantized checkpoint in transformers, in float32, one by one, by the most likely token."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

from bakehouse.child import events, start
from bakehouse.steps.seam import Result
from bakehouse.tasks.text_generation.workers import end_tokens
from bakehouse.tasks.vision_language.seams import Answer, Answers, Asked, ReferenceRequest
from bakehouse.tasks.vision_language.workers import points
from bakehouse.tasks.workers import completeness


def load(checkpoint: Path, *, remote_code: bool, dtype: Any) -> Any:
    """The model, exactly as the checkpoint has it."""
    from transformers import AutoModelForImageTextToText

    model, report = AutoModelForImageTextToText.from_pretrained(
        str(checkpoint), output_loading_info=True, local_files_only=True, trust_remote_code=remote_code, dtype=dtype
    )
    completeness.judge(report, model)
    return model.eval()


def processor(checkpoint: Path, *, remote_code: bool) -> Any:
    """What makes numbers of pictures and prompts; resized by Pillow, as OpenVINO GenAI does it after Pillow's example."""
    from transformers import AutoProcessor

    try:
        return _without_videos(checkpoint, remote_code) or AutoProcessor.from_pretrained(
            checkpoint, local_files_only=True, trust_remote_code=remote_code, backend="pil"
        )
    except ImportError as error:
        events.refuse(
            "transformers has no processor for pictures of this model that works without torchvision.",
            "Take a model of another type.",
            [str(error).strip().splitlines()[0]],
        )


def _without_videos(checkpoint: Path, remote_code: bool) -> Any:
    """The processor of a model that takes videos as well, without what is for those, as it needs torchvision; None for other models."""
    import transformers
    from transformers.models.auto.image_processing_auto import AutoImageProcessor  # from where it is: elsewhere it wants torchvision
    from transformers.models.auto.processing_auto import PROCESSOR_MAPPING_NAMES

    own: dict[str, Any] = {"local_files_only": True, "trust_remote_code": remote_code}
    name = PROCESSOR_MAPPING_NAMES.get(transformers.AutoConfig.from_pretrained(checkpoint, **own).model_type)
    kind = getattr(transformers, name or "", None)
    if kind is None or "video_processor" not in inspect.signature(kind.__init__).parameters:
        return None

    def check(self: Any, role: str, part: Any) -> Any:
        return None if part is None else kind.check_argument_for_proper_class(self, role, part)

    words = transformers.AutoTokenizer.from_pretrained(checkpoint, **own)
    # Pillow is named as releases of transformers up to 5.2 do, and as later ones do.
    sees = AutoImageProcessor.from_pretrained(checkpoint, use_fast=False, backend="pil", **own)
    template = kind.get_processor_dict(checkpoint, local_files_only=True)[0].get("chat_template") or words.chat_template
    lenient = type(kind.__name__, (kind,), {"check_argument_for_proper_class": check})
    return lenient(image_processor=sees, tokenizer=words, video_processor=None, chat_template=template)


def prompt(made: Any, text: str) -> str:
    """A user's message with a picture before the text, through the checkpoint's chat template."""
    content = [{"type": "image"}, {"type": "text", "text": text}]
    return str(made.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False))


def _answer(model: Any, made: Any, one: Asked) -> Answer:
    # The template has written what begins a text.
    given = made(images=points.read(one.picture), text=prompt(made, one.prompt), return_tensors="pt", add_special_tokens=False)
    count = given["input_ids"].shape[1]
    found = model.generate(**given, do_sample=False, num_beams=1, max_new_tokens=one.max_new_tokens)[0].tolist()
    ends = end_tokens.listed(model.generation_config.eos_token_id)
    tokens = tuple(token for token in found[count:] if token not in ends)
    text = made.tokenizer.decode(tokens, skip_special_tokens=True)
    return Answer(tokens=tokens, text=text, prompt_tokens=count)


def run(request: ReferenceRequest) -> Result:
    """Answer the prompts."""
    with start.own_modules():
        events.progress("loading the checkpoint")
        import torch

        model = load(request.checkpoint, remote_code=request.remote_code, dtype=torch.float32)
        made = processor(request.checkpoint, remote_code=request.remote_code)
        found = []
        with torch.inference_mode():
            for number, one in enumerate(request.questions):
                events.progress("answering", number, len(request.questions), "prompts")
                found.append(_answer(model, made, one))
    request.answers.write_text(Answers(answers=tuple(found)).model_dump_json() + "\n", encoding="utf-8", newline="\n")
    return Result()


if __name__ == "__main__":
    start.run(run, ReferenceRequest)
