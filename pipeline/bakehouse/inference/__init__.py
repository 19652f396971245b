"""Runs a finished package in its own runtime: finds it, loads it in a child process, and talks with it."""
