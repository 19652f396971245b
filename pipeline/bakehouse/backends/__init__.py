"""What each runtime needs, a folder a runtime; which there are is in `table`."""
