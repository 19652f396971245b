"""Which files of the light suite run in Windows Python."""

FILES = ("tests/test_windows.py",)
