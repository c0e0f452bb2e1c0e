"""The protobuf wire format, just as far as LLB needs it, with the field order that BuildKit's digests depend on.

A record is a frozen dataclass whose fields are made by `wire()`. The bytes are those of Go's legacy protobuf coder in
deterministic mode: fields by ascending number, *members of a oneof after all others*, map keys sorted, zero values
left out, negative integers as ten-byte varints, repeated integers packed. The official Python library orders oneof
members by number, which gives other vertex digests.

Format: https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Callable
from enum import IntEnum
from functools import cache, lru_cache
from operator import attrgetter
from typing import Any, TypeVar

from engine.values import frozen

Encoder = Callable[[Any], bytes]
T = TypeVar("T")

_VARINT, _BYTES = 0, 2
_MASK64 = (1 << 64) - 1


class WireError(ValueError):
    """Bytes that are not a well-formed record."""


@frozen
class Kind:
    """What a field holds: a scalar kind by name, a record or enum type, and whether there are many or a map of it."""

    scalar: str = ""
    record: type | None = None
    enum: type[IntEnum] | None = None
    repeated: bool = False
    mapped: bool = False


STRING, BYTES, BOOL = Kind("string"), Kind("bytes"), Kind("bool")
INT32, INT64, UINT32 = Kind("int32"), Kind("int64"), Kind("uint32")
STRINGS, INT32S, INT64S = Kind("string", repeated=True), Kind("int32", repeated=True), Kind("int64", repeated=True)
BYTES_LIST = Kind("bytes", repeated=True)
STRING_MAP, BOOL_MAP = Kind("string", mapped=True), Kind("bool", mapped=True)


def one(record: type) -> Kind:
    """A nested record, or None."""
    return Kind(record=record)


def many(record: type) -> Kind:
    """A tuple of nested records."""
    return Kind(record=record, repeated=True)


def map_of(record: type) -> Kind:
    """A map from strings to nested records."""
    return Kind(record=record, mapped=True)


def enum(kind: type[IntEnum]) -> Kind:
    """An enumeration, 0 when unset."""
    return Kind(enum=kind)


@frozen
class FieldSpec:
    """How one field of a record is written.

    `json` is its protobuf JSON name; `go` its name in Go's encoding/json, which cache digests are made of;
    `oneof` the name of the oneof it belongs to, if any (a member is present when it is not None).
    """

    name: str
    number: int
    kind: Kind
    json: str
    go: str
    oneof: str


def wire(number: int, kind: Kind, json: str = "", *, go: str = "", oneof: str = "", default: Any = None) -> Any:
    """A dataclass field with its number and kind; absent means the zero value of the kind, or None in a oneof."""
    meta = {"wire": (number, kind, json, go, oneof)}
    if oneof or (kind.record and not kind.repeated and not kind.mapped):
        return dataclasses.field(default=None, metadata=meta)
    if kind.repeated:
        return dataclasses.field(default=(), metadata=meta)
    if kind.mapped:
        return dataclasses.field(default_factory=dict, metadata=meta, hash=False)
    if kind.enum:
        return dataclasses.field(default=kind.enum(0) if default is None else default, metadata=meta)
    zero = {"string": "", "bytes": b"", "bool": False}.get(kind.scalar, 0)
    return dataclasses.field(default=zero if default is None else default, metadata=meta)


@cache
def fields_of(record: type[Any]) -> tuple[FieldSpec, ...]:
    """The fields of a record type in the order in which they are written."""
    specs = []
    for f in dataclasses.fields(record):
        number, kind, json, go, oneof = f.metadata["wire"]
        camel = json or _camel(f.name)
        specs.append(FieldSpec(f.name, number, kind, camel, go or camel, oneof))
    return tuple(sorted(specs, key=lambda s: (bool(s.oneof), s.number)))


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(word.capitalize() for word in rest)


# ---------------------------------------------------------------- writing


_SMALL = tuple(bytes((value,)) for value in range(0x80))


def varint(value: int) -> bytes:
    """A base-128 varint; negative numbers as 64-bit two's complement."""
    if 0 <= value < 0x80:
        return _SMALL[value]
    value &= _MASK64
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def encode(message: Any) -> bytes:
    """The deterministic bytes of a record."""
    values, writers, zero_counts = _writers(message.__class__)
    given = zip(writers, values(message), strict=True)
    if zero_counts:
        return b"".join([write(value) for write, value in given if value is not None])
    return b"".join([write(value) for write, value in given if value])


@cache
def _writers(record: type) -> tuple[Callable[[Any], tuple[Any, ...]], tuple[Encoder, ...], bool]:
    """What gets the values of a record's fields, what writes each, and whether one is written even if it is zero."""
    specs = fields_of(record)
    names = [spec.name for spec in specs]
    values = attrgetter(*names) if len(names) > 1 else lambda message: tuple(getattr(message, name) for name in names)
    return values, tuple(map(_writer, specs)), any(spec.oneof and not spec.kind.record for spec in specs)


def _writer(spec: FieldSpec) -> Encoder:
    kind = spec.kind
    key = varint(spec.number << 3 | (_VARINT if _is_number(kind) and not kind.repeated and not kind.mapped else _BYTES))
    value = _value_writer(kind)
    if kind.mapped:
        inner = varint(2 << 3 | (_VARINT if _is_number(kind) else _BYTES))
        return lambda items: b"".join(
            key + _sized(b"\x0a" + _sized(k.encode()) + inner + value(items[k])) for k in sorted(items)
        )
    if kind.repeated and _is_number(kind):
        return lambda items: key + _sized(b"".join(map(value, items))) if items else b""
    if kind.repeated and kind.scalar == "string":
        return _texts_writer(key)
    if kind.repeated:
        return lambda items: b"".join([key + value(item) for item in items])
    if spec.oneof or kind.record:
        return lambda item: key + value(item)
    return lambda item: key + value(item) if item else b""


def _texts_writer(key: bytes) -> Encoder:
    """For lists of texts. Steps in a row have the same environment, so the last few are remembered."""

    @lru_cache(maxsize=8)
    def texts(items: tuple[str, ...]) -> bytes:
        return b"".join([key + _sized(item.encode()) for item in items])

    return lambda items: texts(items) if items else b""


def _is_number(kind: Kind) -> bool:
    return kind.enum is not None or kind.scalar in ("bool", "int32", "int64", "uint32")


def _value_writer(kind: Kind) -> Encoder:
    if kind.record:
        return lambda item: _sized(encode(item))
    if _is_number(kind):
        return varint
    if kind.scalar == "string":
        return lambda item: _sized(item.encode())
    return _sized


def _sized(data: bytes) -> bytes:
    return varint(len(data)) + data


# ---------------------------------------------------------------- reading


def decode(record: type[T], data: bytes) -> T:
    """A record from its bytes; fields that it does not know are passed over.

    Raises:
        WireError: if the bytes are cut off or a value has the wrong form.
    """
    by_number = {spec.number: spec for spec in fields_of(record)}  # type: ignore[arg-type]
    found: dict[str, Any] = {}
    at = 0
    while at < len(data):
        key, at = _read_varint(data, at)
        raw, at = _read_value(data, at, key & 7)
        if (spec := by_number.get(key >> 3)) is not None:
            _collect(found, spec, raw)
    return record(**{k: tuple(v) if isinstance(v, list) else v for k, v in found.items()})


def without_first(data: bytes, number: int) -> bytes:
    """The bytes of a record without the records of a field that they begin with, if they do."""
    at, wanted = 0, number << 3 | _BYTES
    while at < len(data):
        key, begin = _read_varint(data, at)
        if key != wanted:
            break
        size, begin = _read_varint(data, begin)
        at = begin + size
    return data[at:]


def _collect(found: dict[str, Any], spec: FieldSpec, raw: int | bytes) -> None:
    kind = spec.kind
    if kind.mapped:
        name, value = _read_entry(kind, raw)
        found.setdefault(spec.name, {})[name] = value
    elif kind.repeated and _is_number(kind) and isinstance(raw, bytes):
        at, items = 0, found.setdefault(spec.name, [])
        while at < len(raw):
            item, at = _read_varint(raw, at)
            items.append(_scalar(kind, item))
    elif kind.repeated:
        found.setdefault(spec.name, []).append(_scalar(kind, raw))
    else:
        found[spec.name] = _scalar(kind, raw)


def _read_entry(kind: Kind, raw: int | bytes) -> tuple[str, Any]:
    if isinstance(raw, int):
        raise WireError("a map entry must be a record")
    name, value = "", _scalar(kind, 0 if _is_number(kind) else b"")
    at = 0
    while at < len(raw):
        key, at = _read_varint(raw, at)
        item, at = _read_value(raw, at, key & 7)
        if key >> 3 == 1:
            name = _scalar(STRING, item)
        elif key >> 3 == 2:
            value = _scalar(kind, item)
    return name, value


def _scalar(kind: Kind, raw: int | bytes) -> Any:
    if isinstance(raw, bytes) == _is_number(kind):
        raise WireError("a value has another wire type than its field")
    if isinstance(raw, bytes):
        if kind.record:
            return decode(kind.record, raw)
        try:
            return raw.decode() if kind.scalar == "string" else raw
        except UnicodeDecodeError as error:
            raise WireError(f"a string is not UTF-8: {error}") from None
    if kind.enum:
        try:
            return kind.enum(raw)
        except ValueError as error:
            raise WireError(str(error)) from None
    if kind.scalar == "bool":
        return bool(raw)
    if kind.scalar == "uint32":
        return raw & 0xFFFFFFFF
    return raw - (1 << 64) if raw >> 63 else raw


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise WireError("a number is cut off")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & _MASK64, at
        shift += 7


def _read_value(data: bytes, at: int, wire_type: int) -> tuple[int | bytes, int]:
    if wire_type == _VARINT:
        return _read_varint(data, at)
    if wire_type == _BYTES:
        size, at = _read_varint(data, at)
    elif wire_type in (1, 5):
        size = 8 if wire_type == 1 else 4
    else:
        raise WireError(f"unknown wire type {wire_type}")
    if at + size > len(data):
        raise WireError("a field is cut off")
    return data[at : at + size], at + size


# ---------------------------------------------------------------- JSON


def to_json(message: Any) -> dict[str, Any]:
    """The protobuf JSON mapping of a record: 64-bit integers as strings, bytes as base64, zero values left out."""
    out: dict[str, Any] = {}
    for spec in fields_of(message.__class__):
        value = getattr(message, spec.name)
        if value is None or (not value and not spec.oneof):
            continue
        if spec.kind.mapped:
            out[spec.json] = {k: _json_value(spec.kind, value[k]) for k in sorted(value)}
        elif spec.kind.repeated:
            out[spec.json] = [_json_value(spec.kind, item) for item in value]
        else:
            out[spec.json] = _json_value(spec.kind, value)
    return out


def _json_value(kind: Kind, value: Any) -> Any:
    if kind.record:
        return to_json(value)
    if kind.enum:
        return kind.enum(value).name
    if kind.scalar == "int64":
        return str(value)
    if kind.scalar == "bytes":
        return base64.b64encode(value).decode()
    return value
