"""Bakehouse: converts models to artifacts for AI PCs by recipes, verifies them and runs each one before it is packaged."""
