"""A package, as any of the scanners finds it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Package:
    """One installed package. `kind` is its package URL's type; `found_in` the file that says it is there."""

    kind: str
    name: str
    version: str
    purl: str
    found_in: str
    license: str = ""
    supplier: str = ""
    homepage: str = ""
    checksum: str = ""
    """`ALGORITHM:HEX`, where the record has one."""
