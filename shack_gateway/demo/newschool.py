"""Demo server `newschool`: text statistics, kept texts as resources.  Speaks the stateless era only (2026-07-28)."""
from __future__ import annotations

import re
import secrets
from typing import Any
from urllib.parse import quote, unquote

from .asking import Ask, Question, Trouble
from .serving import Server
from .shapes import LOOKS, REMOVES, SETS, number, shape, text, whole

KEPT = "text:///kept/"
TEXT = text("The text to look at.")

server = Server("newschool", eras=("stateless",), instructions="Statistics of texts.", ttl_ms=60_000)
kept: dict[str, str] = {}
asked: set[str] = set()
"""States of questions that were asked and not yet answered; each is good for one answer."""


@server.tool({"text": TEXT}, LOOKS, output=shape({
    "characters": whole("All characters."), "words": whole("All words."), "sentences": whole("All sentences."),
    "distinct_words": whole("Words, each counted once."), "words_per_sentence": number("On average.")}))
def text_statistics(ask: Ask, text: str) -> Any:
    """Count characters, words and sentences of a text."""
    words, sentences = _words(text), len(re.findall(r"[.!?]+(?:\s|$)", text)) or int(bool(text.strip()))
    return {"characters": len(text), "words": len(words), "sentences": sentences,
            "distinct_words": len({word.lower() for word in words}),
            "words_per_sentence": round(len(words) / sentences, 2) if sentences else 0}


# A list as structured content: the stateless era allows any JSON value there, the handshake era only objects.
@server.tool({"text": TEXT, "count?": whole("How many.", minimum=1, maximum=100)}, LOOKS,
             output={"type": "array", "items": {"type": "string"}})
def longest_words(ask: Ask, text: str, count: int = 5) -> Any:
    """Name the longest distinct words of a text, longest first."""
    return sorted(dict.fromkeys(_words(text)), key=lambda word: (-len(word), word))[:count]


@server.tool({"name": text("What to keep it as."), "text": text("The text to keep.")}, SETS)
def keep_text(ask: Ask, name: str, text: str) -> str:
    """Keep a text in memory; it becomes a resource."""
    known = name in kept
    kept[name] = text
    if known:
        server.updated(_uri(name))
    else:
        server.changed("resources")
    return f"kept as {_uri(name)}"


@server.tool({}, REMOVES)
def forget_texts(ask: Ask) -> str:
    """Forget all kept texts. Asks the user first."""
    if ask.state is None or ask.state not in asked:
        if "elicitation" not in ask.capabilities:
            raise Trouble("this asks the user first, and the host cannot ask (no `elicitation` capability)")
        asked.add(state := secrets.token_hex(16))
        form = {"type": "object", "properties": {"sure": {"type": "boolean"}}, "required": ["sure"]}
        raise Question({"sure": {"method": "elicitation/create", "params": {
            "mode": "form", "message": f"Forget {len(kept)} kept text(s)?", "requestedSchema": form}}}, state)
    asked.remove(ask.state)
    answer = ask.answers.get("sure", {})
    if answer.get("action") != "accept" or answer.get("content", {}).get("sure") is not True:
        return "nothing was forgotten"
    count = len(kept)
    kept.clear()
    server.changed("resources")
    return f"{count} text(s) forgotten"


@server.prompt({"name": "Name of the kept text."})
def summarize(name: str) -> str:
    """Ask for a summary of a kept text."""
    return f"Summarize in three sentences:\n\n{kept.get(name, '(no text of this name is kept)')}"


def _read(uri: str) -> str | None:
    name, _, part = uri[len(KEPT):].partition("/")
    found = kept.get(unquote(name)) if uri.startswith(KEPT) else None
    if found is None or not part:
        return found
    return "\n".join(_words(found)) if part == "words" else None


server.list_resources = lambda: [{"uri": _uri(name), "name": name, "mimeType": "text/plain"} for name in kept]
server.read_resource = _read
server.templates.append({"uriTemplate": KEPT + "{name}", "name": "kept text", "description": "A kept text."})
server.templates.append({"uriTemplate": KEPT + "{name}/words", "name": "kept words", "description": "Its words."})


def _uri(name: str) -> str:
    return KEPT + quote(name, safe="")


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+(?:['’-][^\W_]+)*", text)


if __name__ == "__main__":
    server.run()
