"""Demo server `notes`: text files in the folder it is started in.  Both eras.

It opens whatever path it is given, as most small file servers do: keeping paths inside the workspace is the gateway's
part. Of its own accord it only ever writes `.md` and `.txt` files in `demo-notes/`.
"""
from __future__ import annotations

import os
from typing import Any

from .asking import Ask, Trouble
from .serving import Server
from .shapes import ADDS, LOOKS, REMOVES, SETS, flag, objects, shape, text, whole

FOLDER = "demo-notes"
SCHEME = "notes:///"
LARGEST = 1024 * 1024
PATH = text("Path of the note, relative to the workspace, such as demo-notes/ideas.md.")
NOTE = shape({"path": PATH, "bytes": whole("Its size.")})

server = Server("notes", instructions="Text notes in the workspace, under demo-notes/.")


@server.tool({}, LOOKS, output=shape({"notes": objects("All notes.", NOTE)}))
def list_notes(ask: Ask) -> Any:
    """List the notes with their sizes."""
    return {"notes": [{"path": path, "bytes": os.path.getsize(path)} for path in _paths()]}


@server.tool({"path": PATH}, LOOKS)
def read_note(ask: Ask, path: str) -> str:
    """Read a note, or any other text file of the workspace."""
    return _text(path)


@server.tool({"path": PATH, "content": text("The whole text."), "replace?": flag("Replace the note if there is one.")},
             REMOVES)
def write_note(ask: Ask, path: str, content: str, replace: bool = False) -> str:
    """Write a note; an existing one is only replaced when `replace` is true."""
    known = os.path.exists(_writable(path))
    if known and not replace:
        raise Trouble(f"`{path}` exists; append_note adds to it, `replace` overwrites it")
    return _write(path, content, "w", known)


@server.tool({"path": PATH, "content": text("The text to add.")}, ADDS)
def append_note(ask: Ask, path: str, content: str) -> str:
    """Add text to the end of a note, which is created when it is not there."""
    return _write(path, content, "a", os.path.exists(_writable(path)))


@server.tool({"query": text("What to look for, in any case.")}, LOOKS)
def search_notes(ask: Ask, query: str) -> Any:
    """Find the lines of all notes that hold a text."""
    return [{"path": path, "line": number, "text": line}
            for path in _paths() for number, line in enumerate(_text(path).splitlines(), start=1)
            if query.lower() in line.lower()]


@server.tool({"path": PATH}, SETS | {"destructiveHint": True})
def delete_note(ask: Ask, path: str) -> str:
    """Delete a note."""
    os.remove(_writable(path))
    server.changed("resources")
    return f"{path} is deleted"


def _resources() -> list[dict[str, Any]]:
    return [{"uri": SCHEME + path, "name": os.path.basename(path), "mimeType": "text/plain"} for path in _paths()]


def _read(uri: str) -> str | None:
    path = uri[len(SCHEME):]
    return _text(path) if uri.startswith(SCHEME) and path in _paths() else None


server.list_resources, server.read_resource = _resources, _read
server.templates.append({"uriTemplate": SCHEME + FOLDER + "/{name}", "name": "note", "description": "One note."})


@server.prompt({"path": "Path of the note."})
def tidy_note(path: str) -> str:
    """Ask for a tidied version of a note."""
    return f"Tidy up this note without losing a fact:\n\n{_text(path)}"


def _paths() -> list[str]:
    if not os.path.isdir(FOLDER):
        return []
    return [f"{FOLDER}/{name}" for name in sorted(os.listdir(FOLDER)) if name.endswith((".md", ".txt"))]


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            found = file.read(LARGEST + 1)
    except UnicodeDecodeError:
        raise Trouble(f"`{path}` is no text file") from None
    if len(found) > LARGEST:
        raise Trouble(f"`{path}` is larger than {LARGEST} characters")
    return found


def _writable(path: str) -> str:
    folder, name = os.path.split(os.path.normpath(path))
    if folder != FOLDER or not name.endswith((".md", ".txt")):
        raise Trouble(f"`{path}` is no note: notes are `{FOLDER}/NAME.md` or `{FOLDER}/NAME.txt`")
    return path


def _write(path: str, content: str, mode: str, known: bool) -> str:
    os.makedirs(FOLDER, exist_ok=True)
    with open(path, mode, encoding="utf-8") as file:
        file.write(content)
    if known:
        server.updated(SCHEME + os.path.normpath(path).replace(os.sep, "/"))
    else:
        server.changed("resources")
    return f"{len(content)} characters written to {path}"


if __name__ == "__main__":
    server.run()
