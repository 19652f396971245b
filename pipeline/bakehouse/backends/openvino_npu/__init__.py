"""OpenVINO IR compiled ahead of time for NPUs. Builds on the OpenVINO backend."""
