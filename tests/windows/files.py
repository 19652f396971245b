"""Which files of the light suite run in Windows Python. Those left out take too long there, or hold what is the same on every system."""

# With what `pip install .` brings, and the tests' own packages: under 10 minutes on two cores.
LIGHT = ("tests/test_windows.py",)

# What needs the extra `build` to be installed, or takes minutes.
FULL = ()
