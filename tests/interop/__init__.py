"""Real hosts before the gateway, real servers behind it, compared with the same host on the server itself.

installed.py   the SDKs and servers, as the environment names them; what is missing is skipped
plans.py       which steps each server is put through, and how a step is spelt towards the gateway
asking.py      how servers are made to ask, and what the user of a host says to each question
compare.py     what the gateway may change, and the differences that are left
clients/       hosts: one program for each SDK major; they read a plan and print a report
servers/       small servers, one for each major of the Python SDK; two of them ask
conformance/   the public conformance suite, over a shim from HTTP to standard input and output, and its fixture servers
tee.py         writes down what passes between two programs
"""
