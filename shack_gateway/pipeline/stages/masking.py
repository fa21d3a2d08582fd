"""Masking: the place where secrets will be replaced by aliases. Nothing is masked yet.  Pure.

The stage and the seal stand where they will stay, and pass everything through as it is.
"""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...config.fields import Field
from ..call import Call, Outcome
from ..chain import Ports, Stage

FIELDS: tuple[Field, ...] = ()


def build(settings: Mapping[str, Any], ports: Ports) -> Stage | None:
    """The stage in its place; it does nothing yet."""
    return Masking()


class Masking(Stage):
    """Will put secrets back into arguments; passes calls through until then."""

    name = "masking"

    def why(self, call: Call) -> str:
        """What is done to the call."""
        return "nothing is masked yet"


def seal(outcome: Outcome) -> Outcome:
    """The last form of an outcome before the host sees it: until masking is built, the outcome itself."""
    return outcome
