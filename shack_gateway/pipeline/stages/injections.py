"""Injections: arguments that the owner adds to calls.  Pure."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...config.fields import Field
from ..chain import Ports, Stage

FIELDS: tuple[Field, ...] = ()


def build(settings: Mapping[str, Any], ports: Ports) -> Stage | None:
    """The stage; none where the configuration gives it nothing to do."""
    return None
