"""Hooks as Claude Code has them: how they are configured, what they are given, what they may say.

handlers   the `hooks` object → handlers          given    what a hook reads
matching   which tools a matcher means            said     what its exit code and its output mean
running    one hook of one event is run           results  a result as a hook changes it
asking     hooks that answer for the user         single   the two commands of 0.1.0
"""
