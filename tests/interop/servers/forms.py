"""What both asking servers ask for, and how they say what they were answered."""
from __future__ import annotations

from typing import Any

from mcp.server.elicitation import AcceptedElicitation
from pydantic import BaseModel


class Name(BaseModel):
    """What is asked for by name."""

    name: str


class Colour(BaseModel):
    """What is asked for by colour."""

    colour: str


def said(outcome: Any) -> str:
    """The answer in one word: what was filled in, or how the user did not."""
    if not isinstance(outcome, AcceptedElicitation):
        return str(outcome.action)
    return ",".join(str(value) for value in outcome.data.model_dump().values())
