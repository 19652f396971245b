"""The oldest driver that takes a blob, by the rule that drivers have and the versions in their sources."""

from __future__ import annotations

import pytest

from bakehouse.backends.openvino_npu import drivers
from bakehouse.formats.npu_blob import Image


def images(*stated: str) -> list[Image]:
    """Images that state this of themselves."""
    return [Image(100, 100, dict(part.split("=") for part in one.split(";"))) for one in stated]


@pytest.mark.parametrize(
    ("platform", "stated", "release"),
    [
        (4000, ["elf=1.2.2;mi=11.4.10"], "1.5.0"),
        (4000, ["elf=1.2.2;mi=11.5.0"], "1.13.0"),
        (4000, ["elf=1.2.2;mi=11.4.10", "elf=1.2.7;mi=11.10.3"], "1.19.0"),
        (4000, ["elf=1.2.7;mi=11.14.0"], None),
        (4000, ["elf=1.2.7;mi=12.0.0"], None),
        (4000, ["elf=1.3.0;mi=11.4.0"], None),
        (4000, ["elf=2.0.0;mi=11.4.0"], None),
        (3720, ["elf=1.0.0;mi=7.0.1"], "1.2.0"),
        (3720, ["elf=1.3.6;mi=7.0.5"], "1.6.0"),
        (3720, ["elf=1.3.6;mi=6.2.0"], None),
        (5010, ["elf=1.2.7;mi=11.13.0"], None),
        (4000, ["compiler=8.4"], None),
        (4000, ["elf=1;mi=eleven"], None),
        (4000, [], None),
    ],
)
def test_a_driver_has_the_same_major_and_no_smaller_minor_versions(platform: int, stated: list[str], release: str | None) -> None:
    assert drivers.lowest(platform, images(*stated)) == release


def test_what_all_images_state_is_recorded_and_nothing_if_one_is_silent() -> None:
    assert drivers.stated(images("elf=1.2.2", "elf=1.2.2"), "elf") == "1.2.2"
    assert drivers.stated(images("elf=1.2.2", "elf=1.2.1"), "elf") == "1.2.1, 1.2.2"
    assert drivers.stated(images("elf=1.2.2", "mi=11.4.10"), "elf") is None
