"""A server that offers what the conformance suite asks for: `fixture.py handshake` or `fixture.py stateless`.

The wire is that of the stub server (`tests/kit`, which PYTHONPATH has to name); here is only what is on offer. A tool
with questions is written once: `asks` sends them as requests of the server, or as `input_required`, as the era wants.
"""
from __future__ import annotations

import hashlib
import json
import sys

import stub_tools
from stub_server import SERVED, Fail, Stub

M = "io.modelcontextprotocol/"
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=="
SILENCE = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQAAAAA="
IMAGE = {"type": "image", "data": PIXEL, "mimeType": "image/png"}
CAPABILITY = {"elicitation/create": "elicitation", "sampling/createMessage": "sampling", "roots/list": "roots"}


def text(words):
    return {"type": "text", "text": words}


def embedded(uri, words, kind="text/plain"):
    return {"type": "resource", "resource": {"uri": uri, "mimeType": kind, "text": words}}


# --- questions ---------------------------------------------------------------------------------------------------


def elicit(message, **properties):
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    return {"method": "elicitation/create", "params": {"message": message, "requestedSchema": schema}}


def sample(prompt):
    messages = [{"role": "user", "content": text(prompt)}]
    return {"method": "sampling/createMessage", "params": {"messages": messages, "maxTokens": 100}}


ROOTS = {"method": "roots/list", "params": {}}
STRING, BOOLEAN = {"type": "string"}, {"type": "boolean"}


def options(*pairs):
    return [{"const": const, "title": title} for const, title in pairs]


DEFAULTS = elicit(
    "Please look through your data",
    name={"type": "string", "default": "John Doe"},
    age={"type": "integer", "default": 30},
    score={"type": "number", "default": 95.5},
    status={"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
    verified={"type": "boolean", "default": True},
)
ENUMS = elicit(
    "Please choose",
    untitledSingle={"type": "string", "enum": ["option1", "option2", "option3"]},
    titledSingle={"type": "string", "oneOf": options(("value1", "First"), ("value2", "Second"), ("value3", "Third"))},
    legacyEnum={"type": "string", "enum": ["opt1", "opt2", "opt3"], "enumNames": ["One", "Two", "Three"]},
    untitledMulti={"type": "array", "items": {"type": "string", "enum": ["option1", "option2", "option3"]}},
    titledMulti={"type": "array", "items": {"anyOf": options(("value1", "First"), ("value2", "Second"))}},
)
NAME = {"user_name": elicit("What is your name?", name=STRING)}
CONFIRM = {"confirm": elicit("Please confirm", ok=BOOLEAN)}


def missing(stub, params, questions):
    """The questions that the client cannot be asked, as the capabilities it would need."""
    meta = params.get("_meta") or {}
    can = meta.get(M + "clientCapabilities", {}) if stub.era == "stateless" else stub.client
    return {CAPABILITY[ask["method"]]: {} for ask in questions.values() if CAPABILITY[ask["method"]] not in can}


def asks(*rounds, stated=False, fits=False, finish=None):
    """A tool that asks round after round; `stated`: with a requestState; `fits`: leaves out what a client cannot do."""
    finish = finish or (lambda stub, id, answers: stub.answer(id, {"content": [text(json.dumps(answers))]}))

    def seal(number):
        return f"{number}.{hashlib.sha256(b'%d the secret of the fixture' % number).hexdigest()}"

    def suited(stub, params, questions):
        lacks = missing(stub, params, questions)
        if fits and len(lacks) < len(questions):
            return {key: ask for key, ask in questions.items() if CAPABILITY[ask["method"]] not in lacks}
        if lacks:
            code = -32021 if stub.era == "stateless" else -32600
            raise Fail(code, "The client lacks a capability", {"requiredCapabilities": lacks})
        return questions

    def stateless(stub, id, params):
        state, given = params.get("requestState"), params.get("inputResponses")
        number = int(state.partition(".")[0]) if state else 0
        if state and state != seal(number):
            raise Fail(-32602, "Invalid requestState")
        questions = suited(stub, params, rounds[number])
        given = given if isinstance(given, dict) else {}
        answers = {key: given[key] for key in questions if isinstance(given.get(key), dict)}
        if len(answers) == len(questions):
            number += 1
            if number == len(rounds):
                return finish(stub, id, answers)
            questions = rounds[number]
        result = {"resultType": "input_required", "inputRequests": questions}
        stub.answer(id, {**result, "requestState": seal(number)} if stated else result)

    def handshake(stub, id, params):
        answers = {}

        def put(number):
            if number == len(rounds):
                return finish(stub, id, answers)
            questions = suited(stub, params, rounds[number])
            waiting = set(questions)

            def heard(key, message):
                answers[key] = message.get("result", message.get("error"))
                waiting.discard(key)
                if not waiting:
                    put(number + 1)

            for key, ask in questions.items():
                asked = f"{id}-{number}-{key}"
                stub.ask(asked, ask["method"], ask["params"], lambda message, key=key: heard(key, message))

        put(0)

    return lambda stub, id, arguments, params: (stateless if stub.era == "stateless" else handshake)(stub, id, params)


def from_arguments(make):
    """A tool whose one question is made from its arguments."""
    return lambda stub, id, arguments, params: asks({"question": make(arguments)})(stub, id, arguments, params)


# --- tools -------------------------------------------------------------------------------------------------------


def says(*content, **more):
    return lambda stub, id, arguments, params: stub.answer(id, {"content": list(content), **more})


def steps(each):
    """A tool that does something three times, a moment apart; `each` is given the server, its params and the number."""
    def run(stub, id, arguments, params, number=0):
        if number == 3:
            return stub.answer(id, {"content": [text("All three steps are done.")]})
        each(stub, params, number)
        stub.clock.later(0.05, lambda: run(stub, id, arguments, params, number + 1))

    return run


def log(stub, params, number):
    if stub.era != "stateless" or M + "logLevel" in params.get("_meta", {}):
        words = ("started", "processing", "completed")[number]
        stub.notify("notifications/message", {"level": "info", "logger": "fixture", "data": f"Tool {words}"})


def progress(stub, params, number):
    token = (params.get("_meta") or {}).get("progressToken")
    if token is not None:
        stub.notify("notifications/progress", {"progressToken": token, "progress": number * 50, "total": 100})


def changes(what):
    """A tool that adds one entry to a list, or takes it off again."""
    def run(stub, id, arguments, params):
        entries = stub.tools if what == "tools" else stub.script["prompts"]
        if entries[-1]["name"] == "test_added":
            entries.pop()
        elif what == "tools":
            entries.append(stub_tools.declare({"name": "test_added", "does": "echo"}))
        else:
            entries.append({"name": "test_added", "description": "Added by a tool."})
        stub.changed(what)
        stub.answer(id, {"content": [text("changed")]})

    return run


TOOLS = {
    "test_simple_text": says(text("This is a simple text response for testing.")),
    "test_image_content": says(IMAGE),
    "test_audio_content": says({"type": "audio", "data": SILENCE, "mimeType": "audio/wav"}),
    "test_embedded_resource": says(embedded("test://embedded-resource", "An embedded resource.")),
    "test_multiple_content_types": says(
        text("Several contents:"), IMAGE, embedded("test://mixed", '{"test":"data"}', "application/json")),
    "test_error_handling": says(text("This tool always fails."), isError=True),
    "test_tool_with_logging": steps(log),
    "test_logging_tool": steps(log),
    "test_tool_with_progress": steps(progress),
    "test_trigger_tool_change": changes("tools"),
    "test_trigger_prompt_change": changes("prompts"),
    "json_schema_2020_12_tool": says(text("The schema is what matters.")),
    "test_sampling": from_arguments(lambda arguments: sample(arguments["prompt"])),
    "test_elicitation": from_arguments(lambda arguments: elicit(arguments["message"], username=STRING, email=STRING)),
    "test_elicitation_sep1034_defaults": asks({"question": DEFAULTS}),
    "test_elicitation_sep1330_enums": asks({"question": ENUMS}),
    "test_missing_capability": asks({"question": sample("Anything")}),
    "test_streaming_elicitation": asks(NAME),
    "test_input_required_result_elicitation": asks(NAME),
    "test_input_required_result_sampling": asks({"capital_question": sample("What is the capital of France?")}),
    "test_input_required_result_list_roots": asks({"client_roots": ROOTS}),
    "test_input_required_result_request_state": asks(CONFIRM, stated=True),
    "test_input_required_result_tampered_state": asks(CONFIRM, stated=True),
    "test_input_required_result_capabilities": asks({**NAME, "greeting": sample("Greet me")}, fits=True),
    "test_input_required_result_multiple_inputs": asks(
        {**NAME, "greeting": sample("Greet me"), "client_roots": ROOTS}, stated=True),
    "test_input_required_result_multi_round": asks(
        {"step1": elicit("What is your name?", name=STRING)},
        {"step2": elicit("What is your favourite colour?", color=STRING)}, stated=True),
}
stub_tools.DOES.update(TOOLS)

SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {"address": {"$anchor": "addressDef", "type": "object", "properties": {"city": STRING}}},
    "properties": {"name": STRING, "address": {"$ref": "#/$defs/address"}, "phone": STRING, "email": STRING},
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"required": ["name"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}


# --- prompts and resources ---------------------------------------------------------------------------------------


def messages(*contents):
    said = [{"role": "user", "content": content} for content in contents]
    return lambda stub, id, params: stub.answer(id, {"messages": said})


def with_arguments(stub, id, params):
    messages(text("Prompt with {arg1} and {arg2}".format(**params["arguments"])))(stub, id, params)


def with_resource(stub, id, params):
    resource = embedded(params["arguments"]["resourceUri"], "The embedded resource of a prompt.")
    messages(resource, text("Please read this."))(stub, id, params)


def with_question(stub, id, params):
    finish = lambda stub, id, answers: messages(text(json.dumps(answers)))(stub, id, params)  # noqa: E731
    asks({"user_context": elicit("Which context?", context=STRING)}, finish=finish)(stub, id, {}, params)


PROMPTS = {
    "test_simple_prompt": ((), messages(text("This is a simple prompt for testing."))),
    "test_prompt_with_arguments": (("arg1", "arg2"), with_arguments),
    "test_prompt_with_embedded_resource": (("resourceUri",), with_resource),
    "test_prompt_with_image": ((), messages(IMAGE, text("Please look at this."))),
    "test_input_required_result_prompt": ((), with_question),
}
RESOURCES = {
    "test://static-text": {"mimeType": "text/plain", "text": "The static text resource."},
    "test://static-binary": {"mimeType": "image/png", "blob": PIXEL},
    "test://watched-resource": {"mimeType": "text/plain", "text": "A resource that can be watched."},
}


def declared(name):
    names = [{"name": each, "description": f"Argument {each}.", "required": True} for each in PROMPTS[name][0]]
    return {"name": name, "description": f"Prompt {name}.", "arguments": names}


def get_prompt(stub, id, params):
    _, make = PROMPTS.get(params.get("name"), (None, Stub.get_prompt))
    make(stub, id, params)


def initialize(stub, id, params):
    stub.client = params.get("capabilities") or {}
    Stub.initialize(stub, id, params)


SERVED.update({"prompts/get": get_prompt, "initialize": initialize})


def main(era):
    tools = [{"name": name, "does": name} for name in TOOLS]
    next(tool for tool in tools if tool["name"] == "json_schema_2020_12_tool")["inputSchema"] = SCHEMA
    Stub({
        "name": "fixture",
        "era": era,
        "tools": tools,
        "prompts": [declared(name) for name in PROMPTS],
        "completions": [],
        "resources": [{"uri": uri, "name": uri.partition("//")[2], **rest} for uri, rest in RESOURCES.items()],
        "errors": {"initialize": {"code": -32601, "message": "Method not found"}} if era == "stateless" else {},
        "templates": [{"uriTemplate": "test://template/{id}/data", "name": "template", "mimeType": "text/plain"}],
    }).run()


if __name__ == "__main__":
    main(sys.argv[1])
