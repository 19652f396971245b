"""ONNX graphs for ONNX Runtime itself: models that turn texts into vectors or scores."""
