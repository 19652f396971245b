"""Recipes to builds and steps. Pure."""
