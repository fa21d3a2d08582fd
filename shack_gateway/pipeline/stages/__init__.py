"""The stages of the corridor, in their order.  Pure.

A stage is one file in this folder and one line here, with its place in `ORDER`. The file holds:

    FIELDS                         the configuration keys it owns (`config.fields.Field`)
    build(settings, ports)         -> a stage, or None when the configuration gives it nothing to do
    check(top, settings)           (not every file has it) notes what is wrong with keys taken together; `top` is the
                                   whole configuration file as a `Value`, `settings` what was read of it

A file whose keys are not in the configuration is not imported: nobody pays at the start for what is not used. Its keys
are then not in the settings either.
"""
from __future__ import annotations

from collections.abc import Container

from ...lazy import Module


class StageFile(Module):
    """The file of the stage `name`. `keys` are all the keys it owns, or none for one that is always there."""

    def __init__(self, name: str, *keys: str) -> None:
        super().__init__(f"{__name__}.{name}")
        self.name, self.keys = name, keys

    def is_wanted(self, configured: Container[str]) -> bool:
        """True for a stage that is always there, or that one of these keys is of."""
        return not self.keys or any(key in configured for key in self.keys)


PROFILES = StageFile("profiles", "hidden", "profiles", "profile")
LIMITS = StageFile("limits", "limits")
SANDBOX = StageFile("sandbox")
PERMISSIONS = StageFile("permissions", "permissions")
GUARDRAILS = StageFile("guardrails", "guardrails")
INJECTIONS = StageFile("injections", "injections")
HOOKS = StageFile("hooks", "pre_tool_hook", "post_tool_hook", "hooks", "hook_timeout_secs")
DRY_RUN = StageFile("dry_run", "dry_run")
MASKING = StageFile("masking")

ORDER: tuple[StageFile, ...] = (
    PROFILES, LIMITS, SANDBOX, PERMISSIONS, GUARDRAILS, INJECTIONS, HOOKS, DRY_RUN, MASKING,
)
