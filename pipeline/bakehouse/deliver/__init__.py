"""Lays a package out as a place wants it, and checks such a folder."""
