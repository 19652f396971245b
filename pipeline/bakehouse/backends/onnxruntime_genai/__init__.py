"""ONNX Runtime GenAI folders by its model builder."""
