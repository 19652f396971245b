"""Programs that run in child processes."""
