"""Recipes: their fields, how they are read, and errors with line and column."""
