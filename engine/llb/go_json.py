"""Go's encoding/json form of LLB records: what BuildKit's cache digests are the sha256 of.

It is not the protobuf JSON mapping (`engine.llb.wire.to_json`): compact, fields in the order of the Go struct, which is
by number, names of `FieldSpec.go`, empty values left out, enums and 64-bit integers as plain numbers, bytes as base64,
and `<`, `>`, `&`, U+2028 and U+2029 escaped, as that package does to make JSON safe inside HTML.

Format: https://pkg.go.dev/encoding/json#Marshal
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import is_dataclass
from enum import IntEnum
from functools import cache
from operator import attrgetter
from typing import Any

from engine.digests import Digest, sha256
from engine.llb.wire import fields_of

_ESCAPES = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"})

_ENCODE = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_AS_THEY_ARE = frozenset((str, int, bool))


def go_json(record: Any) -> bytes:
    """The Go JSON form of a record that a cache digest is made of: the bodies of ops, and file actions."""
    return _text(_plain(record)).encode()


def tagged_json(tag: str, /, **members: Any) -> bytes:
    """The object that a cache digest is made of: `{"Type": tag, …}`, its members in the order given.

    A member may be a record, a string, a number, bytes (base64) or a list of such; empty ones that Go's struct marks
    as omitempty are left out by not giving them.
    """
    return _text({"Type": tag, **{name: _plain(value) for name, value in members.items()}}).encode()


def tagged_digest(tag: str, /, **members: Any) -> Digest:
    """The sha256 of `tagged_json`: an op's cache digest."""
    return sha256(tagged_json(tag, **members))


def _text(plain: Any) -> str:
    # Such characters stand in a JSON text only inside of strings, so escaping may come last.
    return _ENCODE(plain).translate(_ESCAPES)


def _plain(value: Any) -> Any:
    if value.__class__ in _AS_THEY_ARE:
        return value
    if is_dataclass(value):
        return _object(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, IntEnum):
        return int(value)
    if isinstance(value, Mapping):
        return {key: _plain(value[key]) for key in sorted(value)}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _object(record: Any) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for name, go, oneof in _members(record.__class__):
        value = getattr(record, name)
        if oneof:
            # A oneof is an object of its own, whose zero member is left out: the user 0 reads {"User":{}}.
            inside = out.setdefault(oneof, {})
            if value:
                inside[go] = _plain(value)
        elif value:  # a record is never empty, even without members: a nil pointer is
            out[go] = _plain(value)
    return out


@cache
def _members(record: type) -> tuple[tuple[str, str, str], ...]:
    """Each field of a record type in Go's order: our name, Go's, and that of the oneof it belongs to."""
    specs = sorted(fields_of(record), key=attrgetter("number"))
    return tuple((spec.name, spec.go, spec.oneof.capitalize()) for spec in specs)
