"""Encodings: base64, JSON, CSV, URLs, bytes."""

from __future__ import annotations

import base64
import binascii
import csv
import io
import re
import urllib.parse
from collections.abc import Sequence
from typing import Final

from bakery.config import number as numbers
from bakery.config.functions.function import ArgumentError, Function, FunctionError, Parameter, definer
from bakery.config.functions.octets import encoded
from bakery.config.json_text import JsonTextError, from_json, to_json
from bakery.config.types import ANY, NUMBER, STRING, ObjectType, friendly_name
from bakery.config.values import Value, list_of, object_of, string

FUNCTIONS: Final[dict[str, Function]] = {}
_define = definer(FUNCTIONS)

_STR = Parameter("str", STRING)


@_define(_STR)
def base64encode(args: Sequence[Value]) -> Value:
    """The UTF-8 bytes of a text in base64."""
    return string(base64.b64encode(encoded(args[0].raw)).decode())


def decoded_base64(text: str) -> bytes:
    """The bytes of standard padded base64, newlines ignored. Raises FunctionError."""
    try:
        return base64.b64decode(re.sub("[\r\n]", "", text), validate=True)
    except (binascii.Error, ValueError):
        raise FunctionError(f"failed to decode base64 data '{text[:100]}'") from None


@_define(_STR)
def base64decode(args: Sequence[Value]) -> Value:
    """The UTF-8 text that base64 holds."""
    try:
        return string(decoded_base64(args[0].raw).decode())
    except UnicodeDecodeError:
        raise FunctionError("the result of decoding the provided string is not valid UTF-8") from None


def _no_bytes(value: Value) -> ArgumentError:
    # the peer has these two functions, but nothing in the language makes the byte buffers that they take
    return ArgumentError(0, f"bytes required, but have {friendly_name(value.type)}")


@_define(Parameter("buf"))
def byteslen(args: Sequence[Value]) -> Value:
    """The length of a byte buffer, which no value is."""
    raise _no_bytes(args[0])


@_define(Parameter("buf"), Parameter("offset", NUMBER), Parameter("length", NUMBER))
def bytesslice(args: Sequence[Value]) -> Value:
    """Some bytes of a byte buffer, which no value is."""
    raise _no_bytes(args[0])


@_define(Parameter("val", ANY, takes_null=True))
def jsonencode(args: Sequence[Value]) -> Value:
    """A value as JSON, keys in order, with `<`, `>` and `&` escaped."""
    return string(to_json(args[0]))


@_define(_STR)
def jsondecode(args: Sequence[Value]) -> Value:
    """The value that JSON describes: objects and tuples, never maps and lists."""
    try:
        return from_json(args[0].raw)
    except (JsonTextError, numbers.NumberError) as problem:
        raise FunctionError(str(problem)) from None


@_define(_STR)
def csvdecode(args: Sequence[Value]) -> Value:
    """A list of objects, one a row, with the attributes that the first row names."""
    rows = _csv_rows(args[0].raw)
    if not rows:
        raise FunctionError("missing header line")
    header = rows[0][1]
    for position, name in enumerate(header):
        if name in header[:position]:
            raise FunctionError(f'duplicate column name "{name}"')
    objects = []
    for line, row in rows[1:]:
        if len(row) != len(header):
            raise FunctionError(f"CSV parse error on line {line}: wrong number of fields")
        objects.append(object_of({name: string(cell) for name, cell in zip(header, row, strict=True)}))
    return list_of(ObjectType(dict.fromkeys(sorted(header), STRING)), objects)


def _csv_rows(text: str) -> list[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows: list[tuple[int, list[str]]] = []
    line = 1
    try:
        for row in reader:
            if row:
                rows.append((line, row))
            line = reader.line_num + 1
    except csv.Error as problem:
        raise FunctionError(f"CSV parse error on line {line}: {problem}") from None
    return rows


@_define(_STR)
def urlencode(args: Sequence[Value]) -> Value:
    """A text as a part of a URL query; a space becomes `+`."""
    return string(urllib.parse.quote_plus(encoded(args[0].raw), safe=""))
