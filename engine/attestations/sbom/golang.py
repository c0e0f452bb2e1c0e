"""Go's modules inside of programs: the build information that the linker leaves (Go's `debug/buildinfo`).

A program has 16 bytes that begin with a magic, 16 bytes to a 16 byte border; since Go 1.18 (a flag of 2) two texts
follow, each with its length as a varint: the version of Go, and the modules between two markers of 16 bytes.
"""

from __future__ import annotations

from collections.abc import Iterator

from engine.attestations.purl import purl
from engine.attestations.sbom.package import Package
from engine.tree import Tree, resolve

LEAST = 64 << 10
"""No Go program is smaller than this many bytes."""
_MAGIC = b"\xff Go buildinf:"
_HEADER, _MARKER = 32, 16
_MAX_PROGRAM = 1 << 30
_PIECE = 4 << 20
_MAX_INFO = 4 << 20


def packages(tree: Tree, path: str) -> Iterator[Package]:
    """The modules that a program was built from; nothing for what is not written in Go."""
    info = _build_info(tree, path)
    if not info:
        return
    version, modules = info
    yield _package("stdlib", version.removeprefix("go").partition(" ")[0], path)
    lines = [line.split("\t") for line in modules.splitlines()]
    for number, line in enumerate(lines):
        if line[0] not in ("mod", "dep") or len(line) < 3:
            continue
        replaced = lines[number + 1] if number + 1 < len(lines) and lines[number + 1][0] == "=>" else line
        if len(replaced) >= 3 and replaced[1] and not replaced[1].startswith((".", "/")):
            yield _package(replaced[1], replaced[2].replace("(devel)", ""), path)


def _package(module: str, version: str, path: str) -> Package:
    namespace, _, name = module.rpartition("/")
    return Package("golang", module, version, purl("golang", name, version, namespace=namespace), path)


def _build_info(tree: Tree, path: str) -> tuple[str, str] | None:
    try:
        with tree.open(resolve(tree, path)) as file:
            if file.read(4) != b"\x7fELF":
                return None
            before, read = b"\x7fELF", 4
            while (piece := file.read(_PIECE)) and read < _MAX_PROGRAM:
                data = before + piece
                at = data.find(_MAGIC)
                if at >= 0:
                    return _read_info(data[at:] + file.read(_MAX_INFO))
                before, read = data[-_HEADER:], read + len(piece)
    except OSError:
        return None
    return None


def _read_info(data: bytes) -> tuple[str, str] | None:
    if len(data) < _HEADER or not data[15] & 2:  # older programs have pointers here instead
        return None
    version, at = _text(data, _HEADER)
    modules, _ = _text(data, at)
    if not version.startswith(b"go"):
        return None
    if len(modules) >= 2 * _MARKER + 1 and modules[-_MARKER - 1 : -_MARKER] == b"\n":
        modules = modules[_MARKER:-_MARKER]
    return version.decode("utf-8", "replace"), modules.decode("utf-8", "replace")


def _text(data: bytes, at: int) -> tuple[bytes, int]:
    length = shift = 0
    while at < len(data) and shift < 64:
        byte = data[at]
        at += 1
        length |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return data[at : at + length], at + length
    return b"", len(data)
