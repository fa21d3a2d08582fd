"""`shack-gateway explain NAME [JSON]`: the trail of one call through the stages, without sending it.

Rule 1: nothing reaches a server, and no approval is given or used; hooks do run, because only they know what they say.
Rule 2: whatever is shown of a call or of what a hook said is redacted as in the log, for people paste it elsewhere.
"""
from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

from ..app import Rooms, ServerReport, visit
from ..catalog.names import joined
from ..catalog.shaping import READ, ServerShape, globs
from ..config.fields import show as shown
from ..config.load import Config, load
from ..errors import ConfigError, RequestError, clip
from ..log import redactor
from ..pipeline import explaining
from ..pipeline.call import PROMPT, RESOURCE, Call, Complete, Failed, Refused
from ..pipeline.explaining import Known, Meant, Step, Trail, Watch
from ..pipeline.stages import masking
from ..pipeline.stages.profiles import layers
from ..pipeline.tools import named
from ..record import NamedTuple
from ..wire.splice import DECODER
from .options import PROGRAM, Arguments
from .report import BLUE, BOLD, GREEN, RED, YELLOW, Screen, show_problems
from .surroundings import surroundings

MOST_BYTES = 16 * 1024 * 1024
EXAMPLE = """write for example '{"path": "a"}'"""
MOST_SHOWN = 2000
"""Characters of one piece of text."""

STYLES = {
    explaining.PASSES: GREEN, explaining.CHANGES: YELLOW, explaining.REFUSES: RED, explaining.BREAKS: RED,
    explaining.ASKS: YELLOW, explaining.ANSWERS: YELLOW,
}
SAID = {explaining.ASKS: "would ask", explaining.IDLE: "-", explaining.UNREACHED: "-"}
"""What stands for a verdict where it is not the verdict itself."""
WHY = {
    explaining.IDLE: "nothing configured", explaining.UNREACHED: "not reached",
    explaining.ANSWERS: "the gateway gives the answer itself",
}
WIDTH = 10


class Found(NamedTuple):
    """What came of an explanation. `trail` is None where no call is meant; `fault` is why the arguments cannot be."""

    meant: Meant
    trail: Trail | None
    reports: tuple[ServerReport, ...] = ()
    fault: str = ""


def run(arguments: Arguments) -> int:
    """The command; 0 when the call would be sent, 2 when it cannot be understood, else 1."""
    err = Screen(sys.stderr, os.environ)
    if not arguments.words or not arguments.words[0]:
        return _misused(err, f"usage: {PROGRAM} explain NAME [JSON]\n{PROGRAM}: error: a name is needed, for example "
                        "`server__tool`")
    name, written = arguments.words[0], "".join(arguments.words[1:2])
    try:
        given = read(sys.stdin.buffer.read(MOST_BYTES + 1) if written == "-" else written)
    except ValueError as error:
        return _misused(err, f"{PROGRAM}: error: the arguments {error}")
    environ = surroundings()
    try:
        config = load(arguments.values["config"], environ, profile=arguments.values["profile"])
    except ConfigError as error:
        show_problems(error.problems, err)
        return 1
    found = explained(config, environ, name, given, connect="connect" in arguments.switches)
    if found.fault:
        return _misused(err, f"{PROGRAM}: error: {found.fault}")
    redact = redactor(config.settings["redact_fields"])
    if "json" in arguments.switches:
        print(json.dumps(as_json(name, found, redact), indent=2))
    else:
        show(name, found, redact, Screen(sys.stdout, os.environ), connected="connect" in arguments.switches)
    return 0 if found.trail is not None and found.trail.sent is not None else 1


def read(text: str | bytes) -> dict[str, Any]:
    """The arguments of a call; nothing stands for none. Raises ValueError with what is wrong with the text."""
    if len(text) > MOST_BYTES:
        raise ValueError("are larger than 16 MiB")
    try:
        whole = text.decode() if isinstance(text, bytes) else text
        value = DECODER.decode(whole) if whole.strip() else {}
    except RecursionError:
        raise ValueError("are nested too deeply") from None
    except UnicodeDecodeError:
        raise ValueError("are not UTF-8") from None
    except ValueError as error:
        raise ValueError(f"are no JSON: {error}; {EXAMPLE}") from None
    if not isinstance(value, dict):
        raise ValueError(f"must be a JSON object; {EXAMPLE}")
    return value


def explained(
    config: Config, environ: Mapping[str, str], name: str, arguments: dict[str, Any], *, connect: bool
) -> Found:
    """Find the call that is meant and walk it through the stages."""
    watch = Watch()

    async def look(rooms: Rooms) -> Found:
        servers = {spec.name: spec.enabled for spec in config.servers}
        known = Known(rooms.catalog, servers, lambda server, tool: unseen(config, server, tool),
                      lambda server, tool: own(config, server, tool))
        try:
            meant = explaining.meant(name, arguments, known)
        except RequestError as error:
            return Found(Meant(None), None, fault=error.what)
        if meant.call is None:
            return Found(meant, None, rooms.reports)
        trail = await explaining.explain(rooms.stages, meant.call, masking.seal, rooms.report, watch)
        return Found(meant, trail, rooms.reports)

    return asyncio.run(visit(config, environ, watch.adapt, look, connect=connect))


def unseen(config: Config, server: str, tool: str) -> str:
    """The setting that keeps a name of a server's tool (its own or its new one) from every host, or nothing."""
    shape = _shape(config, server)
    both = {own(config, server, tool), tool, shape.rename.get(tool, tool)}
    lists = [("hidden", config.settings.get("hidden", ()))]
    lists += [(f"profiles.{layer.name}.hidden", layer.read.get("hidden", ())) for layer in layers(config.settings)]
    for key, patterns in lists:
        for pattern in patterns:
            if any(map(named(pattern), [joined(server, name) for name in both])):
                return f"it is hidden by `{clip(pattern, 200)}` in `{clip(key, 200)}`"
    if tool == READ:
        return ""
    place = f"servers.{shown((server,))}"
    for pattern in shape.exclude:
        if any(map(globs((pattern,)), both)):
            return f"it is hidden by `{clip(pattern, 200)}` in `{place}.exclude`"
    if shape.include is not None and not any(map(globs(shape.include), both)):
        return f"it is hidden by `{place}.include`, which does not name it"
    if shape.rename.get(tool, tool) != tool:
        return f"`{place}.rename` has it called `{clip(joined(server, shape.rename[tool]), 200)}`"
    return ""


def own(config: Config, server: str, tool: str) -> str:
    """The server's own name of a tool, which may be called otherwise by `rename`."""
    return next((old for old, new in _shape(config, server).rename.items() if new == tool), tool)


def _shape(config: Config, server: str) -> ServerShape:
    return next((spec.shape for spec in config.servers if spec.name == server), None) or ServerShape()


# --- for people ------------------------------------------------------------------------------------------------------


def show(name: str, found: Found, redact: Callable[[str], str], screen: Screen, *, connected: bool) -> None:
    """What the call is, a line for each stage, and what would be sent."""
    call, trail = found.meant.call, found.trail
    if call is None or trail is None:
        if found.meant.is_ours:
            screen.say(screen.paint(one_line(found.meant.note), BOLD))
        else:
            screen.say(screen.paint(f"`{one_line(name, 200)}` is unknown to the host", RED))
            screen.say(f"  {one_line(found.meant.note)}")
        screen.say("nothing would be sent")
        return
    screen.say(screen.paint(headline(call, found.meant), BOLD))
    if found.meant.read_as:
        screen.say(f"  {one_line(found.meant.read_as)}")
    if found.meant.note:
        failed = next((report.error for report in found.reports if report.server == call.server), "")
        more = "" if connected or found.meant.listed else "; `--connect` starts it"
        more = f" ({one_line(redact(failed), 300)})" if failed else more
        screen.say(f"  {one_line(found.meant.note)}{more}")
    screen.say()
    width = max([len(step.stage) for step in trail.steps], default=0) + 2
    for step in trail.steps:
        first, *others = lines(step, redact)
        word = SAID.get(step.verdict, step.verdict)
        painted = screen.paint(f"{word:<{WIDTH}}", STYLES.get(step.verdict, BLUE))
        screen.say(f"  {step.stage:<{width}}{painted}{first}".rstrip())
        for line in others:
            screen.say(" " * (width + WIDTH + 2) + line)
    screen.say()
    screen.say(ending(trail, redact))


def one_line(text: str, most: int = MOST_SHOWN) -> str:
    """The text as a part of a line, whatever it holds."""
    return clip(text, most).replace("\n", "\\n").replace("\t", " ")


def headline(call: Call, meant: Meant) -> str:
    """Which call it is."""
    what = "the resource" if call.kind == RESOURCE else f"the {call.kind} `{one_line(call.target, 200)}`"
    known = "" if meant.listed else ", which it is not known to list"
    return f"{one_line(call.name, 500)}: {what} of server `{one_line(call.server, 80)}`{known}"


def lines(step: Step, redact: Callable[[str], str]) -> list[str]:
    """What is said of one step, on one line or several."""
    why = clip(redact(step.why), MOST_SHOWN) or WHY.get(step.verdict, "")
    rule = clip(redact(step.rule), 500)
    said = [": ".join([text for text in ("again" if step.again else "", rule or why) if text])]
    if rule and why:
        said.append(why)
    said += [one_line(redact(text)) for text in step.trace]
    if step.changed is not None:
        said += [redact(line) for line in changes(*step.changed)]
    return [part for text in said for part in text.split("\n")]


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """One line for each argument that was added, changed or removed."""
    found = []
    for key in dict.fromkeys((*before, *after)):
        if key not in after:
            found.append(f"- {_pair(key, before[key])}")
        elif key not in before:
            found.append(f"+ {_pair(key, after[key])}")
        elif before[key] != after[key]:
            found += [f"- {_pair(key, before[key])}", f"+ {_pair(key, after[key])}"]
    return found


def _pair(key: str, value: Any) -> str:
    return clip(f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}", 300)


def ending(trail: Trail, redact: Callable[[str], str]) -> str:
    """The last line: what would be sent, or that nothing would be."""
    if trail.sent is None:
        return "nothing would be sent"
    sent = clip(redact(json.dumps(params(trail.sent), ensure_ascii=False)), 20_000)
    return f"would be sent to {one_line(trail.sent.server, 80)}: {sent}"


def params(call: Call) -> dict[str, Any]:
    """The call as its server is given it."""
    if call.kind == RESOURCE:
        return {"uri": call.target}
    if call.kind == PROMPT and not call.arguments:
        return {"name": call.target}
    return {"name": call.target, "arguments": call.arguments}


def _misused(screen: Screen, text: str) -> int:
    screen.say(text)
    return 2


# --- for programs ----------------------------------------------------------------------------------------------------


def as_json(name: str, found: Found, redact: Callable[[str], str]) -> dict[str, Any]:
    """The same as an object."""
    call, trail = found.meant.call, found.trail
    return {
        "name": name,
        "verdict": verdict(found),
        "kind": call.kind if call else None,
        "server": call.server if call else None,
        "target": call.target if call else None,
        "listed": found.meant.listed,
        "note": "; ".join([note for note in (found.meant.read_as, found.meant.note) if note]) or None,
        "steps": [_step(step, redact) for step in trail.steps] if trail else [],
        "sent": _redacted(params(trail.sent), redact) if trail and trail.sent else None,
    }


def verdict(found: Found) -> str:
    """What comes of the call, in one word: `sent`, `refused`, `asks`, `answered`, `failed` or `unknown`."""
    trail = found.trail
    if trail is None:
        return "answered" if found.meant.is_ours else "unknown"
    if trail.sent is not None:
        return "sent"
    if any(step.verdict == explaining.ASKS for step in trail.steps):
        return "asks"
    outcome = trail.outcome
    return "refused" if isinstance(outcome, Refused) else "answered" if isinstance(outcome, Complete) else (
        "failed" if isinstance(outcome, Failed) else "asks")


def _step(step: Step, redact: Callable[[str], str]) -> dict[str, Any]:
    said: dict[str, Any] = {
        "stage": step.stage, "verdict": step.verdict, "again": step.again, "rule": redact(step.rule) or None,
        "why": redact(step.why) or None,
    }
    if step.changed is not None:
        said["arguments"] = _redacted(step.changed[1], redact)
    if step.trace:
        said["trace"] = [redact(text) for text in step.trace]
    return said


def _redacted(value: Any, redact: Callable[[str], str]) -> Any:
    """The value with the values of secret fields replaced; as text where that leaves no JSON."""
    text = redact(json.dumps(value))
    try:
        return json.loads(text)
    except ValueError:
        return text
