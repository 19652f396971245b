"""What people type: commands, doit tasks, tables, progress, upkeep of the store. Knows nothing of how a model is converted."""

import gc
import os

# A command's start is most of what it takes to find that nothing has to be done. Objects of imported modules stay, so that looking for
# garbage among them every 700 new ones finds none; and pydantic would read the metadata of every installed distribution for plugins,
# which could also change what is valid.
gc.set_threshold(50_000, 20, 20)
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
