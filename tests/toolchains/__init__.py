"""Toolchains: other releases of transformers for converters."""
