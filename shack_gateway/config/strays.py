"""Keys that look like policy and stand where nobody reads them: what to write in their place, and where.  Pure.

Rule 1: whoever wrote such a key believes that it protects: the configuration is not used until it is mended.
Rule 2: keys that cannot be taken for policy are left to the reader of the object (`fields.read_object`).
Rule 3: a value is only shown where it is a word of a fixed choice.
"""
from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..edits import edits
from ..record import NamedTuple

PERMISSIONS, SANDBOX, PROFILES, SERVERS = "permissions", "sandbox", "profiles", ("servers", "mcpServers")
DECISION, MODE = "default_decision", "defaultmode"
LISTS, FOLDERS = ("allow", "ask", "deny"), ("extra_roots", "read_only_roots", "exempt")
OF_TOP = (
    "workspace_root", "expose_mode", "servers", "permissions", "sandbox", "sandbox_exempt", "guardrails", "injections",
    "limits", "hidden", "profile", "profiles", "hooks", "pre_tool_hook", "post_tool_hook", "hook_timeout_secs",
    "dry_run", "redact_fields", "journal",
)
"""Keys that are read at the top of the file only."""
POLICY = (
    "permissions", "sandbox", "sandbox_exempt", "guardrails", "hidden", "hooks", "pre_tool_hook", "post_tool_hook",
    "dry_run",
)
"""Those of them that restrict what may be done, and that no host has in a server's entry (as it may `limits`)."""
OF_HOOKS = ("PreToolUse", "PostToolUse", "PostToolUseFailure", "Elicitation")
"""Keys that are read in `hooks` only."""
OF_SERVERS = ("include", "exclude")
"""Keys that are read in the entry of a server only."""


class Stray(NamedTuple):
    """What is wrong with a key, as it goes on from its name, and what to do."""

    what: str
    fix: str


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# What other products and people call these things, folded (`_fold`).
_DECISION = _words("default defaultdecision defaultaction defaultpolicy defaulteffect defaultbehavior defaultbehaviour "
                   "defaultpermission defaultrule fallback otherwise mode policy action decision permissionmode")
_RULES = _words("rule rules policies permissionrules toolrules matchers patterns")
_ALLOW = _words("allowed allows allowlist allowedtools permit permits permitted whitelist accept accepted approved "
                "autoapprove alwaysallow autoallow trusted safe include")
_DENY = _words("denied denies denylist deniedtools block blocks blocked blocklist blockedtools blacklist forbid "
               "forbids forbidden disallow disallowed disallowedtools reject rejected refuse refused prohibit "
               "prohibited ban banned exclude excluded excludetools disabled disabledtools never")
_ASK = _words("asks asked asklist confirm confirms confirmation confirmations requireconfirmation prompts approve "
              "approval approvals requireapproval requiresapproval requireapprovals review")
_FOLDERS = _words("additionaldirectories additionaldirectory extradirectories extradirectory directories "
                  "alloweddirectories allowedpaths alloweddirs extradirs extrapaths additionalroots additionalpaths "
                  "allowedroots roots folders extrafolders allowedfolders paths writable writableroots writablepaths")
_READ_ONLY = _words("readonlydirectories readonlypaths readonlydirs readonlyfolders readable readablepaths "
                    "readableroots")
_EXEMPT = _words("exemptions exempted exceptions ignore ignored skip except")
_HIDDEN = _words("hide hides hiddentools hidetools")
_READONLY = _words("readonly readonlymode")
_CLAUDE_MODES = {
    "default": ("ask", "asks about everything"), "acceptEdits": ("ask", "asks about all but edits"),
    "plan": ("deny", "only reads (`\"profile\": \"readonly\"` here)"),
    "dontAsk": ("deny", "refuses what no rule allows"),
    "bypassPermissions": ("allow", "lets everything pass"), "auto": ("ask", "decides for the user"),
}
"""What `defaultMode` says in Claude Code's settings, and what comes nearest to it here."""
_DECISIONS = {
    "allow": ("allow", "passes"), "accept": ("allow", "passes"), "permit": ("allow", "passes"),
    "deny": ("deny", "is refused"), "block": ("deny", "is refused"), "reject": ("deny", "is refused"),
    "ask": ("ask", "is asked about"), "prompt": ("ask", "is asked about"), "confirm": ("ask", "is asked about"),
}
_NOT_READ = "is not a key that shack-gateway knows: what it says would not hold"
_NOT_HERE = "is not read here: what it says would not hold"


def stray(path: tuple[str | int, ...], data: Any) -> Stray | None:
    """What to say of an unknown key at `path` with the value `data`; None where it cannot be taken for policy."""
    above, word = path[:-1], _fold(str(path[-1]))
    if not above:
        return _at_top(word, data)
    if above == (SANDBOX,):
        return _in_sandbox(word, data)
    if above == (PERMISSIONS,):
        return _in_rules(word, data, is_profile=False)
    if len(above) == 2 and above[0] == PROFILES:
        return _in_rules(word, data, is_profile=True)
    return _in_server(word) if len(above) == 2 and above[0] in SERVERS else None


def _in_server(word: str) -> Stray | None:
    """Of the entry of a server. What hosts' own files have there is a matter of `keys.FOREIGN`."""
    if _known(word, LISTS):
        return Stray(_NOT_HERE, "Write it into `permissions`, as rules that begin with the server's name.")
    if _known(word, FOLDERS):
        return Stray(_NOT_HERE, "Write it into `sandbox`, where it holds for all servers.")
    return Stray(_NOT_HERE, "Write it at the top of the file.") if _known(word, POLICY) else None


def _at_top(word: str, data: Any) -> Stray | None:
    rule = _known(word, LISTS) or (_near(word, ("allow", "deny")) if isinstance(data, list) else "")
    if rule:
        return Stray(_NOT_HERE, f'Write it into `permissions`: `"permissions": {{"{rule}": [...]}}`.')
    folders = _known(word, FOLDERS) or _near(word, FOLDERS)
    if folders:
        return Stray(_NOT_HERE, f'Write it into `sandbox`: `"sandbox": {{"{folders}": [...]}}`.')
    if _known(word, OF_SERVERS):
        return Stray(_NOT_HERE, "Write it into the entry of a server, or the tools into `hidden`.")
    if event := _known(word, OF_HOOKS):
        return Stray(_NOT_HERE, f'Write it into `hooks`: `"hooks": {{"{event}": [...]}}`.')
    if word in _READONLY:
        return Stray(_NOT_READ, 'Write `"profile": "readonly"`.')
    if (word in _DECISION - {"mode", "action"} and not (_is_remark(data) and data not in _DECISIONS)) or word == MODE:
        return Stray(_NOT_READ, _decision(word, data, "Write it into `permissions`: "))
    if word in _RULES - {"patterns", "matchers"}:
        return Stray(_NOT_READ, _rules("permissions."))
    return _other_words(word, data, {
        _ALLOW - {"include", "safe"}: "permissions.allow", _DENY - {"disabled", "never"}: "permissions.deny",
        _ASK - {"review"}: "permissions.ask", _FOLDERS - {"paths", "roots", "folders"}: "sandbox.extra_roots",
        _READ_ONLY: "sandbox.read_only_roots", _HIDDEN: "hidden"})


def _in_rules(word: str, data: Any, *, is_profile: bool) -> Stray | None:
    """Of `permissions`, and of a profile, which has no default of its own."""
    if is_profile and word == PERMISSIONS:
        return Stray(_NOT_HERE, "Write its `allow`, `ask` and `deny` right into the profile.")
    if _known(word, OF_TOP):
        return Stray(_NOT_HERE, "Write it at the top of the file.")
    if word == "additionaldirectories":
        return Stray(_NOT_READ, "Write the folders as `sandbox.extra_roots`, or as `sandbox.read_only_roots` where "
                     "they are only read; relative ones are taken from `workspace_root`.")
    folders = _known(word, FOLDERS) or ("extra_roots" if word in _FOLDERS else "read_only_roots" if (
        word in _READ_ONLY) else "exempt" if word in _EXEMPT else "")
    if folders:
        return Stray(_NOT_READ, f"Write it as `sandbox.{folders}`.")
    if word in _READONLY:
        return Stray(_NOT_READ, 'Write `"extends": "readonly"`.' if is_profile else
                     'Write `"profile": "readonly"` at the top of the file.')
    if word in _DECISION or word == MODE:
        return Stray(_NOT_READ, "With `allow`, a profile refuses what that does not name; without, only what `deny` "
                     "names." if is_profile else _decision(word, data, ""))
    if word in _RULES:
        return Stray(_NOT_READ, _rules(""))
    if word in _HIDDEN:
        return Stray(_NOT_READ, "Write it as `hidden`" + ("." if is_profile else " at the top of the file."))
    own = _known(word, LISTS)
    return Stray(_NOT_READ, f"Write it as `{own}`.") if own else _other_words(
        word, data, {_ALLOW: "allow", _DENY: "deny", _ASK: "ask"})


def _in_sandbox(word: str, data: Any) -> Stray:
    """Of `sandbox`, which 0.1.0 did not have: every unknown key is one too many."""
    if _known(word, OF_TOP):
        return Stray(_NOT_HERE, "Write it at the top of the file.")
    if _known(word, LISTS):
        return Stray(_NOT_HERE, "Write it into `permissions`.")
    near = _known(word, FOLDERS) or _near(word, FOLDERS)
    if near:
        return Stray(_NOT_READ, f"Did you mean `{near}`?")
    known = _other_words(word, data, {_FOLDERS: "extra_roots", _READ_ONLY | _READONLY: "read_only_roots",
                                _EXEMPT: "exempt"})
    return known or Stray(_NOT_READ, f"The keys of `sandbox` are {_listed(FOLDERS)}; it cannot be switched off.")


def _decision(word: str, data: Any, start: str) -> str:
    """How a default is written here, with what its value means."""
    start, said = start or "Write ", data.strip() if isinstance(data, str) else ""
    if word == MODE and said in _CLAUDE_MODES:
        near, meaning = _CLAUDE_MODES[said]
        return (f'{start}`"default_decision": "{near}"`, which comes nearest: in Claude Code `{said}` {meaning}, and '
                "no host tells the gateway its mode.")
    near, meaning = _DECISIONS.get(said.lower(), ("", ""))
    if near:
        return f'{start}`"default_decision": "{near}"`: what no rule matches {meaning}.'
    return f"{start}`default_decision`, which is `allow`, `deny` or `ask`: what comes of a call that no rule matches."


def _rules(above: str) -> str:
    return (f"Write each rule into `{above}allow`, `{above}ask` or `{above}deny`, as a text: `server__tool` or "
            "`server__tool(content)`.")


def _other_words(word: str, data: Any, meant: dict[frozenset[str], str]) -> Stray | None:
    if _is_remark(data):
        return None
    for words, place in meant.items():
        if word in words:
            also = f", or `{place.replace('ask', 'allow')}` for what passes without a question" if (
                word in ("approve", "approvals", "approval")) else ""
            return Stray(_NOT_READ, f"Write it as `{place}`{also}.")
    return None


def _is_remark(data: Any) -> bool:
    """True for what can be no rule, no path and no switch: `"approved": "by Bob"`, `"review": 2025`."""
    if isinstance(data, str):
        return not any(sign in data for sign in ("__", "*", "/", "\\"))
    return isinstance(data, (int, float)) and not isinstance(data, bool)


def _fold(key: str) -> str:
    """A key without case and signs, and without saying once more that it holds rules: `deny_rules` is `deny`."""
    word = key.lower().replace("_", "").replace("-", "").replace(" ", "")
    for ending in ("rules", "rule"):
        if word.endswith(ending) and word.removesuffix(ending) in LISTS:
            return word.removesuffix(ending)
    return word


def _known(word: str, keys: Iterable[str]) -> str:
    """The key that a folded word is, or nothing."""
    return next((key for key in keys if _fold(key) == word), "")


def _near(word: str, keys: Iterable[str]) -> str:
    """The key that a folded word is a letter away from, or two in a long one."""
    return next((key for key in keys if edits(word, _fold(key)) <= (1 if len(key) < 8 else 2)), "")


def _listed(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)
