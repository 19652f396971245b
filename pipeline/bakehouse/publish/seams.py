"""What the workers that write to a hub get and leave. The token is in their environment, or in a login, never here."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from bakehouse.records import FileRecord
from bakehouse.steps.seam import Request, Result


class AskRequest(Request):
    """The repository (owner/name) for which `hub_ask` finds out whether the hub takes the token."""

    repo: str


class PublishRequest(Request):
    """The package that `hub_publish` brings to a repository of the hub, or whose changes to it it plans.

    Attributes:
        folder: of the package; `files` are all its files, as they were proven.
        repo: owner/name.
        branch: what is committed to, or the base of the pull request.
        tag: git tag that the commit gets.
        title, description: the commit's message.
        dry_run: whether only the plan is wanted.
    """

    folder: Path
    repo: str
    private: bool
    branch: str
    pull_request: bool
    tag: str | None
    title: str
    description: str
    files: tuple[FileRecord, ...]
    dry_run: bool = False

    @property
    def where(self) -> str:
        """The branch, in words."""
        return f"{self.branch} of {self.repo}"


class UploadPlan(BaseModel):
    """What a publication changes in a repository.

    Attributes:
        new, changed, same, gone: paths of the package, and of what the repository has besides.
        repository, branch: whether they exist.
        commit: the branch's, or that of main, which a new branch begins at; None without a repository.
        pull_request: number of an open one that has the package's content already.
        upload_bytes: size of all that is new or changed.
        card: how the model card changes, the lines of a unified diff.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    new: tuple[str, ...]
    changed: tuple[str, ...]
    same: tuple[str, ...]
    gone: tuple[str, ...]
    repository: bool
    branch: bool
    commit: str | None = None
    pull_request: int | None = None
    upload_bytes: int
    card: tuple[str, ...] = ()


class Published(BaseModel):
    """What was done.

    Attributes:
        commit: that has the package.
        url: of the pull request; None for a commit to a branch.
        committed: False if the hub held the package already.
        compared: how many files were compared with what the hub reports.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    commit: str
    url: str | None = None
    committed: bool
    compared: int


class PublishResult(Result):
    """The plan, and what was done; None for a dry run."""

    plan: UploadPlan
    published: Published | None = None
