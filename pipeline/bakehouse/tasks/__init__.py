"""Kinds of model, a folder each: their inputs, answers and scores."""
