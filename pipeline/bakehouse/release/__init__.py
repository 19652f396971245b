"""Archives of packages for a release, and making a package again from its own recipe."""
