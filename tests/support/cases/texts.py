"""Tokenizers, chat templates and generation configs as people's repositories have them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.cases.making import CHAT, Case, edit, model, save, tokenizer

_BEGIN, _END = "<|im_start|>", "<|im_end|>"
_SAY = f"{{{{'{_BEGIN}' + m['role'] + '\\n' + m['content'] + '{_END}\\n'}}}}"
_EACH = "{% for m in messages %}" + _SAY + "{% endfor %}"
_ASK = f"{{% if add_generation_prompt %}}{{{{'{_BEGIN}assistant\\n'}}}}{{% endif %}}"
_PART = "{% for c in m['content'] %}{% if c['type']=='text' %}{{ c['text'] }}{% endif %}{% endfor %}"

TEMPLATES = {
    "generation": (
        "{% for m in messages %}{% if m['role']=='assistant' %}"
        + f"{{{{'{_BEGIN}assistant\\n'}}}}{{% generation %}}{{{{ m['content'] + '{_END}' }}}}{{% endgeneration %}}{{{{'\\n'}}}}"
        + "{% else %}"
        + _SAY
        + "{% endif %}{% endfor %}"
        + _ASK
    ),
    "strftime": (
        "{% if strftime_now is defined %}{% set d = strftime_now('%d %b %Y') %}{% else %}{% set d = '26 Jul 2024' %}{% endif %}"
        + f"{{{{ '{_BEGIN}system\\nToday Date: ' + d + '{_END}\\n' }}}}"
        + _EACH
        + _ASK
    ),
    "norole": (
        "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
        "{% for m in messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}"
        "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}"
        "{% set role = 'model' if m['role']=='assistant' else m['role'] %}"
        + f"{{{{'{_BEGIN}' + role + '\\n' + m['content'] | trim + '{_END}\\n'}}}}{{% endfor %}}"
        + f"{{% if add_generation_prompt %}}{{{{'{_BEGIN}model\\n'}}}}{{% endif %}}"
    ),
    "tools": (
        f"{{%- if tools %}}{{{{- '{_BEGIN}system\\n# Tools\\n' }}}}{{%- for tool in tools %}}{{{{- tool | tojson }}}}{{%- endfor %}}"
        + f"{{{{- '{_END}\\n' }}}}{{%- endif %}}"
        + "{%- set ns = namespace(multi=true, last=messages|length - 1) %}{%- for m in messages[::-1] %}"
        "{%- set index = (messages|length - 1) - loop.index0 %}{%- if ns.multi and m.role == 'user' and not "
        "(m.content is string and m.content.startswith('<tool_response>')) %}{%- set ns.multi = false %}{%- set ns.last = index %}"
        "{%- endif %}{%- endfor %}{%- for m in messages %}"
        + f"{{{{- '{_BEGIN}' + m.role + '\\n' + (m.content.split('</think>')[-1].lstrip('\\n') if m.content is string else '')"
        + f" + '{_END}\\n' }}}}{{%- endfor %}}{{%- if add_generation_prompt %}}{{{{- '{_BEGIN}assistant\\n' }}}}"
        + "{%- if enable_thinking is defined and enable_thinking is false %}{{- '<think>\\n\\n</think>\\n\\n' }}{%- endif %}{%- endif %}"
    ),
    "macro": (
        f"{{%- macro say(m) -%}}{{{{- '{_BEGIN}' ~ m['role'] ~ '\\n' ~ m['content'] ~ '{_END}' ~ '\\n' -}}}}{{%- endmacro -%}}"
        "{%- set loop_messages = messages[1:] if messages[0]['role'] == 'system' else messages -%}"
        "{%- set sys = messages[0]['content'] if messages[0]['role'] == 'system' else 'None' -%}"
        + f"{{{{- '{_BEGIN}system\\n' ~ sys ~ '{_END}\\n' -}}}}{{%- for m in loop_messages -%}}{{{{- say(m) -}}}}{{%- endfor -%}}"
        + f"{{%- if add_generation_prompt -%}}{{{{- '{_BEGIN}assistant\\n' -}}}}{{%- endif -%}}"
    ),
    "parts": (
        f"{{% for m in messages %}}{{{{'{_BEGIN}'+m['role']+'\\n'}}}}{{% if m['content'] is string %}}{{{{ m['content'] }}}}{{% else %}}"
        + _PART
        + f"{{% endif %}}{{{{'{_END}\\n'}}}}{{% endfor %}}"
        + _ASK
    ),
    "parts-only": f"{{% for m in messages %}}{{{{'{_BEGIN}'+m['role']+'\\n'}}}}" + _PART + f"{{{{'{_END}\\n'}}}}{{% endfor %}}" + _ASK,
    "needs-system": (
        "{% if messages[0]['role'] != 'system' %}{{ raise_exception('The first message must be a system message') }}{% endif %}"
        + _EACH
        + _ASK
    ),
    "user-last": (
        "{% if messages[-1]['role'] != 'user' %}{{ raise_exception('The last message must be from the user') }}{% endif %}" + _EACH + _ASK
    ),
}
_WITH_SYSTEM = [
    {
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Say something."}],
        "matches": ".",
        "max_new_tokens": 6,
        "ends": False,
    }
]


def _template(name: str) -> Case:
    def make(files: Path) -> None:
        words = tokenizer()
        words.chat_template = TEMPLATES[name]
        save(model(), files, words)

    return Case(make, golden=_WITH_SYSTEM if name == "needs-system" else CHAT)


def _base_with_template(files: Path) -> None:
    """A base model: it ends with <|endoftext|>, and its tokenizer has a chat template all the same."""
    words = tokenizer()
    words.eos_token = words.pad_token = "<|endoftext|>"
    save(model(eos_token_id=0, pad_token_id=0), files, words)


def _generation(settings: dict[str, Any] | None) -> Callable[[Path], None]:
    def make(files: Path) -> None:
        save(model(), files)
        path = files / "generation_config.json"
        if settings is None:
            path.unlink()
        else:
            path.write_text(json.dumps(settings), encoding="utf-8")

    return make


def _named_templates(files: Path) -> None:
    """Several templates as transformers saves them: the others in additional_chat_templates/."""
    words = tokenizer()
    base = words.chat_template
    words.chat_template = {"default": base, "tool_use": base.replace("helpful", "tool-using"), "rag": base}
    save(model(), files, words)


def _named_in_config(files: Path) -> None:
    """Several templates as older repositories have them: a list in tokenizer_config.json."""
    save(model(), files)
    path = files / "chat_template.jinja"
    base = path.read_text(encoding="utf-8")
    path.unlink()
    both = [{"name": "default", "template": base}, {"name": "tool_use", "template": base.replace("helpful", "tool")}]
    edit(files / "tokenizer_config.json", chat_template=both)


def _llama_class(files: Path) -> None:
    """A byte-level tokenizer.json under a class that transformers 5 rebuilds as a SentencePiece-like one: every space is lost."""
    save(model(), files)
    edit(files / "tokenizer_config.json", tokenizer_class="LlamaTokenizerFast")


CASES = {
    "base-with-template": Case(_base_with_template),
    "gen-invalid": Case(_generation({"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2, "temperature": 0.6, "top_p": 0.9})),
    "gen-no-eos": Case(_generation({"_from_model_config": True})),
    "gen-absent": Case(_generation(None)),
    "named-templates": Case(_named_templates, golden=CHAT),
    "named-in-config": Case(_named_in_config, golden=CHAT),
    "llama-class": Case(_llama_class),
    **{f"tpl-{name}": _template(name) for name in TEMPLATES},
}
