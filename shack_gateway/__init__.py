"""shack-gateway: one MCP server in front of all the others."""
from __future__ import annotations

__version__ = "1.0.0a1"
