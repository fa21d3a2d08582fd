"""The hall: which room answers which method.  Pure (async, but without an event loop)."""
