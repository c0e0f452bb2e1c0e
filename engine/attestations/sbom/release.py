"""Which distribution a file system is: `/etc/os-release` (freedesktop.org, os-release(5))."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from engine.attestations.sbom.records import read_text
from engine.tree import Tree


@dataclass(frozen=True, slots=True)
class Release:
    """A distribution's short name and version, empty where it does not say."""

    id: str = ""
    version: str = ""

    @property
    def qualifier(self) -> str:
        """As package URLs name it: `debian-12`."""
        return f"{self.id}-{self.version}" if self.id and self.version else self.id


def read_release(tree: Tree) -> Release:
    """What the file system says it is."""
    text = read_text(tree, "/etc/os-release") or read_text(tree, "/usr/lib/os-release")
    fields: dict[str, str] = {}
    for line in text.splitlines():
        key, mark, value = line.strip().partition("=")
        if not mark or key.startswith("#"):
            continue
        try:
            fields[key] = " ".join(shlex.split(value))
        except ValueError:
            continue
    return Release(fields.get("ID", ""), fields.get("VERSION_ID", ""))
