"""What is in a file system: the records of each package manager, and files that only look like them."""

from __future__ import annotations

import gzip
import json
import random
import re
import sqlite3
import struct
from pathlib import Path

import pytest

from engine.attestations.sbom.document import document
from engine.attestations.sbom.package import Package
from engine.attestations.sbom.scan import scan
from engine.snapshots.overlay_format import overlay_format
from engine.snapshots.tree import LayeredTree

OS_RELEASE = 'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian GNU/Linux 12"\n'


def found(tmp_path: Path, files: dict[str, str | bytes]) -> list[Package]:
    for name, content in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        if name.startswith("usr/bin/"):
            path.chmod(0o755)
    return scan(LayeredTree([tmp_path], overlay_format()))


def purls(packages: list[Package]) -> list[str]:
    return [package.purl for package in packages]


def test_debian(tmp_path: Path) -> None:
    status = """Package: bash
Status: install ok installed
Maintainer: Matthias Klose <doko@debian.org>
Architecture: amd64
Version: 5.2.15-2+b7
Description: GNU shell
 Bash is an sh-compatible shell
Homepage: http://tiswww.case.edu/php/chet/bash/bashtop.html

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1

Package: libssl3
Status: install ok installed
Source: openssl (3.0.11-1)
Architecture: amd64
Version: 3.0.11-1~deb12u2
"""
    one = "Package: tzdata\nVersion: 2024a-0\nArchitecture: all\n"
    packages = found(
        tmp_path,
        {
            "etc/os-release": OS_RELEASE,
            "var/lib/dpkg/status": status,
            "var/lib/dpkg/status.d/tzdata": one,
            "var/lib/dpkg/status.d/tzdata.md5sums": "0  a\n",
        },
    )
    assert purls(packages) == [
        "pkg:deb/debian/bash@5.2.15-2%2Bb7?arch=amd64&distro=debian-12",
        "pkg:deb/debian/libssl3@3.0.11-1~deb12u2?arch=amd64&distro=debian-12&upstream=openssl%403.0.11-1",
        "pkg:deb/debian/tzdata@2024a-0?arch=all&distro=debian-12",
    ]
    assert packages[0].homepage.startswith("http://tiswww")


def test_alpine(tmp_path: Path) -> None:
    installed = (
        "C:Q1abc\nP:musl\nV:1.2.4-r2\nA:x86_64\nL:MIT\nU:https://musl.libc.org/\no:musl\n\nP:busybox\nV:1.36.1-r5\n"
    )
    packages = found(tmp_path, {"etc/os-release": "ID=alpine\nVERSION_ID=3.18\n", "lib/apk/db/installed": installed})
    assert purls(packages) == [
        "pkg:apk/alpine/busybox@1.36.1-r5?distro=alpine-3.18",
        "pkg:apk/alpine/musl@1.2.4-r2?arch=x86_64&distro=alpine-3.18&upstream=musl",
    ]
    assert packages[1].license == "MIT"


def rpm_header(tags: dict[int, str | int]) -> bytes:
    index, data = b"", b""
    for tag, value in tags.items():
        if isinstance(value, int):
            data += b"\0" * (-len(data) % 4)
            index += struct.pack(">IIII", tag, 4, len(data), 1)
            data += struct.pack(">I", value)
        else:
            index += struct.pack(">IIII", tag, 6, len(data), 1)
            data += value.encode() + b"\0"
    return struct.pack(">II", len(tags), len(data)) + index + data


def test_rpm(tmp_path: Path) -> None:
    database = tmp_path / "made.sqlite"
    with sqlite3.connect(database) as connection:
        connection.execute("CREATE TABLE Packages (hnum INTEGER PRIMARY KEY, blob BLOB NOT NULL)")
        rows = [
            rpm_header({1000: "bash", 1001: "5.2.26", 1002: "3.fc40", 1014: "GPL-3.0-or-later", 1022: "x86_64"}),
            rpm_header({1000: "shadow-utils", 1001: "4.15", 1002: "1", 1003: 2, 1022: "x86_64"}),
            rpm_header({1000: "gpg-pubkey", 1001: "a15b79cc", 1002: "1"}),
            b"rubbish",
            struct.pack(">II", 1 << 30, 8) + b"x" * 64,
        ]
        connection.executemany("INSERT INTO Packages (blob) VALUES (?)", [(row,) for row in rows])
    connection.close()
    content = database.read_bytes()
    database.unlink()
    files = {"etc/os-release": "ID=fedora\nVERSION_ID=40\n", "usr/lib/sysimage/rpm/rpmdb.sqlite": content}
    assert purls(found(tmp_path, files)) == [
        "pkg:rpm/fedora/bash@5.2.26-3.fc40?arch=x86_64&distro=fedora-40",
        "pkg:rpm/fedora/shadow-utils@4.15-1?arch=x86_64&distro=fedora-40&epoch=2",
    ]
    assert found(tmp_path / "other", {"var/lib/rpm/rpmdb.sqlite": b"not a database"}) == []


def test_rpm_in_a_berkeley_hash(tmp_path: Path) -> None:
    # Two packages made by rpmbuild, their headers put into a hash by Berkeley DB's own db_load.
    content = gzip.decompress((Path(__file__).parent / "data/Packages.gz").read_bytes())
    files = {"etc/os-release": "ID=centos\nVERSION_ID=7\n", "var/lib/rpm/Packages": content}
    assert purls(found(tmp_path, files)) == [
        f"pkg:rpm/centos/{name}@1.2-3?arch=noarch&distro=centos-7&epoch=4&upstream=cake-1.2-3.src.rpm"
        for name in ("cake", "cake-extra")
    ]


@pytest.mark.parametrize("seed", range(30))
def test_a_damaged_berkeley_hash_ends_the_reading_not_the_build(tmp_path: Path, seed: int) -> None:
    content = bytearray(gzip.decompress((Path(__file__).parent / "data/Packages.gz").read_bytes()))
    dice = random.Random(seed)
    for _ in range(40):
        content[dice.randrange(24, len(content))] = dice.randrange(256)
    damaged = bytes(content[: dice.randrange(len(content) // 2, len(content) + 1)])
    assert len(found(tmp_path, {"var/lib/rpm/Packages": damaged})) <= 2


def test_rpm_in_ndb(tmp_path: Path) -> None:
    header = rpm_header({1000: "bash", 1001: "5.2", 1002: "1.1", 1022: "x86_64"})
    slots = [(b"Slot", 1, 256, 1), (b"Slot", 2, 0, 0), (b"Slot", 3, 1 << 30, 1), (b"Slot", 4, 256, 1)]
    page = struct.pack("<4sIIIIIII", b"RpmP", 0, 1, 1, 5, 0, 0, 0)
    page += b"".join(struct.pack("<4sIII", *slot) for slot in slots)
    blob = struct.pack("<4sIII", b"BlbS", 1, 1, len(header)) + header + b"tail"
    files = {
        "etc/os-release": "ID=opensuse-leap\nVERSION_ID=15.6\n",
        "usr/lib/sysimage/rpm/Packages.db": page.ljust(4096, b"\0") + blob,
    }
    assert purls(found(tmp_path, files)) == ["pkg:rpm/opensuse-leap/bash@5.2-1.1?arch=x86_64&distro=opensuse-leap-15.6"]
    assert found(tmp_path / "other", {"usr/lib/sysimage/rpm/Packages.db": b"RpmP" + bytes(5000)}) == []


def test_python_and_node(tmp_path: Path) -> None:
    site = "usr/lib/python3/dist-packages"
    packages = found(
        tmp_path,
        {
            f"{site}/Foo_Bar-1.0.dist-info/METADATA": "Name: Foo_Bar\nVersion: 1.0\nLicense: MIT\n\nName: not\n",
            f"{site}/old.egg-info/PKG-INFO": "Name: old\nVersion: 2\nLicense: UNKNOWN\n",
            "usr/share/METADATA": "Name: no\nVersion: 1\n",
            "app/node_modules/left-pad/package.json": '{"name": "left-pad", "version": "1.3.0", "license": "WTFPL"}',
            "app/node_modules/@types/node/package.json": '{"name": "@types/node", "version": "20.1.0"}',
            "app/node_modules/left-pad/test/package.json": '{"name": "fixture", "version": "0.0.0"}',
            "app/node_modules/odd/package.json": '["not", "an", "object"]',
            "app/package.json": '{"name": "app", "version": "1.0.0"}',
        },
    )
    assert purls(packages) == [
        "pkg:npm/%40types/node@20.1.0",
        "pkg:npm/left-pad@1.3.0",
        "pkg:pypi/foo-bar@1.0",
        "pkg:pypi/old@2",
    ]


def go_program(modules: str, *, at: int = 100_000) -> bytes:
    def text(data: bytes) -> bytes:
        length, out = len(data), b""
        while length >= 0x80:
            out, length = out + bytes([length & 0x7F | 0x80]), length >> 7
        return out + bytes([length]) + data

    marked = b"0" * 16 + modules.encode() + b"1" * 16
    info = b"\xff Go buildinf:\x08\x02" + bytes(16) + text(b"go1.22.1") + text(marked)
    return b"\x7fELF" + bytes(at - 4) + info + bytes(1000)


@pytest.mark.parametrize("at", [65_536, (4 << 20) - 8, 5 << 20])
def test_go(tmp_path: Path, at: int) -> None:
    modules = (
        "path\texample.org/app\nmod\texample.org/app\t(devel)\t\n"
        "dep\tgolang.org/x/sys\tv0.18.0\th1:abc=\n"
        "dep\texample.org/old\tv1.0.0\n=>\texample.org/new\tv1.1.0\th1:def=\n"
        "dep\texample.org/near\tv1.0.0\n=>\t./near\t\n"
    )
    packages = found(
        tmp_path, {"usr/bin/app": go_program(modules, at=at), "usr/bin/other": b"\x7fELF" + bytes(100_000)}
    )
    assert purls(packages) == [
        "pkg:golang/example.org/app",
        "pkg:golang/example.org/new@v1.1.0",
        "pkg:golang/golang.org/x/sys@v0.18.0",
        "pkg:golang/stdlib@1.22.1",
    ]


def test_links_never_lead_out(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("Package: secret\nVersion: 1\n")
    root = tmp_path / "root"
    (root / "var/lib/dpkg").mkdir(parents=True)
    (root / "var/lib/dpkg/status").symlink_to(outside)
    (root / "etc").mkdir()
    (root / "etc/os-release").symlink_to("../../outside")
    assert scan(LayeredTree([root], overlay_format())) == []


def test_the_document_is_spdx_and_the_same_for_the_same_packages(tmp_path: Path) -> None:
    package = Package("deb", "a b", "1", "pkg:deb/debian/a@1", "/var/lib/dpkg/status", license="MIT OR Apache-2.0")
    odd = Package("pypi", "c", "2", "pkg:pypi/c@2", "/x", license="see the file LICENSE")
    made = document("app", "linux/amd64", [package, odd], 0.0)
    assert json.loads(json.dumps(made)) == document("app", "linux/amd64", [package, odd], 0.0)
    assert made["creationInfo"]["created"] == "1970-01-01T00:00:00Z"
    ids = [item["SPDXID"] for item in made["packages"]]
    assert all(re.fullmatch(r"SPDXRef-[A-Za-z0-9.-]+", i) for i in ids)
    assert len(set(ids)) == 3
    assert [item["licenseDeclared"] for item in made["packages"][1:]] == ["MIT OR Apache-2.0", "NOASSERTION"]
    assert made["packages"][2]["licenseComments"] == "see the file LICENSE"
    contained = {r["relatedSpdxElement"] for r in made["relationships"] if r["relationshipType"] == "CONTAINS"}
    assert contained == set(ids[1:])


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("MIT", "MIT"),
        ("(MIT OR Apache-2.0) AND GPL-2.0+", "(MIT OR Apache-2.0) AND GPL-2.0+"),
        ("LGPL-2.1-or-later WITH GCC-exception-3.1", "LGPL-2.1-or-later WITH GCC-exception-3.1"),
        ("BSD", "LicenseRef-BSD"),
        ("MIT AND GPLv2+", "MIT AND LicenseRef-GPLv2-or-later"),
        ("MIT WITH luck", ""),
        ("(MIT", ""),
        ("(MIT) OR Zlib)", ""),
        ("see the file", ""),
        ("", ""),
    ],
)
def test_licences_are_those_of_the_list_or_explained(said: str, expected: str) -> None:
    made = document("app", "linux/amd64", [Package("pypi", "c", "2", "pkg:pypi/c@2", "/x", license=said)], 0)
    assert made["packages"][1]["licenseDeclared"] == (expected or "NOASSERTION")
    assert made["packages"][1].get("licenseComments", "") == ("" if expected else said)
    own = [word for word in expected.split() if word.startswith("LicenseRef-")]
    assert [item["licenseId"] for item in made.get("hasExtractedLicensingInfos", [])] == own
