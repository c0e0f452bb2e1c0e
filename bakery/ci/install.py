"""How the machines of a CI get bakery: the command that installs exactly what wrote the workflow.

Where it came from is what the installer recorded (`direct_url.json`, PEP 610). Whatever is written names one commit,
one archive by its hash, or one version: a name alone would give tomorrow what somebody uploads tonight.
"""

from __future__ import annotations

import json
import re
from importlib import metadata
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from bakery.values import frozen
from bakery.version import VERSION

DISTRIBUTION = "bakery-bake"
"""The name in pyproject.toml."""
_ADDRESS = re.compile(r"(https|ssh)://[\w.~:/@%+,=&?-]+\Z", re.ASCII)
"""What leads to the same place from another machine, and means nothing else to a shell or to a CI."""
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?\Z")
_FOLDER = re.compile(r"[\w./-]*\Z", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")


@frozen
class Install:
    """A shell command, and why somebody should look at it before it is trusted; empty where nobody need."""

    command: str
    doubt: str = ""


def own_install() -> Install:
    """The command that installs what is running now."""
    try:
        found = metadata.distribution(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        return _by_version("this bakery runs from its sources")
    if found.version != VERSION:
        return _by_version("this bakery runs from its sources")
    recorded = found.read_text("direct_url.json")
    return from_direct_url(recorded) if recorded else _by_version("")


def from_direct_url(recorded: str) -> Install:
    """The command for what `direct_url.json` says."""
    try:
        origin = json.loads(recorded)
        requirement = _pinned(origin)
    except (ValueError, TypeError, KeyError, AttributeError):
        return _by_version("nothing says where this bakery was installed from")
    if requirement:
        return Install(f'pip install "{requirement}"')
    if origin["url"].startswith("file:"):
        return _by_version("this bakery was installed from files of one machine")
    return _by_version("this bakery was installed from an address without a commit or a hash")


def _pinned(origin: dict[str, Any]) -> str | None:
    """A requirement that means one commit or one archive; None where none can be had from elsewhere."""
    url = urlsplit(origin["url"])
    address = urlunsplit(url._replace(netloc=_without_password(url.netloc), fragment=""))
    folder = origin.get("subdirectory", "")
    if not _ADDRESS.match(address) or not _FOLDER.match(folder):
        return None
    if "vcs_info" in origin:
        commit = origin["vcs_info"]["commit_id"]
        if origin["vcs_info"]["vcs"] != "git" or not _COMMIT.match(commit):
            return None
        return f"{DISTRIBUTION} @ git+{address}@{commit}" + (f"#subdirectory={folder}" if folder else "")
    digest = _sha256(origin.get("archive_info", {}))
    if not _SHA256.match(digest):
        return None
    return f"{DISTRIBUTION} @ {address}#sha256={digest}" + (f"&subdirectory={folder}" if folder else "")


def _sha256(archive: dict[str, Any]) -> str:
    """`hashes` is what installers write today, `hash` what they wrote first."""
    found = archive.get("hashes", {}).get("sha256") or archive.get("hash", "").removeprefix("sha256=")
    return str(found)


def _without_password(netloc: str) -> str:
    """A host without who asks it; `git@` is part of addresses of ssh, and nobody's secret."""
    user, _, host = netloc.rpartition("@")
    return netloc if user == "git" else host


def _by_version(doubt: str) -> Install:
    return Install(f"pip install {DISTRIBUTION}=={VERSION}", doubt)
