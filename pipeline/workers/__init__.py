"""Programs that run in child processes. torch, openvino, nncf and the other heavy tools are imported here and nowhere else."""
