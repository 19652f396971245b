"""What a recipe says about publishing: where each of its builds goes on the hub, and what their cards say. Uploading is a stage's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from pydantic import ConfigDict, Field

from bakehouse.recipe.model import Fault, Model, Rule
from bakehouse.recipe.types import NAME_PATTERN, CardTag, Licence, Line, Name, Organization, Ref, Repo, RepoPattern, is_repository, quoted

MAIN = "main"
# Of no meaning where nothing is published from this recipe: only its card's words are left then.
_WHERE = ("org", "visibility", "branch", "pull_request", "tag", "sign", "allow_pickle")


class Publish(Model):
    """Where the builds of a recipe go on the Hugging Face hub, and what their model cards say beyond the build's own facts."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    org: Organization | None = Field(None, description="Account or organization on the hub that `{org}` stands for.")
    repo: RepoPattern | None = Field(
        None, description="Repository of every build; `{org}`, `{recipe}`, `{build}` and `{name}` (recipe-build) are filled in."
    )
    repos: dict[Name, RepoPattern] = Field(
        default_factory=dict,
        description="Repositories of single builds, by the build's name, in place of `repo`.",
        json_schema_extra={"propertyNames": {"pattern": NAME_PATTERN}},
    )
    visibility: Literal["private", "public"] = Field("private", description="Who may see the repositories.")
    license: Licence | None = Field(None, description="SPDX identifier of the licence on the card, where it is not the source's.")
    license_reason: Line | None = Field(None, description="Why that licence is right although the source's is another one; for the card.")
    tags: tuple[CardTag, ...] = Field((), description="Further tags for the model card.")
    branch: Ref = Field(MAIN, description="Branch that is committed to; made from main if it is not there.")
    pull_request: bool = Field(False, description="Whether to open a pull request against main in place of a commit to it.")
    tag: Ref | None = Field(None, description="Git tag to give the commit; a tag that names another content is never moved.")
    sign: bool = Field(False, description="Whether the package must be signed before; PIPELINE_SIGN says by what.")
    allow_pickle: bool = Field(False, description="Whether files that can run code when they are loaded (pickles) may be published.")

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "branch",
            lambda p: p.pull_request and p.branch != MAIN,
            "a pull request is opened against main, so another branch would change nothing",
            "Leave out branch or pull_request.",
        ),
        Rule(
            "tag",
            lambda p: p.pull_request and p.tag,
            "a tag would name the commit of a pull request that may never be merged",
            "Leave it out, and tag the commit once it is merged.",
        ),
        Rule(
            "tag",
            lambda p: p.tag in (p.branch, MAIN),
            "the hub could not tell this tag from the branch of that name",
            "Give the tag another name.",
        ),
        Rule("license_reason", lambda p: p.license_reason and not p.license, "there is no publish licence that it could be the reason for"),
    )

    def faults(self) -> Iterator[Fault]:
        yield from super().faults()
        patterns: dict[tuple[str, ...], str | None] = {("repo",): self.repo, **{("repos", name): one for name, one in self.repos.items()}}
        given = {loc: pattern for loc, pattern in patterns.items() if pattern is not None}
        if not given:
            yield from self._nowhere()
            return
        for loc, pattern in given.items():
            if "{org}" in pattern and not self.org:
                yield Fault(loc, "`{org}` stands for nothing without org", "Add org, or write the owner's name.")
        if self.org and not any("{org}" in pattern for pattern in given.values()):
            yield Fault(("org",), "no repository has `{org}` in its name, so org would change nothing", "Leave it out.")

    def _nowhere(self) -> Iterator[Fault]:
        """Without a repository only the card's words mean something: so it is with the recipe inside a package."""
        for name in _WHERE:
            if getattr(self, name) != type(self).model_fields[name].get_default():
                yield Fault((name,), "without repo or repos nothing is published, so this would change nothing", "Add repo or repos.")
        if not (self.license or self.tags):
            yield Fault((), "no place to publish to is named", "Add repo or repos.")


class CardWords(Model):
    """What a recipe wants a model card to say beyond the build's own facts, and where its readers get the files."""

    license: Licence | None = Field(None, description="Licence in place of the source's.")
    license_reason: Line | None = Field(None, description="Why.")
    tags: tuple[CardTag, ...] = Field((), description="Further tags.")
    repo: Repo | None = Field(None, description="Repository on the hub that it is published to.", exclude_if=lambda repo: repo is None)
    branch: Ref | None = Field(None, description="Branch of it, if not main.", exclude_if=lambda branch: branch is None)


@dataclass(frozen=True)
class Destination:
    """Where a package goes.

    Attributes:
        repo: owner/name on the hub.
        branch: what is committed to, or the base of the pull request.
        tag: git tag that the commit gets.
        sign: whether only a signed package may go there.
        allow_pickle: whether files that can run code when they are loaded may go there.
    """

    repo: str
    private: bool
    branch: str
    pull_request: bool
    tag: str | None
    sign: bool
    allow_pickle: bool


def card_words(publish: Publish | None, source_license: str, home: Destination | None) -> CardWords | None:
    """What the card of a package that goes to `home` says; None if that is nothing, so that other packages do not depend on it."""
    if publish is None:
        return None
    other = publish.license if publish.license and publish.license.lower() != source_license.lower() else None
    tags = tuple(dict.fromkeys(publish.tags))
    if not (other or tags or home):
        return None
    return CardWords(
        license=other,
        license_reason=publish.license_reason if other else None,
        tags=tags,
        repo=home.repo if home else None,
        branch=home.branch if home and home.branch != MAIN else None,
    )


def publish_of(cards: Mapping[str, CardWords | None]) -> Publish | None:
    """The part of a recipe that comes to these words, by build or repository: for the recipe inside a package."""
    words = {name: card for name, card in cards.items() if card}
    if not words:
        return None
    first = next(iter(words.values()))
    where = {
        "repos": {name: card.repo for name, card in words.items() if card.repo},
        "branch": next((card.branch for card in words.values() if card.branch), MAIN),
    }
    return Publish.model_validate(first.model_dump(include={"license", "license_reason", "tags"}) | where)


def destination(publish: Publish | None, recipe: str, name: str, *, listed_only: bool = False) -> Destination | None:
    """Where the build `name` of `recipe` goes; None if it is not published. With `listed_only` the pattern for all does not count."""
    pattern = publish and (publish.repos.get(name) or (None if listed_only else publish.repo))
    if publish is None or not pattern:
        return None
    return Destination(
        repo=_filled(pattern, publish.org, recipe, name),
        private=publish.visibility == "private",
        branch=publish.branch,
        pull_request=publish.pull_request,
        tag=publish.tag,
        sign=publish.sign,
        allow_pickle=publish.allow_pickle,
    )


def _filled(pattern: str, org: str | None, recipe: str, name: str) -> str:
    values = {"org": org or "", "recipe": recipe, "build": name, "name": f"{recipe}-{name}"}
    for placeholder, value in values.items():
        pattern = pattern.replace(f"{{{placeholder}}}", value)
    return pattern


def misfits(publish: Publish, recipe: str, names: Mapping[str, bool], source_license: str) -> Iterator[Fault]:
    """What is wrong with it for this recipe, below `publish`.

    `names` are the recipe's builds and repositories; True for a build that lies in a repository and so does not go by itself
    unless `repos` has it.
    """
    yield from _licence_faults(publish, source_license)
    for name in publish.repos:
        if name not in names:
            yield Fault(("repos", name, "[key]"), f"there is no build called {quoted(name)}", f"The builds are {', '.join(names)}.")
    yield from _repository_faults(publish, recipe, [name for name, inside in names.items() if name in publish.repos or not inside])


def _licence_faults(publish: Publish, source: str) -> Iterator[Fault]:
    if publish.license is None:
        return
    if publish.license.lower() != source.lower():
        if publish.license_reason is None:
            yield Fault(
                ("license",),
                f"the source's licence is {quoted(source)}, and this is another one",
                "Write the source's licence or none, or say in license_reason why this one is right.",
            )
    elif publish.license_reason is not None:
        yield Fault(("license_reason",), "the licence is the source's own, so there is nothing to give a reason for", "Leave it out.")


def _repository_faults(publish: Publish, recipe: str, names: Iterable[str]) -> Iterator[Fault]:
    """Every build goes to a repository that the hub takes, and no two to the same (the hub tells no capitals from small letters)."""
    taken: dict[str, str] = {}
    for name in names:
        home = destination(publish, recipe, name)
        if home is None:
            continue
        loc = ("repos", name) if name in publish.repos else ("repo",)
        if not is_repository(home.repo):
            yield Fault(
                loc,
                f"for the build {quoted(name)} this is {quoted(home.repo, 110)}, which the hub does not take",
                "Write a shorter or simpler one.",
            )
        if home.repo.lower() in taken:
            yield Fault(
                loc,
                f"{quoted(taken[home.repo.lower()])} and {quoted(name)} would both go to {quoted(home.repo)}",
                "Put `{build}` into the name, or name a repository for each in repos.",
            )
        taken.setdefault(home.repo.lower(), name)
