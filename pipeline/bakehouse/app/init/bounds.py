"""`bakehouse init NAME --bounds`: proposes bounds for a build that was measured, for its owner to put into the recipe."""

from __future__ import annotations

import math

from bakehouse.app import results_table
from bakehouse.app.workspace import open_workspace
from bakehouse.errors import Failure
from bakehouse.records import Estimated
from bakehouse.text import figure_text

_ROOM = 1.25  # over the far end of the interval: measured again with other versions of the tools, a build comes out a little otherwise


def run(name: str) -> int:
    """Print the bounds that would hold a build about where it is.

    Raises:
        Failure: no build has this name, or it was not built or measured yet.
    """
    workspace = open_workspace()
    build = workspace.plan.build(name)
    if build is None:
        raise Failure(f"no build is called {name}", remedy="`bakehouse list` shows the names")
    manifest = results_table.read_manifest(build.name, workspace.store)
    if manifest is None or manifest.fidelity is None:
        raise Failure(f"{name} was not measured yet", remedy=f"run `bakehouse build {name}` first")
    kl = manifest.fidelity.figures.kl_mean
    print(f"{name}: mean KL divergence {figure_text(kl.value)} nats (95 % interval {figure_text(kl.low)} to {figure_text(kl.high)})")
    print(f"to have later builds of it fail that are further away, add to {build.resolved.build} in {build.resolved.recipe}.yaml:")
    print(f"    bounds: {{kl_mean: {proposed(kl):g}}}")
    return 0


def proposed(kl: Estimated) -> float:
    """The far end of the interval with some room, rounded up to two significant digits."""
    wanted = kl.high * _ROOM
    if wanted <= 0:
        return 1e-6  # of a build that equals its source: what rounding may do elsewhere
    step = 10.0 ** (math.floor(math.log10(wanted)) - 1)
    return float(f"{math.ceil(wanted / step - 1e-9) * step:.2g}")
