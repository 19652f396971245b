"""What a recipe says about publishing: where each of its builds goes on the hub, and what their cards say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from pydantic import ConfigDict, Field

from bakehouse.recipe.model import Fault, Model, Rule
from bakehouse.recipe.types import NAME_PATTERN, CardTag, Licence, Line, Name, Organization, Ref, Repo, RepoPattern, is_repository, quoted

MAIN = "main"
# Without effect if this recipe publishes nothing: only the words for the card have one then.
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
        description="Repositories of single builds, by the build's name, instead of `repo`.",
        json_schema_extra={"propertyNames": {"pattern": NAME_PATTERN}},
    )
    visibility: Literal["private", "public"] = Field("private", description="Who may see the repositories.")
    license: Licence | None = Field(None, description="SPDX identifier of the licence on the card, if it differs from the source's.")
    license_reason: Line | None = Field(None, description="Why that licence is right although the source has another one; for the card.")
    tags: tuple[CardTag, ...] = Field((), description="Further tags for the model card.")
    branch: Ref = Field(MAIN, description="Branch to commit to; it is created from main if it does not exist.")
    pull_request: bool = Field(False, description="Whether to open a pull request against main instead of committing to it.")
    tag: Ref | None = Field(None, description="Git tag to give the commit; a tag that names another content is never moved.")
    sign: bool = Field(False, description="Whether the package must be signed first; PIPELINE_SIGN names the key.")
    allow_pickle: bool = Field(False, description="Whether files that can run code when they are loaded (pickles) may be published.")

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "branch",
            lambda p: p.pull_request and p.branch != MAIN,
            "A pull request is opened against main, so another branch would have no effect.",
            "Leave out branch or pull_request.",
        ),
        Rule(
            "tag",
            lambda p: p.pull_request and p.tag,
            "A tag would name the commit of a pull request that may never be merged.",
            "Leave it out, and tag the commit once it is merged.",
        ),
        Rule(
            "tag",
            lambda p: p.tag in (p.branch, MAIN),
            "The hub could not distinguish this tag from the branch of the same name.",
            "Give the tag another name.",
        ),
        Rule("license_reason", lambda p: p.license_reason and not p.license, "Without publish.license a reason has no effect."),
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
                yield Fault(loc, "`{org}` has no value without org.", "Add org, or write the owner's name.")
        if self.org and not any("{org}" in pattern for pattern in given.values()):
            yield Fault(("org",), "No repository has `{org}` in its name, so org would have no effect.", "Leave it out.")

    def _nowhere(self) -> Iterator[Fault]:
        """Without a repository only the words for the card have an effect, as in the recipe inside a package."""
        for name in _WHERE:
            if getattr(self, name) != type(self).model_fields[name].get_default():
                yield Fault((name,), "Without repo or repos nothing is published, so this would have no effect.", "Add repo or repos.")
        if not (self.license or self.tags):
            yield Fault((), "No repository to publish to is named.", "Add repo or repos.")


class CardWords(Model):
    """What a recipe wants a model card to say beyond the build's own facts, and where its readers get the files."""

    license: Licence | None = Field(None, description="Licence instead of the source's.")
    license_reason: Line | None = Field(None, description="Why.")
    tags: tuple[CardTag, ...] = Field((), description="Further tags.")
    repo: Repo | None = Field(None, description="Repository on the hub that it is published to.", exclude_if=lambda repo: repo is None)
    branch: Ref | None = Field(None, description="Branch of it, if not main.", exclude_if=lambda branch: branch is None)


@dataclass(frozen=True)
class Destination:
    """Where a package goes.

    Attributes:
        repo: owner/name on the hub.
        branch: the branch to commit to, or the base of the pull request.
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
    """What the card of a package that goes to `home` says; None if it says nothing, so that other packages do not depend on it."""
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
    """The part of a recipe that gives these words, by build or bundle: for the recipe inside a package."""
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
    """Where the build `name` of `recipe` goes; None if it is not published. With `listed_only`, only `repos` counts."""
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

    `names` are the recipe's builds and bundles; True for a build that is in a bundle, and so is not published separately unless
    `repos` has it.
    """
    yield from _licence_faults(publish, source_license)
    for name in publish.repos:
        if name not in names:
            yield Fault(("repos", name, "[key]"), f"No build is called {quoted(name)}.", f"The builds are {', '.join(names)}.")
    yield from _repository_faults(publish, recipe, [name for name, inside in names.items() if name in publish.repos or not inside])


def _licence_faults(publish: Publish, source: str) -> Iterator[Fault]:
    if publish.license is None:
        return
    if publish.license.lower() != source.lower():
        if publish.license_reason is None:
            yield Fault(
                ("license",),
                f"The source's licence is {quoted(source)}, and this is another one.",
                "Write the source's licence or none, or explain in license_reason why this one is right.",
            )
    elif publish.license_reason is not None:
        yield Fault(("license_reason",), "The licence is the source's own, so no reason is needed.", "Leave it out.")


def _repository_faults(publish: Publish, recipe: str, names: Iterable[str]) -> Iterator[Fault]:
    """Every build goes to a repository that the hub takes, and no two to the same (the hub ignores case)."""
    taken: dict[str, str] = {}
    for name in names:
        home = destination(publish, recipe, name)
        if home is None:
            continue
        loc = ("repos", name) if name in publish.repos else ("repo",)
        if not is_repository(home.repo):
            yield Fault(
                loc,
                f"For the build {quoted(name)} this is {quoted(home.repo, 110)}, which the hub does not take.",
                "Write a shorter or simpler one.",
            )
        if home.repo.lower() in taken:
            yield Fault(
                loc,
                f"{quoted(taken[home.repo.lower()])} and {quoted(name)} would both go to {quoted(home.repo)}.",
                "Put `{build}` into the name, or name a repository for each in repos.",
            )
        taken.setdefault(home.repo.lower(), name)
