"""Where models come from, a module a type of source; which there are is in `table`."""
