#!/usr/bin/env python3
"""Writes what PyPI's jinja2 makes of chat templates, for ChatTemplateReferenceTests and ChatTemplateConstructTests.

    python3 -m pip install jinja2==3.1.6
    python3 Tests/TokenizationTests/Fixtures/make_template_reference.py [FOLDER_OF_MODELS_TEMPLATES]

The environment is that of transformers' `chat_template_utils.py`: an immutable sandbox, trim_blocks, lstrip_blocks,
loop controls, `generation`, and its `tojson`, `raise_exception` and `strftime_now` (here on a fixed day).

Writes, beside itself:
  template_conversations.json  the contexts
  template_reference.json      for each template of chat_templates/ the whole output of each conversation; for each
                               template of FOLDER_OF_MODELS_TEMPLATES (publishers' own, not ours to copy) its length
                               and FNV-1a hash. `--show TEMPLATE CONVERSATION` prints such an output.
  template_constructs.json     small templates and their output
"""
import datetime, json, pathlib, sys

import jinja2, jinja2.ext, jinja2.sandbox
from jinja2 import nodes

HERE = pathlib.Path(__file__).parent


class Raised(Exception):
    pass


class Generation(jinja2.ext.Extension):
    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return nodes.ScopedEvalContextModifier([], body).set_lineno(line)


def environment():
    def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    def raise_exception(message):
        raise Raised(message)

    def strftime_now(format):
        return datetime.datetime(2025, 3, 14, 12).strftime(format)

    env = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols])
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = strftime_now
    return env


ENVIRONMENT = environment()


def render(source, context):
    try:
        text = ENVIRONMENT.from_string(source).render(**context)
    except Raised as error:
        return {"raised": str(error)}
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}
    if " at 0x" in text:
        return {"error": "prints an object's address"}
    return {"output": text}


def digest(result):
    if "output" not in result:
        return result
    data = result["output"].encode()
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return {"bytes": len(data), "fnv1a": f"{value:016x}"}


# Conversations

TOOLS = [
    {"type": "function", "function": {
        "name": "get_weather", "description": "The weather of a place.  ",
        "parameters": {"type": "object", "required": ["place"], "properties": {
            "place": {"type": "string", "description": "City, e.g. \"Zürich\""},
            "days": {"type": "integer", "description": "How many", "default": 1},
            "unit": {"type": "string", "enum": ["celsius", "fahrenheit"], "description": "Unit", "default": "celsius"},
        }}}},
    {"type": "function", "function": {
        "name": "search", "description": "Searches <everything> & more",
        "parameters": {"type": "object", "properties": {
            "queries": {"type": "array", "items": {"type": "string"}, "description": "What for"},
            "limit": {"type": ["integer", "null"], "description": "At most"},
            "filter": {"type": "object", "description": "By field", "properties": {"lang": {"type": "string"}}},
            "since": {"oneOf": [{"type": "string"}, {"type": "number"}], "description": "When", "default": "now"},
            "anything": {"description": "No type"},
            "list": {"type": "array", "description": "Of what?"},
        }}, "return": {"type": "object", "description": "Hits", "additionalProperties": {"type": "number"}}}},
]


def user(content): return {"role": "user", "content": content}
def assistant(content, **more): return {"role": "assistant", "content": content, **more}
def system(content): return {"role": "system", "content": content}


def call(name, arguments, id="abcDEF123"):
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


BASE = {"tools": None, "documents": None, "add_generation_prompt": True, "bos_token": "<s>", "eos_token": "</s>"}
WEATHER = [user("Weather in Zürich?"),
           assistant("", tool_calls=[call("get_weather", {"place": "Zürich", "days": 2, "exact": True, "x": [1.0, None]})]),
           {"role": "tool", "tool_call_id": "abcDEF123", "name": "get_weather", "content": "{\"temp\": 21.5}"}]
CONVERSATIONS = {
    "user": {"messages": [user("Hello!")]},
    "system and user": {"messages": [system("  Be brief.\n"), user("Hello!")]},
    "no generation prompt": {"messages": [user("Hello!"), assistant("Hi.")], "add_generation_prompt": False},
    "many turns": {"messages": [system("You are\nkind."), user("One"), assistant("1"), user("Two\n"), assistant(" 2 "), user("Three")]},
    "tools": {"messages": [system("Use tools."), user("Weather in Zürich?")], "tools": TOOLS},
    "tool call and result": {"messages": WEATHER, "tools": TOOLS},
    "tool call, result, answer": {"messages": WEATHER + [assistant("21.5 degrees."), user("Thanks")], "tools": TOOLS},
    "one tool": {"messages": [user("Weather?")], "tools": TOOLS[:1]},
    "arguments as text": {"messages": [user("Find it"), assistant(None, tool_calls=[call("search", "{\"queries\": [\"it\"]}")]),
                          {"role": "tool", "tool_call_id": "abcDEF123", "content": "nothing"}]},
    "two calls": {"messages": [user("Both"), assistant("Sure.", tool_calls=[
        call("get_weather", {"place": "A"}, "aaaaaaaa1"), call("search", {"queries": []}, "aaaaaaaa2")]),
        {"role": "tool", "tool_call_id": "aaaaaaaa1", "content": "1"}, {"role": "tool", "tool_call_id": "aaaaaaaa2", "content": "2"}],
        "tools": TOOLS},
    "short call id": {"messages": [user("Go"), assistant("", tool_calls=[call("search", {}, "1")])]},
    "parts": {"messages": [system([{"type": "text", "text": "Look."}]), user([{"type": "text", "text": "What is"}, {"type": "image"}, {"type": "text", "text": "this?"}])]},
    "odd part": {"messages": [user([{"type": "audio", "audio": "x"}])]},
    "unicode": {"messages": [system("Ünï\u00a0cødé \u2028 e\u0301 é"), user("\u3000日本語 🇨🇭👩‍👩‍👧\r\nline two\u00a0 "), assistant("\tñ\x0b"), user("<|im_end|> {{ messages }} \"q\" 'a' \\n")]},
    "thoughts": {"messages": [user("Think"), assistant("<think>\nhm\n</think>\n\nDone."), user("/no_think again"), assistant("<think>more</think>ok")], "add_generation_prompt": False},
    "reasoning fields": {"messages": [user("Think"), assistant("Done.", reasoning_content="hm", thinking="hmm"), user("And?")]},
    "thinking off": {"messages": [user("Quick")], "enable_thinking": False},
    "thinking on": {"messages": [user("Slow")], "enable_thinking": True, "reasoning_effort": "high"},
    "two users": {"messages": [user("One"), user("Two")]},
    "unknown role": {"messages": [{"role": "wizard", "content": "Abra"}]},
    "documents": {"messages": [user("Cite")], "documents": [{"title": "T", "text": "Text."}, {"title": "U", "text": "ü"}]},
    "builtin tools": {"messages": [user("Run")], "builtin_tools": ["code_interpreter", "browser", "python"], "date_string": "1 Jan 2025"},
    "no messages": {"messages": []},
    "nothing given": {"messages": [user("Hello!")], "add_generation_prompt": False, "bos_token": "", "eos_token": ""},
}
CONVERSATIONS = {name: {**BASE, **context} for name, context in CONVERSATIONS.items()}

# Constructs

VALUES = {
    "a": [3, 1, 2], "words": ["pear", "Apple", "fig"], "s": "Hello, World", "u": "e\u0301 日本 🇨🇭", "empty": [], "no": None,
    "d": {"b": 1, "a": {"x": [1, 2]}, "items": "entry"}, "f": 1.5, "n": 7, "t": True,
    "people": [{"name": "Ann", "age": 31, "tags": ["x"]}, {"name": "bob", "age": 25}, {"name": "Cy", "age": 25, "tags": []}],
    "text": "  one\n two\n\nthree  ",
}
CONSTRUCTS = (HERE / "template_constructs.txt").read_text().split("\n----\n")


def write(name, value):
    (HERE / name).write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n")


def main():
    arguments = [a for a in sys.argv[1:] if a != "--show"]
    if "--show" in sys.argv:
        source = pathlib.Path(arguments[0]).read_text()
        print(render(source, CONVERSATIONS[arguments[1]]))
        return
    ours = sorted((HERE / "chat_templates").glob("*.jinja"))
    models = sorted(pathlib.Path(arguments[0]).glob("*.jinja")) if arguments else []
    results = {"ours": {}, "models": {}}
    for group, files in (("ours", ours), ("models", models)):
        for file in files:
            results[group][file.name] = {
                name: (render if group == "ours" else lambda s, c: digest(render(s, c)))(file.read_text(), context)
                for name, context in CONVERSATIONS.items()}
    write("template_conversations.json", CONVERSATIONS)
    write("template_reference.json", results)
    write("template_constructs.json", {
        "context": VALUES, "cases": [{"template": source, **render(source, VALUES)} for source in CONSTRUCTS]})


main()
