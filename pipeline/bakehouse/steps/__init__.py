"""A step and its key, the command that makes it, what it takes."""
