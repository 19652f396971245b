"""Models that draw what a text says."""
