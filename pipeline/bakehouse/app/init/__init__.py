"""`bakehouse init SOURCE`: looks at a model, proposes builds that fit it and this machine, and writes a recipe."""
