"""Packages of npm and its kin: each `package.json` right inside a `node_modules` (docs.npmjs.com, package.json)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from engine.attestations.purl import purl
from engine.attestations.sbom.package import Package
from engine.attestations.sbom.records import read_bytes
from engine.tree import Tree

_PLACE = re.compile(r"/node_modules/(?:@[^/]+/)?[^/@][^/]*/package\.json")
_MAX = 4 << 20


def packages(tree: Tree, path: str) -> Iterator[Package]:
    """The package that the file tells of."""
    place = path.rfind("/node_modules/")
    if not _PLACE.fullmatch(path, place):
        return
    try:
        fields = json.loads(read_bytes(tree, path, _MAX))
    except (ValueError, RecursionError):
        return
    if not isinstance(fields, dict):
        return
    name, version = fields.get("name"), fields.get("version")
    if not isinstance(name, str) or not isinstance(version, str) or not name or not version:
        return
    namespace, _, last = name.rpartition("/")
    license_text, homepage = fields.get("license"), fields.get("homepage")
    yield Package(
        "npm",
        name,
        version,
        purl("npm", last, version, namespace=namespace),
        path,
        license=license_text if isinstance(license_text, str) else "",
        homepage=homepage if isinstance(homepage, str) else "",
    )
