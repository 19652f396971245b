"""Microsoft's Foundry Local: one flat model folder, which its SDK registers in its local catalog.

Read in foundry-local-sdk 2.2.1: `register_model` wants a folder with a genai_config.json, an id of the form name:version and a task. A
folder of the cache has an inference_model.json with the model's name; a prompt template of null means the one of the tokenizer. A chat
asks for 2,048 tokens unless it says otherwise, and is refused if the model's context is shorter: hence the bound in the program.
"""

from __future__ import annotations

import json

from bakehouse.backends.delivery import Code, Layout, Packed, Profile, Text, as_json
from bakehouse.backends.onnxruntime_genai import model_folders
from bakehouse.recipe.kinds import BuildOptions

_NAME = "foundry-local"
_SDK = "foundry-local-sdk==2.2.1"
_TASK = "chat-completion"
_PROGRAM = """\
import os

from foundry_local_sdk import CatalogType, ChatSession, Configuration, FoundryLocalManager, MessageItem, MessageRole
from foundry_local_sdk import ModelInfoBuilder, Request, RequestOptions, SearchOptions

FoundryLocalManager.initialize(Configuration(app_name="local-models"))
catalog = FoundryLocalManager.instance.get_catalog(CatalogType.LOCAL)
model = catalog.get_model_variant({id})
if model is None:
    with ModelInfoBuilder() as metadata:
        metadata.set_string_property("task", "chat-completion")
        model = catalog.register_model(os.getcwd(), {id}, metadata)
model.load()
with ChatSession(model) as session:
    session.set_options(RequestOptions(search=SearchOptions(temperature=0.0, max_output_tokens={tokens})))
    with Request() as request:
{messages}
        with session.process_request(request) as response:
            print(response.get_item(0).get_simple_text())
model.unload()
"""


def _fits(name: str, builds: tuple[BuildOptions, ...]) -> None:
    model_folders.one_model(_NAME, name, builds)


def _layout(packed: Packed) -> Layout:
    model = model_folders.only(packed)
    name = as_json({"Name": packed.name, "PromptTemplate": None})
    return Layout(carried=model.files, written={"inference_model.json": Text(name)}, readme=_readme(packed, model))


def _readme(packed: Packed, model: model_folders.Model) -> tuple[str | Code, ...]:
    turns = ((role.upper(), json.dumps(content, ensure_ascii=False)) for role, content in packed.chat)
    messages = "\n".join(f"        request.add_item(MessageItem(MessageRole.{role}, {content}))" for role, content in turns)
    program = _PROGRAM.format(id=json.dumps(f"{packed.name}:1"), tokens=packed.max_new_tokens, messages=messages)
    needs = "" if model.build.execution_provider == "cpu" else f" The model is made for {model.title}: Foundry Local needs that provider."
    return (
        f"The model's id is `{packed.name}:1`, its task `{_TASK}`, its context {model.config.model.context_length} tokens.{needs}",
        Code(f"pip install {_SDK}", "sh"),
        "Start the program in this folder. It registers the model, loads it, asks it one question and unloads it:",
        Code(program, "python"),
        f'The registration stays, so do not move the folder; `catalog.unregister_model("{packed.name}:1")` ends it.',
    )


PROFILE = Profile(_NAME, 1, "Foundry Local", "a package of one model for ONNX Runtime GenAI", _fits, _layout)
