"""What tests of the whole gateway are made of: a raw host, scripted servers, a schema judge.

host.py          starts the real program and talks to it over pipes
stub_server.py   the program that plays any server, good or bad (stub_tools.py: its tools)
scene.py         a folder with a workspace, stub servers and the gateway before them
schema.py        judges conversations by the official schemas
shelled.py       hook commands on an event loop
hooking.py       hook commands that are played
house.py         the rules of the house, as functions over a source tree
"""

from .host import STATELESS, Host, Late, M, alive, descendants, json_of, processes_left, text_of, wait_gone
from .scene import Kept, Scene

__all__ = [
    "M",
    "STATELESS",
    "Host",
    "Kept",
    "Late",
    "Scene",
    "alive",
    "descendants",
    "json_of",
    "processes_left",
    "text_of",
    "wait_gone",
]
