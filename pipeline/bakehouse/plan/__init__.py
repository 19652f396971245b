"""From recipes to builds and steps; nothing is read or written here."""
