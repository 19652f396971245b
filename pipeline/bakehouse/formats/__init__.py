"""Readers of model file formats: safetensors and GGUF headers, OpenVINO IR, NPU blobs, pickles."""
