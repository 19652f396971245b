"""Where models come from, a module for each type of source; `table` lists them."""
