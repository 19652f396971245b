"""What may follow on the command line: `bakehouse --complete WORD... =LAST`. A shell waits for it, so it imports next to nothing.

The names of builds come from a look at the recipes' lines, since importing a reader of YAML takes as long as all the rest; only a
recipe in which those lines show another form than the usual one is read by PyYAML.
"""

from __future__ import annotations

import os

# The flags of each verb, and whether a value follows; a test compares them with the commands' own options.
FLAGS: dict[str, dict[str, bool]] = {
    "init": {
        "--runtime": True,
        "--name": True,
        "--prompt": True,
        "--contains": True,
        "--audio": True,
        "--picture": True,
        "--bounds": False,
        "--yes": False,
    },
    "doctor": {"--json": False},
    "support": {"--json": False},
    "list": {"--quiet": False, "--json": False},
    "plan": {"--json": False},
    "lint": {"--json": False},
    "build": {"--continue": False, "-n": True, "--cluster": True},
    "run": {
        "--device": True,
        "--max-tokens": True,
        "--temperature": True,
        "--seed": True,
        "--system": True,
        "--raw": False,
        "--timestamps": True,
    },
    "chat": {"--device": True, "--max-tokens": True, "--temperature": True, "--seed": True, "--system": True},
    "serve": {"--device": True, "--host": True, "--port": True, "--api-key": True},
    "bench": {"--device": True, "--runs": True, "--prompt-tokens": True, "--new-tokens": True, "--wait": False, "--json": False},
    "evaluate": {"--device": True, "--tasks": True, "--few-shot": True, "--limit": True, "--json": False},
    "compare": {"--html": True, "--json": False},
    "search": {"--plan": False, "--print": False, "--html": True, "--cluster": True, "--json": False},
    "check": {"--package": True, "--key": True, "--certificate": True, "--identity": True, "--issuer": True, "--json": False},
    "deliver": {"--to": True, "--json": False},
    "sign": {"--continue": False, "-n": True},
    "publish": {"--continue": False, "-n": True, "--dry-run": False, "--cluster": True},
    "release": {"--output": True, "--from": True, "--since": True, "--without-failed": False, "--part-size": True},
    "rebuild": {"--keep": False},
    "worker": {"--count": True, "--tag": True},
    "cluster": {"-n": True, "--host": True, "--port": True, "--tag": True},
    "matrix": {"--against": True, "--base": True, "--ask": False, "--as": True, "--json": False},
    "clean": {},
    "prune": {"--dry-run": False, "--yes": False, "--all-recipes": False},
    "schema": {},
    "completion": {},
}
_NAMELESS = ("worker", "cluster", "init", "doctor", "support", "list", "lint", "prune", "schema")  # all others take names of builds
_ALL_OF_A_RECIPE = ("build", "sign", "publish", "clean")  # take the name of a recipe for all its builds
_READING = ("list", "plan", "lint", "build", "matrix")
SHELLS = ("bash", "zsh", "fish", "powershell")
_LARGEST = 1 << 20  # bytes of a recipe
_OTHER_FORMS = tuple("{[&*!|>?<%@`")  # what a key or a value begins with where it is not a plain or quoted word


def main(words: list[str]) -> int:
    """Print the candidates for the last word, one a line, a tab and a few words behind those that have some; never fail."""
    try:
        for candidate in candidates(words[:-1], words[-1].removeprefix("=") if words else ""):
            print(candidate)
    except Exception:  # a person who types has no use for a traceback in the middle of the line
        return 0
    return 0


def candidates(before: list[str], last: str) -> list[str]:
    """What may stand in the place of the last word, after the others."""
    if not before:
        return _starting(last, _verbs())
    verb, *given = before
    flags = FLAGS.get(verb, {})
    if given and flags.get(given[-1]):  # a value: the shell's own file names, but for places
        return _starting(last, _places()) if (verb, given[-1]) == ("deliver", "--to") else []
    if last.startswith("-"):
        return _starting(last, [*flags, *(["--untrusted"] if verb in _READING else []), "--help"])
    if verb == "completion":
        return _starting(last, SHELLS)
    if verb in _NAMELESS:
        return []
    sections = ("searches",) if verb == "search" else ("builds", "repositories")
    return [name for name in _starting(last, names(verb in _ALL_OF_A_RECIPE, sections)) if name not in given]


def _verbs() -> list[str]:
    from bakehouse.app.verbs import VERBS

    return [f"{verb.name}\t{verb.does}" for verb in VERBS]


def _places() -> list[str]:
    """The places that packages are delivered to, by the names of their modules: to import them takes too long."""
    backends = os.path.join(os.path.dirname(os.path.dirname(__file__)), "backends")  # noqa: PTH118, PTH120 (as below)
    found = [
        file
        for folder in os.listdir(backends)  # noqa: PTH208
        if os.path.isdir(places := os.path.join(backends, folder, "deliver"))  # noqa: PTH112, PTH118
        for file in os.listdir(places)  # noqa: PTH208
    ]
    return sorted(file.removesuffix(".py").replace("_", "-") for file in found if file.endswith(".py") and file[0] not in "_.")


def _starting(last: str, found: list[str] | tuple[str, ...]) -> list[str]:
    return [one for one in found if one.startswith(last)]


def names(recipes_too: bool, sections: tuple[str, ...] = ("builds", "repositories")) -> list[str]:
    """The builds of all recipes, or what else is in these sections, and the recipes themselves."""
    folder = os.environ.get("PIPELINE_RECIPES") or "recipes"
    found: list[str] = []
    for file in sorted(os.listdir(folder)):  # noqa: PTH208 (pathlib alone takes as long as all this)
        path = os.path.join(folder, file)  # noqa: PTH118
        if file.endswith(".yaml") and os.path.getsize(path) <= _LARGEST:  # noqa: PTH202
            with open(path, encoding="utf-8", errors="replace") as recipe:  # noqa: PTH123
                name, builds = _of_recipe(recipe.read(), sections)
            found += [name] * bool(recipes_too and builds) + [f"{name}-{build}" for build in builds]
    return found


def _of_recipe(text: str, sections: tuple[str, ...]) -> tuple[str, list[str]]:
    """The name of a recipe and of what is in these sections."""
    found = _by_lines(text, sections)
    return _by_yaml(text, sections) if found is None else found


def _by_lines(text: str, sections: tuple[str, ...]) -> tuple[str, list[str]] | None:
    """The names in block YAML; None where a line that decides has another form, as flow style or an anchor."""
    name, section, indent, builds = "", "", 0, []
    for line in text.splitlines():
        key, colon, value = line.partition(":")
        depth = len(key) - len(key.lstrip())
        key, value = key.strip().strip("'\""), value.partition(" #")[0].strip()
        if depth == 0 and key[:1] in _OTHER_FORMS:
            return None
        if not colon or not key or key.startswith(("#", "-")):
            continue
        if depth == 0:
            section, indent = key, 0
            if (key == "name" and value[:1] in _OTHER_FORMS) or (key in sections and value):
                return None
            name = value.strip("'\"") if key == "name" else name
        elif section in sections and depth == (indent := indent or depth):
            if key[:1] in _OTHER_FORMS:
                return None
            builds.append(key)
    return name, builds


def _by_yaml(text: str, sections: tuple[str, ...]) -> tuple[str, list[str]]:
    import yaml

    try:
        read = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        named = [key for section in sections for key in (read.get(section) or {})]
        return str(read["name"]), [key for key in named if isinstance(key, str)]
    except (yaml.YAMLError, AttributeError, KeyError, TypeError, ValueError, RecursionError):
        return "", []  # no recipe; the others still have names
