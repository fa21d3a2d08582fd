"""What the tools of the stub server do: one function for each way a tool behaves or misbehaves.

Every function takes the server, the request's id, the tool's arguments (those of the script's `with` included) and the
request's params. `DOES` names them; a tool of the script is a name from it, or an object whose `does` is one.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time

M = "io.modelcontextprotocol/"
JUNK = (
    b"Debugger listening on port 9229\n",
    b"\n",
    b"[1,2]\n",
    b"5\n",
    b'"text"\n',
    b"null\n",
    b"{\n",
    b"\xff\xfe\x00junk\n",
    b'{"id":[],"result":1}\n',
    b'{"jsonrpc":"2.0"}\n',
    b'{"jsonrpc":"1.0","id":1,"result":{}}\n',
    b'{"jsonrpc":"2.0","id":null,"result":{}}\n',
    b'{"jsonrpc":"2.0","id":987654321,"result":{}}\n',
    b'{"jsonrpc":"2.0","id":true,"result":{}}\n',
    b'{"jsonrpc":"2.0","method":5}\n',
    b'{"jsonrpc":"2.0","method":"notifications/message"}\n',
    b'{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"nobody","progress":1}}\n',
    b'{"jsonrpc":"2.0","method":"notifications/progress","params":[]}\n',
    b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}\n',
)


def declare(tool):
    """A tool of the script as it is listed, with `does` filled in."""
    if isinstance(tool, str):
        tool = {"name": tool}
    does = tool.get("does") or (tool["name"] if tool["name"] in DOES else "echo")
    assert does in DOES, f"no behaviour is called {does}"
    return {"description": f"Does {does}. As a stub.", "inputSchema": {"type": "object"}, **tool, "does": does}


def text(stub, id, words, **more):
    stub.answer(id, {"content": [{"type": "text", "text": words}], **more})


def envelope(stub, id, words):
    """The bytes of a good answer, for those who want to spoil it."""
    result = {"content": [{"type": "text", "text": words}]}
    if stub.era == "stateless":
        result["resultType"] = "complete"
    return json.dumps({"jsonrpc": "2.0", "id": id, "result": result}, separators=(",", ":")).encode() + b"\n"


# --- well behaved ------------------------------------------------------------------------------------------------


def echo(stub, id, arguments, params):
    text(stub, id, json.dumps(params.get("arguments")))


def whole(stub, id, arguments, params):
    """The whole params as they reached the server."""
    text(stub, id, json.dumps(params))


def sleep(stub, id, arguments, params):
    stub.clock.later(arguments.get("secs", 0.5), lambda: text(stub, id, f"slept {arguments.get('mark', '')}".strip()))


def progress(stub, id, arguments, params):
    """`count` steps of progress, `pause` seconds apart; `same` sends each value twice, `late` one more afterwards."""
    token = (params.get("_meta") or {}).get("progressToken")

    def step(value):
        if token is not None:
            said = {"progressToken": token, "progress": value, "total": count, "message": f"step {value}"}
            stub.notify("notifications/progress", said)

    def run():
        for value in range(1, count + 1):
            step(value)
            if arguments.get("same"):
                step(value)
            time.sleep(arguments.get("pause", 0))
        text(stub, id, "done")
        if arguments.get("late"):
            step(count + 1)

    count = arguments.get("count", 3)
    if arguments.get("pause"):
        threading.Thread(target=run, daemon=True).start()
    else:
        run()


def log(stub, id, arguments, params):
    """One log message; in the stateless era only when this request asked for the level, unless `force`."""
    wanted = stub.era != "stateless" or M + "logLevel" in (params.get("_meta") or {}) or arguments.get("force")
    if wanted:
        said = {"level": arguments.get("level", "info"), "logger": "stub", "data": arguments.get("text", "a message")}
        stub.notify("notifications/message", said)
    text(stub, id, "logged" if wanted else "kept quiet")


def error(stub, id, arguments, params):
    fault = {"code": arguments.get("code", -32000), "message": arguments.get("message", "as asked")}
    if "data" in arguments:
        fault["data"] = arguments["data"]
    stub.refuse(id, fault)


def tool_error(stub, id, arguments, params):
    text(stub, id, arguments.get("text", "it went wrong"), isError=True)


def structured(stub, id, arguments, params):
    value = arguments.get("value", {"n": 1})
    text(stub, id, json.dumps(value), structuredContent=value)


def result(stub, id, arguments, params):
    """The result object given in the arguments, as it is."""
    stub.answer(id, arguments["result"])


def big(stub, id, arguments, params):
    """A result of about `bytes` bytes on one line."""
    size, fill = arguments.get("bytes", 1_000_000), arguments.get("fill", "x")
    text(stub, id, fill * (size // len(fill)))


def where(stub, id, arguments, params):
    text(stub, id, json.dumps({"cwd": os.getcwd(), "env": dict(os.environ), "pid": os.getpid(), "argv": sys.argv}))


def input_required(stub, id, arguments, params):
    """Stateless: asks for input first; on the retry says what it was given."""
    if "inputResponses" in params:
        return text(stub, id, json.dumps({"responses": params["inputResponses"], "state": params.get("requestState")}))
    schema = {"type": "object", "properties": {"name": {"type": "string"}}}
    question = {"mode": "form", "message": "Who?", "requestedSchema": schema}
    asks = arguments.get("asks", {"who": {"method": "elicitation/create", "params": question}})
    stub.answer(id, {"resultType": "input_required", "inputRequests": asks, "requestState": "state of the stub"})


def ask(stub, id, arguments, params):
    """Sends a request of its own (`method`, `params`, `id` or `reuse`: this call's id) and answers with what it got."""
    own = id if arguments.get("reuse") else arguments.get("id", f"ask-{id}")
    method, params = arguments.get("method", "ping"), arguments.get("params")
    stub.ask(own, method, params, lambda answer: text(stub, id, json.dumps(answer)))


def interview(stub, id, arguments, params):
    """Asks in rounds (`rounds`: lists of {"method", "params", "id"?}) and answers with everything it was told.

    `progress` notes a step before each round, in the handshake era `quits` ends ("crash"), cancels its own questions
    ("cancel") or answers the call ("answer") while the first round is open.
    """
    rounds = arguments["rounds"]
    if stub.era == "stateless":
        return interview_stateless(stub, id, rounds, params)
    said, token = [], (params.get("_meta") or {}).get("progressToken")

    def go(number):
        if arguments.get("progress") and token is not None:
            stub.notify("notifications/progress", {"progressToken": token, "progress": number + 1})
        if number == len(rounds):
            return text(stub, id, json.dumps(said))
        waiting, answers = len(rounds[number]), {}

        def take(at, answer):
            nonlocal waiting
            answers[at] = answer.get("result", answer.get("error"))
            waiting -= 1
            if not waiting:
                said.append([answers[place] for place in sorted(answers)])
                go(number + 1)

        for at, each in enumerate(rounds[number]):
            own = each.get("id", f"q-{id}-{number}-{at}")
            stub.ask(own, each["method"], each.get("params"), lambda answer, at=at: take(at, answer))
            if arguments.get("quits") == "cancel":
                stub.clock.later(0.3, lambda own=own: stub.notify("notifications/cancelled", {"requestId": own}))
        if arguments.get("quits") == "crash":
            stub.clock.later(0.3, lambda: os._exit(7))
        if arguments.get("quits") in ("answer", "cancel"):
            stub.clock.later(0.4, lambda: text(stub, id, "without an answer"))

    go(0)


def interview_stateless(stub, id, rounds, params):
    state = json.loads(params.get("requestState") or '{"round": 0, "said": []}')
    meta = params.get("_meta") or {}
    if meta.get("progressToken") is not None:
        stub.notify("notifications/progress", {"progressToken": meta["progressToken"], "progress": 1})
    if state["round"]:
        asked, told = rounds[state["round"] - 1], params.get("inputResponses") or {}
        if set(told) >= {f"k{at}" for at in range(len(asked))}:
            state["said"].append([told[f"k{at}"] for at in range(len(asked))])
        else:
            state["round"] -= 1  # something is missing: ask again
    if state["round"] == len(rounds):
        return text(stub, id, json.dumps(state["said"]))
    asks = {
        f"k{at}": {"method": each["method"], "params": each.get("params", {})}
        for at, each in enumerate(rounds[state["round"]])
    }
    state["round"] += 1
    stub.answer(id, {"resultType": "input_required", "inputRequests": asks, "requestState": json.dumps(state)})


def task(stub, id, arguments, params):
    """Runs as a task only: for `secs` seconds, or, with `asks`, until its question is answered. `counts`: it notes
    progress under the token of the call; `mute`: its state is never told; `plain`: it answers at once all the same."""
    if "task" not in params:
        return stub.refuse(id, {"code": -32601, "message": "this tool requires task augmentation"})
    if arguments.get("plain"):
        return text(stub, id, "no task was needed")
    name = f"task-{len(stub.tasks) + 1}"
    token = (params.get("_meta") or {}).get("progressToken")
    stub.tasks[name] = {"status": "working", "arguments": arguments, "looks": 0, "token": token}
    stub.answer(id, {"task": stub.task_state(name)})


def add_tool(stub, id, arguments, params):
    """Lists one tool more and says so, `times` over."""
    stub.tools.append(declare({"name": arguments["tool"], "does": "echo"}))
    for _ in range(arguments.get("times", 1)):
        stub.changed("tools")
    text(stub, id, "added")


def announce(stub, id, arguments, params):
    """`what`: tools, prompts or resources have changed (they have not)."""
    stub.changed(arguments.get("what", "tools"))
    text(stub, id, "announced")


def update(stub, id, arguments, params):
    stub.updated(arguments["id"])
    text(stub, id, "updated")


def level(stub, id, arguments, params):
    listens = list(stub.listens.values())
    text(stub, id, json.dumps({"level": stub.level, "watched": sorted(stub.watched), "listens": listens}))


def spawn(stub, id, arguments, params):
    """Leaves a grandchild behind: `kind` plain, stubborn (ignores TERM) or setsid; `pipe`: with our stdout."""
    import subprocess

    kind = arguments.get("kind", "plain")
    code = "import signal,time\n"
    if kind == "stubborn":
        code += "signal.signal(signal.SIGTERM,signal.SIG_IGN)\n"
    code += "time.sleep(600)"
    stdout = None if arguments.get("pipe") else subprocess.DEVNULL
    child = subprocess.Popen(
        [sys.executable, "-S", "-c", code, *sys.argv[1:]],
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stdout,
        start_new_session=kind == "setsid",
    )
    text(stub, id, str(child.pid))
    if arguments.get("then") == "crash":
        os._exit(9)


# --- badly behaved -----------------------------------------------------------------------------------------------


def crash(stub, id, arguments, params):
    """Ends at once; `half`: after half an answer; `words`: with last words on stderr."""
    if arguments.get("half"):
        stub.write(envelope(stub, id, "never whole")[:40])
    if "words" in arguments:
        print(arguments["words"], file=sys.stderr, flush=True)
    os._exit(arguments.get("code", 7))


def stall(stub, id, arguments, params):
    """Never answers."""


def deaf(stub, id, arguments, params):
    """Stops reading, for ever or for `secs`."""
    stub.deaf = True
    if "secs" in arguments:
        stub.clock.later(arguments["secs"], lambda: setattr(stub, "deaf", False))
    if arguments.get("answer"):
        text(stub, id, "I hear nothing from now on")


def garble(stub, id, arguments, params):
    for line in JUNK:
        stub.write(line)
    text(stub, id, "after the junk")


def raw(stub, id, arguments, params):
    """Writes `lines` as they are; `$ID` stands for the request's id."""
    for line in arguments["lines"]:
        stub.write(line.replace("$ID", json.dumps(id)).encode("utf-8", "surrogatepass") + b"\n")


def flood(stub, id, arguments, params):
    """`count` lines (or for ever) of `what`: notifications, list_changed, stderr, stderr-line; then the answer."""
    what, count = arguments.get("what", "notifications"), arguments.get("count", 5000)
    if what == "notifications":
        piece = b'{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"debug","data":"flood"}}\n' * 50
    elif what == "list_changed":
        piece = b'{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}\n' * 50
    else:
        piece = b"noise on stderr " * 20 + (b"\n" if what == "stderr" else b"")

    def pour(times):
        for _ in range(times):
            if what.startswith("stderr"):
                os.write(2, piece)
            else:
                stub.write(piece)

    if arguments.get("endless"):
        threading.Thread(target=pour, args=(10**9,), daemon=True).start()
    else:
        pour(count // 50 if not what.startswith("stderr") else count)
    text(stub, id, "after the flood")


def split(stub, id, arguments, params):
    for at in envelope(stub, id, "byte by byte: ☃"):
        stub.write(bytes((at,)))


def huge_line(stub, id, arguments, params):
    """A line of `bytes` bytes without ever holding it whole; `endless`: its end never comes."""
    head = b'{"jsonrpc":"2.0","id":%s,"result":{"content":[{"type":"text","text":"' % json.dumps(id).encode()
    stub.write(head)
    block = b"y" * 65536
    for _ in range(arguments.get("bytes", 20 * 1024 * 1024) // len(block)):
        stub.write(block)
    if not arguments.get("endless"):
        stub.write(b'"}]}}\n')


def deep(stub, id, arguments, params):
    depth = arguments.get("depth", 30_000)
    head = b'{"jsonrpc":"2.0","id":%s,"result":{"content":[],"structuredContent":{"a":' % json.dumps(id).encode()
    stub.write(head + b"[" * depth + b"]" * depth + b"}}}\n")


def nan(stub, id, arguments, params):
    head = b'{"jsonrpc":"2.0","id":%s,"result":{"content":[],"structuredContent":' % json.dumps(id).encode()
    stub.write(head + b'{"n":NaN,"m":-Infinity}}}\n')


def twice(stub, id, arguments, params):
    stub.write(envelope(stub, id, "first") + envelope(stub, id, "second"))


def string_id(stub, id, arguments, params):
    """Answers with its id as a string, which is another id; `right`: then with the right one."""
    stub.write(envelope(stub, str(id), "wrong type"))
    if arguments.get("right"):
        stub.write(envelope(stub, id, "right type"))


def other_ids(stub, id, arguments, params):
    """Answers every small id but its own, then its own."""
    for other in range(-2, 200):
        if other != id and other not in stub.open:
            stub.write(envelope(stub, other, "not yours"))
    text(stub, id, "mine")


DOES = {
    name: does
    for name, does in list(globals().items())
    if callable(does) and getattr(does, "__module__", "") == __name__ and name not in ("declare", "text", "envelope")
}
