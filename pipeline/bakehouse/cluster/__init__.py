"""The steps of a plan on many machines: Dask says where and when, the shared store carries the files, the key of a step is its task's."""
