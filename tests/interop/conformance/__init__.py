"""The public conformance suite of the protocol, asked about the gateway before a server of either era.

shim.py        HTTP on one side, a program on stdio on the other: the suite speaks nothing but HTTP
fixture.py     a server that offers what the suite asks for, in the era that its argument says
suite.py       one run of the suite's program, by hand too: its docstring says how
scenarios.py   which scenarios are left out, and why
node20.mjs     lets the suite start on Node 20
"""
