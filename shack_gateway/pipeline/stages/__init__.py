"""The stages of the corridor, in their order.  Pure.

A stage is one file in this folder and one line in `ORDER`. The file holds:

    FIELDS                         the configuration keys it owns (`config.fields.Field`)
    build(settings, ports)         -> a stage, or None when the configuration gives it nothing to do
    check(top, settings)           (not every file has it) notes what is wrong with keys taken together; `top` is the
                                   whole configuration file as a `Value`, `settings` what was read of it
"""
from __future__ import annotations

from types import ModuleType

from . import dry_run, guardrails, hooks, injections, limits, masking, permissions, profiles, sandbox

ORDER: tuple[ModuleType, ...] = (
    profiles, limits, sandbox, permissions, guardrails, injections, hooks, dry_run, masking,
)
