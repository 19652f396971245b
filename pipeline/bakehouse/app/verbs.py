"""The one table of commands: what `bakehouse VERB` and `doit VERB` carry out."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

_COMMANDS = "bakehouse.app.commands"

# Commands that a checkout's doit has too, in place of doit's own or in addition: the plugins of pyproject.toml.
OF_DOIT: MappingProxyType[str, str] = MappingProxyType(
    {
        "run": f"{_COMMANDS}.run:Run",
        "list": f"{_COMMANDS}.list:List",
        "plan": f"{_COMMANDS}.plan:Plan",
        "lint": f"{_COMMANDS}.lint:Lint",
        "schema": f"{_COMMANDS}.schema:Schema",
        "check": f"{_COMMANDS}.check:Check",
        "rebuild": f"{_COMMANDS}.rebuild:Rebuild",
        "release": f"{_COMMANDS}.release:Release",
        "doctor": f"{_COMMANDS}.doctor:Doctor",
        "matrix": f"{_COMMANDS}.matrix:Matrix",
        "prune": f"{_COMMANDS}.prune:Prune",
        "compare": f"{_COMMANDS}.compare:Compare",
        "search": f"{_COMMANDS}.search:Search",
        "forget": f"{_COMMANDS}.refused:Forget",
        "ignore": f"{_COMMANDS}.refused:Ignore",
        "info": f"{_COMMANDS}.refused:Info",
        "dumpdb": f"{_COMMANDS}.refused:DumpDB",
        "reset-dep": f"{_COMMANDS}.refused:ResetDep",
        "strace": f"{_COMMANDS}.refused:Strace",
        "verify": f"{_COMMANDS}.refused:Verify",
    }
)
# Commands whose names are task groups in doit: `bakehouse build NAME` is `doit build:NAME`.
OF_TASKS: MappingProxyType[str, str] = MappingProxyType(
    {name: f"{_COMMANDS}.groups:{name.capitalize()}" for name in ("build", "sign", "publish", "clean")}
)
# Commands of `bakehouse` alone, which need no tasks of doit: a module with `parser` and `run`. `run` is doit's own in a checkout.
ALONE: MappingProxyType[str, str] = MappingProxyType(
    {
        "run": f"{_COMMANDS}.answer",
        "chat": f"{_COMMANDS}.chat",
        "bench": f"{_COMMANDS}.bench",
        "evaluate": f"{_COMMANDS}.evaluate",
        "serve": f"{_COMMANDS}.serve",
        "support": f"{_COMMANDS}.support",
        "worker": f"{_COMMANDS}.worker",
        "cluster": f"{_COMMANDS}.cluster",
        "deliver": f"{_COMMANDS}.deliver",
    }
)


@dataclass(frozen=True)
class Verb:
    """A command of `bakehouse`: its name, what it does in a few words, and what may follow it, for examples."""

    name: str
    does: str
    examples: tuple[str, ...] = ()


# In the order in which a person meets them.
VERBS = (
    Verb("init", "write a recipe for a model: from the hub, a folder or a GGUF file"),
    Verb("doctor", "show what this machine can build and run, and why not"),
    Verb("support", "show which types of model each runtime takes, and with which toolchain", ("", "gemma3_text", "./checkpoint --json")),
    Verb("list", "list the builds of all recipes, and how they stand"),
    Verb("plan", "show the steps of builds, which would run and why, and what they would take", ("", "phi3-int4")),
    Verb("lint", "check all recipes; every error of every file"),
    Verb(
        "build",
        "make builds: download, convert, validate, package",
        ("phi3-int4", "phi3", "'*-int4' -c -n 2", "phi3 --cluster tls://scheduler:8786"),
    ),
    Verb(
        "run",
        "have a package answer a prompt, in its own runtime",
        (
            "phi3-int4 'What is the capital of France?'",
            "./downloaded --device GPU < prompt.txt",
            "minilm-int8 'How do I bake bread?' 'Mix flour and water.' 'The train leaves at noon.'",
            "whisper-int8 recording.wav",
            "diffusion-int8 'A loaf of bread' loaf.png",
            "gemma3-int4 picture.png 'What is in this picture?'",
        ),
    ),
    Verb("chat", "talk with a package, in its own runtime", ("phi3-int4", "phi3-int4 --temperature 0.7 --system 'Be brief.'")),
    Verb("serve", "serve a package to clients of OpenAI's API", ("phi3-int4", "phi3-int4 --device GPU --port 8080")),
    Verb("bench", "measure packages: load time, first token, tokens a second, memory", ("phi3-int4 phi3-int8 --wait", "phi3-int4 --json")),
    Verb(
        "evaluate",
        "have a package carry out tasks of lm-eval, with local data",
        ("phi3-int4 --tasks capitals.yaml", "phi3-int4 --tasks capitals.yaml,grammar.yaml --few-shot 2 --json"),
    ),
    Verb(
        "compare",
        "show packages side by side: size, bits, agreement with the source, answers",
        ("", "phi3-int4 phi3-int8", "--html page.html"),
    ),
    Verb(
        "search",
        "find the best build within bounds, and write it into the recipe",
        ("phi3-small", "phi3-small --plan", "phi3-small --print"),
    ),
    Verb("check", "check a package, or everything in the store: every file against every list"),
    Verb(
        "deliver",
        "lay a package out for another program: Foundry Local, Transformers.js, Model Server",
        ("phi3-int4", "phi3-int4 --to foundry-local ./foundry", "./downloaded --to transformers-js ./web --json"),
    ),
    Verb("sign", "sign a copy of a package"),
    Verb("publish", "bring packages to where their recipes publish them", ("phi3-int4 --dry-run",)),
    Verb("release", "make the files of a release out of packages"),
    Verb("rebuild", "make a package again from what lies in it, and compare the bytes", ("artifacts/packages/phi3-int4",)),
    Verb("worker", "make steps for a cluster, until Ctrl-C", ("tls://scheduler:8786", "tls://scheduler:8786 --count 2")),
    Verb(
        "cluster",
        "start the scheduler of a cluster, or all of it on this machine; make its certificates",
        ("local -n 2", "certificates DIR"),
    ),
    Verb("matrix", "print the builds as a matrix for CI"),
    Verb("clean", "forget results, so that the next build makes them again", ("phi3-int4", "convert:phi3-int4")),
    Verb("prune", "drop what no recipe uses", ("--dry-run",)),
    Verb("completion", "print the script that completes commands, flags and names in your shell", ("bash",)),
    Verb("schema", "write the recipes' JSON Schema for editors and the table of their fields"),
)
