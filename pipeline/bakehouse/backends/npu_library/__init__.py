"""The archived Intel NPU Acceleration Library, in an environment of its own."""
