"""The cloakroom: what is looked for in texts, and how.  Pure.

letters.py     sets of characters, as far as it matters whether two of them have one in common
steps.py       what a regular expression may cost, read from its tree
patterns.py    patterns of a user: certified, or refused with the reason; searched with a budget
jsonpath.py    which parts of a JSON document a path names
"""
