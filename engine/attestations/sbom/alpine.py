"""Alpine's packages: apk's database of what is installed (wiki.alpinelinux.org, "Apk spec")."""

from __future__ import annotations

from collections.abc import Iterator

from engine.attestations.purl import purl
from engine.attestations.sbom.package import Package
from engine.attestations.sbom.records import read_text
from engine.attestations.sbom.release import Release
from engine.tree import Tree

INSTALLED = frozenset(("/lib/apk/db/installed", "/usr/lib/apk/db/installed"))


def packages(release: Release, tree: Tree, path: str) -> Iterator[Package]:
    """The packages that are installed: paragraphs of lines such as `P:musl`, whose keys tell upper from lower case."""
    for text in read_text(tree, path).split("\n\n"):
        fields: dict[str, str] = {}
        for line in text.splitlines():
            key, mark, value = line.partition(":")
            if mark:
                fields.setdefault(key, value)
        name, version = fields.get("P", ""), fields.get("V", "")
        if not name or not version:
            continue
        qualifiers = {"arch": fields.get("A", ""), "distro": release.qualifier, "upstream": fields.get("o", "")}
        yield Package(
            "apk",
            name,
            version,
            purl("apk", name, version, namespace=release.id or "alpine", qualifiers=qualifiers),
            path,
            license=fields.get("L", ""),
            supplier=fields.get("m", ""),
            homepage=fields.get("U", ""),
        )
