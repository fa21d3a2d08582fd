"""Spellings, chosen at random, of what a rule forbids: one path, one command, one host; and arguments around them."""
from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

PATH_KEYS = ["path", "file", "filePath", "target", "src", "notebook_path", "cwd", "output_dir"]
TEXT_KEYS = ["command", "code", "query", "message", "pattern", "cmd", "script"]
ANY_KEYS = ["url", "text", "body", "note", "uri", "path"]

Spell = Callable[[random.Random, str], str]


def escaped(chance: random.Random, text: str) -> str:
    """Some letters as `%` escapes, some of these escaped again."""
    found = "".join(f"%{ord(sign):02x}" if sign.isascii() and chance.random() < 0.3 else sign for sign in text)
    return found.replace("%", "%25") if chance.random() < 0.2 else found


def wide(chance: random.Random, text: str) -> str:
    """Some letters in their compatibility forms."""
    return "".join(chr(ord(sign) + 0xFEE0) if "!" <= sign <= "~" and chance.random() < 0.3 else sign for sign in text)


def invisible(chance: random.Random, text: str) -> str:
    at = chance.randrange(len(text) + 1)
    return text[:at] + chance.choice("\u200b\u200d\u00ad\ufeff\u2060\u034f\ufe0f") + text[at:]


def padded(chance: random.Random, text: str) -> str:
    return chance.choice([" ", "\t", "\n ", "\u00a0", "\u3000"]) + text + chance.choice(["", " ", "\t"])


def path_of(chance: random.Random, root: Path) -> str:
    """`secret/key` in the root, spelt in some way that a server may read so."""
    path = chance.choice(["secret", "link", "deep/link"]) + "/key"
    for _ in range(chance.randrange(4)):
        if not path.startswith("/"):
            path = chance.choice([
                lambda p: f"./{p}", lambda p: f"x/../{p}", lambda p: f"{root}/{p}", lambda p: f"../{root.name}/{p}",
                lambda p: f"{root}/x/y/../../{p}", lambda p: f"{root}/../{root.name}/./{p}", lambda p: f"/{root}/{p}",
            ])(path)
        path = chance.choice([
            str, lambda p: p.replace("/", "//", 1) if not p.startswith("//") else p,
            lambda p: p.replace("/key", "/./key"), lambda p: p.replace("/key", "/x/../key")])(path)
    if chance.random() < 0.3:
        path = f"{path}/" if chance.random() < 0.5 else f"file://{path}" if path.startswith("/") else path
    spells: list[Spell] = [escaped, wide, padded, lambda c, p: p, lambda c, p: p]
    return chance.choice(spells)(chance, path)


def command_of(chance: random.Random, root: Path) -> str:
    """`rm -rf x` somewhere in a line for a shell."""
    program = chance.choice(["rm", "rm", "/bin/rm", "'rm'", '"rm"', "r''m", "\\rm", "r\\m", "$'\\x72m'", "../bin/rm"])
    line = program + chance.choice([" ", "  ", "\t", " \\\n ", "${IFS}"]) + "-rf x"
    for _ in range(chance.randrange(3)):
        line = chance.choice([
            "sudo ", "timeout 5 ", "nice -n 5 ", "env A=1 ", "X='a;b' ", "nohup ", "xargs -n 1 ", "command ",
            "time -p ",
            "/usr/bin/env ", "sudo -u root ", "2>/dev/null ", "exec ", "LC_ALL=C ", "stdbuf -oL ", "! "]) + line
    for _ in range(chance.randrange(3)):
        line = chance.choice([
            lambda t: f"ls && {t}", lambda t: f"ls; {t} | cat", lambda t: f"({t})", lambda t: f"echo $({t})",
            lambda t: f"echo `{t}`", lambda t: f"ls\n{t}", lambda t: f"if x; then {t}; fi", lambda t: f"{t} & ls",
            lambda t: f"cat <({t})", lambda t: f"{{ {t}; }}", lambda t: f"false||{t}"])(line)
    spells: list[Spell] = [wide, padded, invisible, lambda c, t: t, lambda c, t: t]
    return chance.choice(spells)(chance, line)


def address_of(chance: random.Random, root: Path) -> str:
    """An address of evil.com."""
    host = chance.choice(["evil.com", "EVIL.com", "evil.com.", "api.evil.com", "evil.com:443", "x@evil.com",
        "a:b@evil.com",
                          "good.com@evil.com", "evil.com\\@good.com"])
    address = chance.choice(["https://", "http://", "HTTPS://", "ftp://", "https:\\\\", "https:/", "//"]) + host
    address += chance.choice(["", "/", "/a?b#c", "?x", "#y"])
    spells: list[Spell] = [
        escaped, wide, padded, invisible, lambda c, t: f"see {t} there", lambda c, t: t.replace("evil", "ev\til"),
        lambda c, t: t]
    return chance.choice(spells)(chance, address)


def dressed(chance: random.Random, keys: list[str], text: str) -> dict[str, Any]:
    """Arguments with the text under one of the keys, at any depth, among others that look harmless."""
    key = chance.choice(keys)
    key = chance.choice([str, str.upper, str.title, lambda k: f"{k}s", lambda k: f"{k}_2", lambda k: f"-{k}-"])(key)
    node: Any = {key: chance.choice([text, [text], [["a", text]], {"v": text}, [{"v": [text]}]])}
    for _ in range(chance.randrange(4)):
        node = {chance.choice(["a", "opts", "0"]): chance.choice([node, [node], [1, [node, None]]])}
    decoys = {each: chance.choice(["harmless", 5, None, ["x"]]) for each in chance.sample(
        ["command", "path", "message", "url", "title"], chance.randrange(4))}
    return {**decoys, **node} if chance.random() < 0.5 else {**node, **{k: v for k,
    v in decoys.items() if k not in node}}
