"""Models that turn a text into a vector: near texts get near vectors."""
