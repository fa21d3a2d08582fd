"""Profiles: named sets of rules that make a gateway smaller; and what is hidden from everybody.  Pure."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...config.fields import Field
from ..chain import Ports, Stage

FIELDS: tuple[Field, ...] = ()


def build(settings: Mapping[str, Any], ports: Ports) -> Stage | None:
    """The stage; none where the configuration gives it nothing to do."""
    return None
