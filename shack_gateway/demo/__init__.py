"""Small MCP servers to try the gateway on: standard library only, real behaviour, state in memory.

Nobody imports this folder. Each server is a program of its own, `python3 -m shack_gateway.demo.NAME`:

    notes       text files in the workspace                          both eras
    tickets     a tracker with a few dozen tools, one of them slow   both eras
    oldschool   units, time zones                                    the handshake era only
    newschool   text statistics, kept texts as resources             the stateless era only

`serving.py` is what they share; `hook.py` is the hook of the example configuration.
"""
