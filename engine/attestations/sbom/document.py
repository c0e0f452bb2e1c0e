"""Packages as an SPDX 2.3 document in JSON (spdx.github.io/spdx-spec/v2.3)."""

from __future__ import annotations

import hashlib
import re
import time
import uuid
from collections.abc import Sequence
from typing import Any

from engine.attestations.sbom.licenses import explanations, expression
from engine.attestations.sbom.package import Package

PREDICATE_TYPE = "https://spdx.dev/Document"
_UNSURE = "NOASSERTION"


def document(name: str, platform: str, packages: Sequence[Package], created: float) -> dict[str, Any]:
    """The document about a target's platform. `created` in seconds since the epoch. Equal packages, equal documents."""
    listed = [(_id(item), item) for item in packages]
    content = hashlib.sha256("\n".join(f"{i} {p.purl} {p.found_in}" for i, p in listed).encode()).hexdigest()
    root = "SPDXRef-DocumentRoot-Image"
    found = {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": name,
        "documentNamespace": f"https://spdx.org/spdxdocs/bakery-{uuid.uuid5(uuid.NAMESPACE_URL, f'{name} {content}')}",
        "creationInfo": {
            "creators": ["Tool: bakery"],
            "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(created)),
        },
        "packages": [_root(root, name, platform), *(_package(spdx_id, item) for spdx_id, item in listed)],
        "relationships": [
            _relationship("SPDXRef-DOCUMENT", "DESCRIBES", root),
            *(_relationship(root, "CONTAINS", spdx_id) for spdx_id, _ in listed),
        ],
    }
    explained = list(explanations(expression(package.license) for package in packages))
    return found | ({"hasExtractedLicensingInfos": explained} if explained else {})


def _root(spdx_id: str, name: str, platform: str) -> dict[str, Any]:
    return {
        "SPDXID": spdx_id,
        "name": name,
        "versionInfo": platform,
        "downloadLocation": _UNSURE,
        "filesAnalyzed": False,
        "licenseConcluded": _UNSURE,
        "licenseDeclared": _UNSURE,
        "copyrightText": _UNSURE,
        "primaryPackagePurpose": "CONTAINER",
    }


def _package(spdx_id: str, package: Package) -> dict[str, Any]:
    declared = expression(package.license)
    fields: dict[str, Any] = {
        "SPDXID": spdx_id,
        "name": package.name,
        "versionInfo": package.version,
        "supplier": f"Organization: {package.supplier}" if package.supplier else _UNSURE,
        "downloadLocation": _UNSURE,
        "filesAnalyzed": False,
        "sourceInfo": f"found in {package.found_in}",
        "licenseConcluded": _UNSURE,
        "licenseDeclared": declared or _UNSURE,
        "copyrightText": _UNSURE,
        "externalRefs": [
            {"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": package.purl}
        ],
    }
    if package.license and not declared:
        fields["licenseComments"] = package.license
    if package.homepage:
        fields["homepage"] = package.homepage
    if package.checksum:
        algorithm, _, value = package.checksum.partition(":")
        fields["checksums"] = [{"algorithm": algorithm, "checksumValue": value}]
    return fields


def _id(package: Package) -> str:
    """An identifier of letters, digits, dots and dashes; the same package in two places has two."""
    word = re.sub(r"[^A-Za-z0-9.-]+", "-", f"{package.kind}-{package.name}")
    return f"SPDXRef-Package-{word}-{hashlib.sha256(f'{package.purl} {package.found_in}'.encode()).hexdigest()[:16]}"


def _relationship(one: str, kind: str, other: str) -> dict[str, str]:
    return {"spdxElementId": one, "relationshipType": kind, "relatedSpdxElement": other}
