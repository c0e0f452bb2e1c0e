"""Red Hat's, SUSE's and their children's packages: rpm's database, in SQLite or one of the older forms.

A row's blob is a header: two counts (big endian), so many index entries of 16 bytes (tag, type, offset, count), and the
data they point into (rpm-software-management.github.io/rpm/manual/format_header.html).
"""

from __future__ import annotations

import sqlite3
import struct
import tempfile
from collections.abc import Iterator

from engine.attestations.purl import purl
from engine.attestations.sbom.package import Package
from engine.attestations.sbom.records import read_bytes
from engine.attestations.sbom.release import Release
from engine.attestations.sbom.rpm_databases import berkeley_headers, ndb_headers
from engine.tree import Tree

_SQLITE, _NDB, _BERKELEY = "rpmdb.sqlite", "Packages.db", "Packages"
DATABASES = frozenset(
    f"{folder}/{name}"
    for folder in ("/var/lib/rpm", "/usr/lib/sysimage/rpm", "/usr/share/rpm")
    for name in (_SQLITE, _NDB, _BERKELEY)
)
_NAME, _VERSION, _RELEASE, _EPOCH, _VENDOR, _LICENSE, _URL, _ARCH, _SOURCE = (
    1000, 1001, 1002, 1003, 1011, 1014, 1020, 1022, 1044,
)  # fmt: skip
_INT32, _STRING, _I18N = 4, 6, 9
_MAX_DATABASE = 512 << 20


def packages(release: Release, tree: Tree, path: str) -> Iterator[Package]:
    """The packages that are installed; nothing if the database cannot be read."""
    data = read_bytes(tree, path, _MAX_DATABASE)
    for blob in _HEADERS[path.rpartition("/")[2]](data):
        if package := _package(_tags(blob), release, path):
            yield package


def _sqlite_headers(data: bytes) -> Iterator[bytes]:
    with tempfile.NamedTemporaryFile(suffix=".sqlite") as copy:
        copy.write(data)
        copy.flush()
        try:
            # Immutable: the copy has no journal beside it, and needs none.
            with sqlite3.connect(f"file:{copy.name}?mode=ro&immutable=1", uri=True) as connection:
                rows = [row[0] for row in connection.execute("SELECT blob FROM Packages")]
            connection.close()
        except sqlite3.Error:
            return
    yield from (row for row in rows if isinstance(row, bytes))


_HEADERS = {_SQLITE: _sqlite_headers, _NDB: ndb_headers, _BERKELEY: berkeley_headers}


def _package(tags: dict[int, str], release: Release, path: str) -> Package | None:
    name, version = tags.get(_NAME, ""), tags.get(_VERSION, "")
    if not name or not version or name == "gpg-pubkey":  # a key is kept as if it were a package
        return None
    full = f"{version}-{tags[_RELEASE]}" if tags.get(_RELEASE) else version
    qualifiers = {
        "arch": tags.get(_ARCH, ""),
        "epoch": tags.get(_EPOCH, ""),
        "distro": release.qualifier,
        "upstream": tags.get(_SOURCE, ""),
    }
    return Package(
        "rpm",
        name,
        full,
        purl("rpm", name, full, namespace=release.id or "redhat", qualifiers=qualifiers),
        path,
        license=tags.get(_LICENSE, ""),
        supplier=tags.get(_VENDOR, ""),
        homepage=tags.get(_URL, ""),
    )


def _tags(blob: bytes) -> dict[int, str]:
    """The texts and small numbers of a header by tag."""
    if len(blob) < 8:
        return {}
    entries, size = struct.unpack_from(">II", blob)
    start = 8 + 16 * entries
    if start + size > len(blob):
        return {}
    found: dict[int, str] = {}
    for number in range(entries):
        tag, kind, offset, _ = struct.unpack_from(">IIII", blob, 8 + 16 * number)
        at = start + offset
        if kind in (_STRING, _I18N) and at < len(blob):
            end = blob.find(b"\0", at)
            found[tag] = blob[at : end if end >= 0 else len(blob)].decode("utf-8", "replace")
        elif kind == _INT32 and at + 4 <= len(blob):
            found[tag] = str(struct.unpack_from(">I", blob, at)[0])
    return found
