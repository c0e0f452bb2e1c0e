"""Reading the records of package managers: bounded, and never failing over what is in them."""

from __future__ import annotations

from collections.abc import Iterator

from engine.tree import Tree, resolve

MAX_RECORD = 64 << 20
"""Bytes of one record that are read; longer ones are cut there."""


def read_bytes(tree: Tree, path: str, limit: int = MAX_RECORD) -> bytes:
    """A file's beginning, links in its path followed inside of the tree; empty if it cannot be read."""
    try:
        with tree.open(resolve(tree, path)) as file:
            return file.read(limit)
    except OSError:
        return b""


def read_text(tree: Tree, path: str) -> str:
    """The same as text."""
    return read_bytes(tree, path).decode("utf-8", "replace")


def paragraphs(text: str) -> Iterator[dict[str, str]]:
    """The paragraphs of a text in Debian's control format (RFC 822 with continuation lines), keys in lower case."""
    fields: dict[str, str] = {}
    key = ""
    for line in text.splitlines():
        if not line.strip():
            if fields:
                yield fields
            fields, key = {}, ""
        elif line[0] in " \t":
            if key:
                fields[key] += "\n" + line.strip()
        else:
            key, mark, value = line.partition(":")
            key = key.strip().lower()
            if mark and key:
                # The first one counts where a key comes several times.
                fields.setdefault(key, value.strip())
    if fields:
        yield fields
