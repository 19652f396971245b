"""Writes a graph anew with a number in place of the name of its head size, and with another name for the file of its weights."""

from __future__ import annotations

from bakehouse.backends.onnxruntime_genai.seams import FixHeadRequest
from bakehouse.child import start
from bakehouse.steps.seam import Result


def run(request: FixHeadRequest) -> Result:
    """Nodes and weights stay as they are; of the caches, only the last size of their shapes is written as a number."""
    import onnx

    model = onnx.load(str(request.graph), load_external_data=False)
    for value in (*model.graph.input, *model.graph.output):
        if value.name.startswith(("past_key_values.", "present.")):
            last = value.type.tensor_type.shape.dim[-1]
            if last.WhichOneof("value") == "dim_param":
                last.dim_value = request.head_size
    for tensor in model.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = request.data
    request.target.parent.mkdir(parents=True, exist_ok=True)
    request.target.write_bytes(model.SerializeToString(deterministic=True))
    return Result()


if __name__ == "__main__":
    start.run(run, FixHeadRequest)
