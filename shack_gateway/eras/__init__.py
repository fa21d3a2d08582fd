"""Either tongue and the house tongue (MCP 2026-07-28): reading hosts, writing to hosts, writing to servers.  Pure."""
