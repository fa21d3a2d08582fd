"""Which scenarios of the suite are run, which are left out, and which single checks are excused; each with its reason.

`test_conformance.py` fails when the suite lists a scenario that is not here, and when an excuse is needed no more.
"""
from __future__ import annotations

from typing import NamedTuple

SHIM = "it is about HTTP alone, which here is spoken by the shim"
TOLD_ONCE = "a handshake server is told once what its client can do: the gateway refuses its question, not the call"
EXTENSION = "an extension that the gateway does not offer"

HANDSHAKE = (
    "server-initialize", "logging-set-level", "ping", "tools-call-with-logging", "tools-call-sampling",
    "tools-call-elicitation", "elicitation-sep1034-defaults", "elicitation-sep1330-enums", "resources-subscribe",
    "resources-unsubscribe",
)
STATELESS = (
    "server-stateless", "sep-2164-resource-not-found", "caching",
    "input-required-result-basic-elicitation", "input-required-result-basic-sampling",
    "input-required-result-basic-list-roots", "input-required-result-request-state",
    "input-required-result-multiple-input-requests", "input-required-result-multi-round",
    "input-required-result-missing-input-response", "input-required-result-non-tool-request",
    "input-required-result-result-type", "input-required-result-unsupported-methods",
    "input-required-result-tampered-state", "input-required-result-capability-check",
    "input-required-result-ignore-extra-params", "input-required-result-validate-input",
)
BOTH = (
    "completion-complete", "tools-list", "tools-call-simple-text", "tools-call-image", "tools-call-audio",
    "tools-call-embedded-resource", "tools-call-mixed-content", "tools-call-error", "tools-call-with-progress",
    "json-schema-2020-12", "server-sse-multiple-streams", "resources-list", "resources-read-text",
    "resources-read-binary", "resources-templates-read", "prompts-list", "prompts-get-simple", "prompts-get-with-args",
    "prompts-get-embedded-resource", "prompts-get-with-image",
)
RUN = {"2025-11-25": (*HANDSHAKE, *BOTH), "2026-07-28": (*STATELESS, *BOTH)}
"""What is asked of the gateway in each revision, whatever the server behind it speaks."""

LEFT_OUT = {
    "dns-rebinding-protection": SHIM,
    "server-session-lifecycle": SHIM,
    "server-sse-polling": SHIM,
    "http-header-validation": SHIM,
    "http-custom-header-server-validation": SHIM,
    **dict.fromkeys((
        "sep-2640-skills-directory", "sep-2640-skills-enumeration", "sep-2640-skills-manifest", "tasks-lifecycle",
        "tasks-capability-negotiation", "tasks-wire-fields", "tasks-request-state-removal", "tasks-mrtr-input",
        "tasks-request-headers", "tasks-dispatch-and-envelope", "tasks-status-notifications",
        "tasks-required-task-error", "tasks-mrtr-composition"), EXTENSION),
}


class Excuse(NamedTuple):
    """A check that cannot pass; `era`: only before a server of that era."""

    scenario: str
    check: str
    why: str
    era: str = ""


EXCUSES = (
    Excuse("server-stateless", "sep-2575-http-server-header-mismatch-400", SHIM),
    Excuse("server-stateless", "sep-2575-server-rejects-undeclared-capability", TOLD_ONCE, "handshake"),
    Excuse("server-stateless", "sep-2575-missing-capability-http-400", TOLD_ONCE, "handshake"),
    Excuse("input-required-result-basic-elicitation", "sep-2322-elicitation-incomplete",
           "it wants a key of the server's own; questions of a handshake server have none, the gateway makes them",
           "handshake"),
    Excuse("input-required-result-ignore-extra-params", "sep-2322-ignore-unexpected-params",
           "it answers before it was asked; a handshake server asks during the call, and that answer would go nowhere",
           "handshake"),
)


def excused(scenario: str, check: str, era: str) -> bool:
    return any((each.scenario, each.check) == (scenario, check) and each.era in ("", era) for each in EXCUSES)
