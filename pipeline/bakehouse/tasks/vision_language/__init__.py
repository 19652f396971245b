"""Models that answer prompts about a picture."""
