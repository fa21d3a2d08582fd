"""Bytes and messages: framing, ids, what is still open, what each era allows.  Pure."""
