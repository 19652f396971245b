"""Searches for the best of many builds: what to measure next, who wins, and carrying it out."""
