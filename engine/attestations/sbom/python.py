"""Python packages: the metadata that installers leave (packaging.python.org, "Core metadata")."""

from __future__ import annotations

import re
from collections.abc import Iterator

from engine.attestations.purl import purl
from engine.attestations.sbom.package import Package
from engine.attestations.sbom.records import paragraphs, read_text
from engine.tree import Tree


def is_record(path: str) -> bool:
    """Whether a METADATA or PKG-INFO is that of an installed package."""
    folder, _, name = path.rpartition("/")
    return folder.endswith(".dist-info") if name == "METADATA" else folder.endswith((".egg-info", "/EGG-INFO"))


def packages(tree: Tree, path: str) -> Iterator[Package]:
    """The package that the file tells of."""
    fields = next(paragraphs(read_text(tree, path)), {})
    name, version = fields.get("name", ""), fields.get("version", "")
    if not name or not version:
        return
    normal = re.sub(r"[-_.]+", "-", name).lower()
    license_text = fields.get("license-expression") or fields.get("license", "").partition("\n")[0]
    yield Package(
        "pypi",
        name,
        version,
        purl("pypi", normal, version),
        path,
        license="" if license_text == "UNKNOWN" else license_text[:200],
        homepage=fields.get("home-page", "").replace("UNKNOWN", ""),
    )
