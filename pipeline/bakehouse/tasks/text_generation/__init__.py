"""Models that continue a text or answer a chat: reference answers, logits, tokenizers, verdicts."""
