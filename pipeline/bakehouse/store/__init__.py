"""Folders of made steps and packages on disk, and the files in them."""
