"""Where packages for OpenVINO can be delivered to: a module a place."""

from __future__ import annotations

from bakehouse.backends.delivery import Profile
from bakehouse.backends.openvino.deliver import ovms

_PROFILES = (ovms.PROFILE,)


def profiles() -> tuple[Profile, ...]:
    """The places, in the order in which they are listed."""
    return _PROFILES
