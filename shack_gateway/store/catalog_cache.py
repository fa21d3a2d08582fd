"""What servers listed in the last run, so that the next one can answer before they are up.

Rule 1: a file belongs to one server as it is configured (`ServerSpec.digest`); another command is another server.
Rule 2: a file that cannot be read, or is not ours, is as good as none; the live list always replaces it.
"""
from __future__ import annotations

import json
import os
from hashlib import sha256

from ..catalog.entries import LISTS, PROMPT, RESOURCE, TEMPLATE, TOOL, Item, Listing, read_items
from ..config.servers import ServerSpec
from ..log import Log
from ..wire.splice import elements, members
from .paths import is_foreign, write_private

FORMAT = 1
MOST_BYTES = 32 * 1024 * 1024
FOLDER = "catalog"


class CatalogCache:
    """The listings in one folder, a file a server. `recall` gives (listing, how to greet)."""

    def __init__(self, folder: str, log: Log) -> None:
        self._folder, self._log = folder, log
        self._complained = False

    def recall(self, spec: ServerSpec) -> tuple[Listing, str] | None:
        """The listing that an earlier run kept."""
        return self._read(self._path(spec), spec)

    def latest(self, spec: ServerSpec) -> tuple[Listing, str] | None:
        """The listing that was kept last of this server, whatever host it was for."""
        try:
            with os.scandir(os.path.join(self._folder, FOLDER)) as found:
                files = sorted([(file.stat().st_mtime, file.path) for file in found if file.name.endswith(".json")])
        except OSError:
            return None
        known = (self._read(path, spec) for _, path in reversed(files))
        return next((each for each in known if each is not None), None)

    def _read(self, path: str, spec: ServerSpec) -> tuple[Listing, str] | None:
        try:
            with open(path, "rb") as file:
                if is_foreign(os.fstat(file.fileno())):
                    return None
                text = file.read(MOST_BYTES).decode()
            found, _ = members(text)
            have = {member.key: (member.value, text[member.value_start : member.end]) for member in found}
            if have["format"][0] != FORMAT or have["server"][0] != spec.name:
                return None
            about = have["about"][0]
            if about["of"] != _plain(spec):
                return None
            items = {kind: read_items(kind, elements(have[form.key][1]))[0] for kind, form in LISTS.items()}
            listing = Listing(
                items[TOOL], items[PROMPT], items[RESOURCE], items[TEMPLATE], stateless=about["stateless"] is True,
                serves_resources=about["resources"] is True, ttl_ms=0, private=True,
            )
            return listing, "handshake" if about["probe"] == "handshake" else "auto"
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None

    def keep(self, spec: ServerSpec, listing: Listing, probe: str) -> None:
        """Remember a listing; a folder that cannot be written to is complained of once."""
        about = {"of": _plain(spec), "stateless": listing.stateless, "resources": listing.serves_resources,
                 "probe": probe}
        lists: dict[str, tuple[Item, ...]] = {
            LISTS[TOOL].key: listing.tools, LISTS[PROMPT].key: listing.prompts,
            LISTS[RESOURCE].key: listing.resources, LISTS[TEMPLATE].key: listing.templates,
        }
        parts = [f'"format":{FORMAT}', f'"server":{json.dumps(spec.name)}', f'"about":{json.dumps(about)}']
        parts += [f'"{key}":[{",".join(item.text for item in items)}]' for key, items in lists.items()]
        try:
            write_private(self._path(spec), ("{" + ",".join(parts) + "}").encode("utf-8", "surrogatepass"))
        except (OSError, ValueError) as error:
            if not self._complained:
                self._complained = True
                self._log.warning("cache", f"lists cannot be kept for the next start: {error}")

    def _path(self, spec: ServerSpec) -> str:
        # Two servers may be the same command: the name belongs to the identity of what was kept.
        name = sha256(f"{spec.digest} {spec.name}".encode("utf-8", "surrogatepass")).hexdigest()[:40]
        return os.path.join(self._folder, FOLDER, f"{name}.json")


def _plain(spec: ServerSpec) -> str:
    """The server's digest without what the fleet adds for the host it is shown to."""
    return spec.digest.partition(" ")[0]
