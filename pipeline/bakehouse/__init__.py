"""Bakehouse: recipes in, proven model artifacts for AI PCs out."""
