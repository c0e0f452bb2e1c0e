"""Debian's and its children's packages: dpkg's status file, and the one file a package of distroless images."""

from __future__ import annotations

from collections.abc import Iterator

from engine.attestations.purl import purl
from engine.attestations.sbom.package import Package
from engine.attestations.sbom.records import paragraphs, read_text
from engine.attestations.sbom.release import Release
from engine.tree import Tree

STATUS = "/var/lib/dpkg/status"
STATUS_FOLDER = "/var/lib/dpkg/status.d/"


def packages(release: Release, tree: Tree, path: str) -> Iterator[Package]:
    """The packages that are installed; what was removed and only left its configuration is not."""
    if path.endswith((".md5sums", ".list")):
        return
    for fields in paragraphs(read_text(tree, path)):
        name, version = fields.get("package", ""), fields.get("version", "")
        status = fields.get("status", "install ok installed")
        if not name or not version or not status.endswith(" installed"):
            continue
        source, _, source_version = fields.get("source", "").partition(" ")
        upstream = source + (f"@{source_version.strip('()')}" if source and source_version else "")
        qualifiers = {"arch": fields.get("architecture", ""), "distro": release.qualifier, "upstream": upstream}
        yield Package(
            "deb",
            name,
            version,
            purl("deb", name, version, namespace=release.id or "debian", qualifiers=qualifiers),
            path,
            supplier=fields.get("maintainer", "").partition("\n")[0],
            homepage=fields.get("homepage", ""),
        )
