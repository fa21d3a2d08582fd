"""The corridor that every call walks, and what may come of a call.  Pure."""
