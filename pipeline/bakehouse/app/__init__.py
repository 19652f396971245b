"""What people type: commands, doit tasks, tables, progress, upkeep of the store. Knows nothing of how a model is converted."""
