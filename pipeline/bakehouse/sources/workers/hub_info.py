"""What the hub says of a repository and its files, as far as it is read here."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bakehouse.formats import json_text


class Unreadable(ValueError):
    """An answer is not what a hub answers: a part of a sentence that says why."""


@dataclass(frozen=True)
class Remote:
    """One file of a repository: its size, and what the hub says its content is (LFS sha256, or the blob's git sha1)."""

    name: str
    size: int
    sha256: str | None
    git_sha1: str | None


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, defer_build=True)


class Large(_Part):
    """What the hub says of the content of a file that it keeps by LFS."""

    size: int
    sha256: str


class Sibling(_Part):
    """What the hub says of a file; of a large one the size and the hash are in `lfs`."""

    name: str = Field(alias="rfilename")
    size: int | None = None
    git_sha1: str | None = Field(None, alias="blobId")
    lfs: Large | None = None

    def remote(self) -> Remote:
        """The file as we name it."""
        if self.lfs:
            return Remote(self.name, self.lfs.size, self.lfs.sha256, None)
        if self.size is None:
            raise Unreadable(f"it names no size of {self.name}")
        return Remote(self.name, self.size, None, self.git_sha1)


class Info(_Part):
    """What the hub says of a repository at a revision, as far as it is read here (GET /api/models/REPO/revision/REVISION?blobs=true)."""

    sha: str | None = None
    private: bool = False
    siblings: tuple[Sibling, ...]
    card: object = Field(None, alias="cardData")
    config: object = None

    @property
    def files(self) -> dict[str, Remote]:
        """Every file, by name."""
        return {one.name: one.remote() for one in self.siblings}


def read(body: bytes) -> Info:
    """An answer of the hub about a repository.

    Raises:
        Unreadable: it is not one.
    """
    try:
        return Info.model_validate(json_text.loads(body))
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        raise Unreadable(f"{'.'.join(map(str, first['loc'])) or 'all of it'}: {first['msg']}") from error
    except ValueError as error:
        raise Unreadable("it is not JSON") from error
