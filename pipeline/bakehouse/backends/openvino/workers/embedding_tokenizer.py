"""Converts the tokenizer of an embedding model to OpenVINO, and compares its tokens with transformers' on hard texts."""

from __future__ import annotations

from bakehouse.backends.openvino.seams import EmbeddingTokenizerResult, TokenizerRequest
from bakehouse.child import events, start
from bakehouse.tasks.workers import hard_texts


def run(request: TokenizerRequest) -> EmbeddingTokenizerResult:
    """Write openvino_tokenizer.{xml,bin} and transformers' own files; padding and truncation stay on the sides that the model has."""
    with start.own_modules():
        events.progress("importing transformers")
        import openvino as ov
        from openvino_tokenizers import convert_tokenizer
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(request.checkpoint, local_files_only=True, trust_remote_code=request.remote_code)
        tokenizer.save_pretrained(request.files)
        events.progress("converting the tokenizer")
        try:
            made = convert_tokenizer(tokenizer, with_detokenizer=False)
        except Exception as error:  # whatever it is, this tokenizer cannot be converted, and a package without it does not load
            events.refuse(
                f"openvino_tokenizers cannot convert this tokenizer ({type(tokenizer).__name__}).",
                "Use a checkpoint whose tokenizer.json openvino_tokenizers supports.",
                [f"{type(error).__name__}: {error}"],
            )
        ov.save_model(made, request.files / "openvino_tokenizer.xml")
        events.progress("comparing the tokenizers")
        import openvino_genai

        other = openvino_genai.Tokenizer(request.files)
        texts = [text for text in hard_texts.TEXTS if text]
        different = [text for text in texts if other.encode(text).input_ids.data[0].tolist() != tokenizer(text)["input_ids"]]
    return EmbeddingTokenizerResult(texts=len(texts), different=tuple(different))


if __name__ == "__main__":
    start.run(run, TokenizerRequest)
