"""How a worker runs in an environment of its own: one folder of packages, this Python, and nothing of the environment around it."""

from __future__ import annotations

import sys
from pathlib import Path

# -I and -S keep out this environment's packages, the user's and PYTHONPATH; -B, because what lies in the store is sealed.
# Of this project only the package bakehouse is there: the folder that holds it is the first of PYTHONPATH, as the parent puts it.
_FLAGS = ("-I", "-S", "-B")
_START = """
import os, runpy, site, sys, types
site.addsitedir(sys.argv[1])
package = types.ModuleType("bakehouse")
package.__path__ = [os.path.join(os.environ["PYTHONPATH"].split(os.pathsep)[0], "bakehouse")]
sys.modules["bakehouse"] = package
name = sys.argv[2]
del sys.argv[1:3]
runpy.run_module(f"bakehouse.{name}", run_name="__main__", alter_sys=True)
"""


def argv(site: Path, name: str, *arguments: str) -> tuple[str, ...]:
    """The program and arguments that run `bakehouse.<name>` with the packages of `site` and no others."""
    return (sys.executable, *_FLAGS, "-c", _START, str(site), name, *arguments)
