"""Which NPU driver for Linux takes a blob, by the versions in the driver's sources; no blob was loaded to find out.

A driver compares two versions that an image states with its own and its firmware's: those of the ELF format and of the mapped inference.
The major numbers must be equal, and the driver's minor number must not be smaller (npu_compiler_elf, Version::checkVersionCompatibility;
linux-npu-driver, elf_parser.cpp). What a release has is in its sources: the pinned commit of npu_compiler_elf (hpi_3720, hpi_4000), and
firmware/include/api (VPU_NNRT_37XX_API_VER, VPU_NNRT_40XX_API_VER). Drivers for Windows have no public sources.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from bakehouse.formats.npu_blob import Image

_Version = tuple[int, int]  # major and minor; the third number does not count
# Of a platform the releases that raise one of the two: name, ELF format, mapped inference. Read up to 1.32.0; for 5010, which the
# sources know since 1.28.0, the pinned commit is not public.
_RELEASES: Mapping[int, tuple[tuple[str, _Version, _Version], ...]] = MappingProxyType(
    {
        3720: (("1.2.0", (1, 0), (7, 0)), ("1.5.0", (1, 2), (7, 0)), ("1.6.0", (1, 3), (7, 0))),
        4000: (
            ("1.5.0", (1, 2), (11, 4)),
            ("1.13.0", (1, 2), (11, 6)),
            ("1.16.0", (1, 2), (11, 7)),
            ("1.17.0", (1, 2), (11, 9)),
            ("1.19.0", (1, 2), (11, 10)),
            ("1.24.0", (1, 2), (11, 13)),
        ),
    }
)


def lowest(platform: int, images: Iterable[Image]) -> str | None:
    """The oldest release of the driver that takes all of these images; None if that cannot be known."""
    known = _RELEASES.get(platform, ())
    found = [_first(known, image.says.get("elf", ""), image.says.get("mi", "")) for image in images]
    return None if None in found or not found else known[max(at for at in found if at is not None)][0]


def _first(known: tuple[tuple[str, _Version, _Version], ...], elf: str, inference: str) -> int | None:
    wanted = (_version(elf), _version(inference))
    if None in wanted:
        return None
    return next((at for at, (_, *has) in enumerate(known) if all(map(_takes, has, wanted))), None)


def _takes(has: _Version, wanted: _Version | None) -> bool:
    return wanted is not None and has[0] == wanted[0] and has[1] >= wanted[1]


def _version(text: str) -> _Version | None:
    major, _, rest = text.partition(".")
    minor = rest.partition(".")[0]
    return (int(major), int(minor)) if major.isdecimal() and minor.isdecimal() else None


def stated(images: Iterable[Image], what: str) -> str | None:
    """What the images state of `what` ("elf", "mi"), each value once; None if one does not."""
    found = {image.says.get(what) for image in images}
    return None if None in found or not found else ", ".join(sorted(str(one) for one in found))
