"""How each server is made to ask, what the host replies, and what comes of it: the plan of test_questions.py.  Pure.

Each call has a tag of its own, `SERVER-BEHAVIOUR`, that its questions and its result name. The two asking servers have
the same tools, so the same table serves both, on a direct connection and through the gateway.
"""
from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from .installed import NODE, PYTHON1, PYTHON2, SCOPE, Client, Server
from .plans import Step, call, prompt, read

EVERYTHING = Server("everything", NODE, f"{SCOPE}/server-everything/dist/index.js")
ASKING1 = Server("asking1", PYTHON1, "asking1.py")
ASKING2 = Server("asking2", PYTHON2, "asking2.py", era="stateless")
OURS = (ASKING1, ASKING2)


def askers_of(client: Client) -> tuple[Server, ...]:
    """The servers that a host is asked by; an SDK's second era meets ours alone."""
    return OURS if client.again else (EVERYTHING, *OURS)



AT_ONCE = 8
PERSON = {
    "name": "Ann", "check": True, "email": "ann@example.org", "integer": 7, "number": 2.5, "birthdate": "1815-12-10",
    "untitledSingleSelectEnum": "Joey", "untitledMultipleSelectEnum": ["Piano", "Bass"],
    "titledSingleSelectEnum": "hero-2", "titledMultipleSelectEnum": ["fish-2"], "legacyTitledEnum": "pet-3",
}
"""Fills in the whole form of server-everything."""


class Behaviour(NamedTuple):
    """One step, and the text that has to come of it, if that is the same everywhere: `{tag}` is the call's tag."""

    name: str
    step: Step
    text: str = ""


def tagged(tool: str, server: str, behaviour: str, **more: Any) -> Step:
    return call(tool, {"tag": f"{server}-{behaviour}"}, **more)


def one(server: str, tool: str, behaviour: str, text: str = "", **more: Any) -> Behaviour:
    return Behaviour(behaviour, tagged(tool, server, behaviour, **more), text)


def answered(server: str) -> list[Behaviour]:
    """What ends in an answer of the user, or in a no."""
    if server == EVERYTHING.name:
        return of_everything()
    return [
        one(server, "ask_name", "accept", "{tag}: name Ann"),
        one(server, "ask_name", "decline", "{tag}: name decline"),
        one(server, "ask_name", "cancel", "{tag}: name cancel"),
        one(server, "ask_twice", "twice", "{tag}: name Ann colour red of Ann"),
        one(server, "ask_twice", "no-second", "{tag}: name decline"),
        one(server, "ask_both", "both", "{tag}: name Ann colour blue"),
        one(server, "ask_both", "half", "{tag}: name decline colour blue"),
        one(server, "ask_model", "model", "{tag}: model-7 says yes"),
        one(server, "ask_roots", "roots", "{tag}: here={workspace}"),
        one(server, "ask_url", "url", "{tag}: url accept"),
        one(server, "ask_url", "no-url", "{tag}: url decline"),
        one(server, "ask_slow", "slow", "{tag}: name Ann", progress=True),
        one(server, "ask_name", "late", "{tag}: name Ann"),
        Behaviour("prompt", prompt("asked_prompt", tag=f"{server}-prompt"), "{tag}: name Ann"),
        Behaviour("read", read(f"{server}://asked/{server}-read"), "{tag}: name Ann"),
    ]


def of_everything() -> list[Behaviour]:
    """The tools that server-everything has only for a host that can be asked."""
    def link(tag: str, **more: Any) -> Step:
        message, id = f"everything-{tag}: please open", f"id-{tag}"
        return call("trigger-url-elicitation", {
            "url": "https://example.org/x", "message": message, "elicitationId": id, **more})

    return [
        Behaviour("accept", call("trigger-elicitation-request", {}), "- Email: ann@example.org"),
        Behaviour("model", call("trigger-sampling-request", {"prompt": "everything-model:", "maxTokens": 9}),
                  '"text": "yes"'),
        Behaviour("roots", call("get-roots-list", {}), "{workspace}"),
        Behaviour("url", link("url"), "User completed the URL elicitation flow"),
        Behaviour("no-url", link("no-url"), "User declined to open the URL"),
        Behaviour("page-first", link("page-first", errorPath=True)),
    ]


def at_once(server: str) -> Behaviour:
    """Many calls, each of which asks, and is answered in the opposite order."""
    return Behaviour("crowd", {"do": "together", "steps": [
        tagged("ask_name", server, f"crowd{n}") for n in range(AT_ONCE)]})


def unanswered(server: str, stateless: bool) -> list[Behaviour]:
    """What ends without an answer of the user, as the eras have it. The last shows that all is well again."""
    return [
        one(server, "ask_name", "error"),
        one(server, "ask_name", "throw"),
        one(server, "ask_name", "give-up", cancel_when_asked=f"{server}-give-up", within=20),
        *([one(server, "ask_name", "abandon", once=True)] if stateless else []),
        *([one(server, "ask_for_ever", "ever")] if server == ASKING2.name else []),
        one(server, "ask_name", "afterwards", "{tag}: name Ann"),
    ]


def in_vain(server: str) -> list[Behaviour]:
    """What a host is not asked that never said it could be; the folders are known without it."""
    return [
        one(server, "ask_name", "accept"),
        one(server, "ask_both", "both"),
        one(server, "ask_model", "model"),
        one(server, "ask_url", "url"),
        one(server, "ask_roots", "roots"),
    ]


def fatal(server: str) -> list[Behaviour]:
    """The server is gone while it asks, and is there again for a later call."""
    back = tagged("ask_name", server, "back")
    return [
        one(server, "ask_and_die", "die", within=20),
        Behaviour("back", {"do": "until", "step": back, "holds": f"{server}-back: name Ann", "within": 20}),
    ]


def alone(server: str, stateless: bool) -> list[Behaviour]:
    """All that one server is put through on a connection of its own."""
    if server == EVERYTHING.name:
        return [LISTED, *answered(server)]
    return [*answered(server), at_once(server), *unanswered(server, stateless)]


ON_DEMAND = ("trigger-elicitation-request", "trigger-sampling-request", "get-roots-list", "trigger-url-elicitation")
"""The tools that server-everything has only for a host that can be asked; it adds them when it has met the host."""
LISTED = Behaviour("listed", {"do": "until", "step": {"do": "tools"}, "holds": "trigger-url-elicitation", "within": 20})


def behind_the_gateway(server: str, client: Client) -> list[Behaviour]:
    """The same, and what a server does not survive; before what leaves questions open, to be there at the end."""
    stateless = client.era == "stateless"
    if server == EVERYTHING.name:
        return alone(server, stateless)
    mixed = [mixed_up(server)] if stateless and server == ASKING1.name else []
    gone = [] if client.again else fatal(server)
    return [*answered(server), at_once(server), *mixed, *gone, *unanswered(server, stateless)]


def leaving(server: str) -> list[Step]:
    """The host is gone in the middle of the first question, and before the second is asked."""
    return [tagged("ask_name", server, "leave", within=20), later(server, "later", 0.8)]


def later(server: str, behaviour: str, seconds: float) -> Step:
    return call("ask_later", {"tag": f"{server}-{behaviour}", "seconds": seconds}, within=20)


MIXED = ("mixed0", "mixed1", "mixed2")


def mixed_up(server: str) -> Behaviour:
    """Each of the first two asks when a younger call is open, and the younger one ends while the older's user thinks.

    A handshake server's questions do not say which call they belong to, so that each is taken to be the next one's.
    """
    first, second, third = (later(server, name, seconds) for name, seconds in zip(MIXED, (0.3, 0.9, 0.6)))
    youngest = {"do": "series", "steps": [{"do": "pause", "seconds": 0.6}, third]}
    return Behaviour("mixed", {"do": "together", "steps": [first, second, youngest]})


def replies(workspace: Path) -> list[dict[str, Any]]:
    """What the host says to each question (clients/replies.py): found by the end of the tag, or by its words."""
    def form(action: str, content: dict[str, Any] | None = None) -> dict[str, Any]:
        return {"action": action, **({"content": content} if content is not None else {})}

    def fill(**content: str) -> dict[str, Any]:
        return form("accept", content)

    word = {"role": "assistant", "content": {"type": "text", "text": "yes"}, "model": "model-7"}
    return [
        {"method": "roots/list", "answer": {"roots": [{"uri": workspace.as_uri(), "name": "here"}]}},
        {"method": "sampling/createMessage", "holds": "-model:", "answer": word},
        {"holds": "-decline:", "answer": form("decline")},
        {"holds": "-cancel:", "answer": form("cancel")},
        {"holds": "-twice: which colour, Ann?", "answer": fill(colour="red of Ann")},
        {"holds": "-no-second:", "answer": form("decline")},
        # Both questions are there before the first is answered.
        {"holds": "-both: what", "after": 0.2, "answer": fill(name="Ann")},
        {"holds": "-half: what", "after": 0.2, "answer": form("decline")},
        {"holds": ": which colour?", "answer": fill(colour="blue")},
        {"holds": "-no-url:", "answer": form("decline")},
        {"holds": "-url:", "answer": form("accept")},
        {"holds": "-page-first:", "answer": form("accept")},
        {"holds": "satisfy the prerequisite", "answer": form("accept")},
        {"holds": "-late:", "after": 0.7, "answer": fill(name="Ann")},
        {"holds": "-error:", "error": {"code": -32099, "message": "the user is asleep"}},
        {"holds": "-throw:", "throw": "the handler broke"},
        # Not `never`: the SDK 1.x for Python reads nothing at all as long as a handler runs.
        {"holds": "-give-up:", "after": 0.4, "answer": fill(name="too late")},
        {"holds": "-die:", "once_gone": True, "answer": fill(name="nobody")},
        {"holds": "-leave:", "after": 0.4, "leave": True},
        *({"holds": f"-crowd{n}:", "after": 0.04 * (AT_ONCE - n), "answer": fill(name=f"guest {n}")}
          for n in range(AT_ONCE)),
        {"holds": "-mixed0:", "after": 1.5, "answer": fill(name="mixed0")},
        {"holds": "-mixed1:", "answer": fill(name="mixed1")},
        {"holds": "-mixed2:", "answer": fill(name="mixed2")},
        {"holds": "what is your name?", "answer": fill(name="Ann")},
        {"holds": ": again?", "answer": fill(name="again")},
        {"holds": "Please provide inputs", "answer": form("accept", PERSON)},
    ]
