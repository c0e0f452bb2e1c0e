"""Evaluated attributes to the plain values of a target draft, and back to values for references.

Raises BakeryError at the expression whose value does not suit.
"""

from __future__ import annotations

from typing import Any

from bakery.config.attributes import RESOURCE_NUMBERS, RESOURCE_TEXTS, Attribute, Kind
from bakery.config.conversion import ConversionError, convert
from bakery.config.draft import distinct, keyed
from bakery.config.entries import OBJECTS, PARSERS, entry_pairs
from bakery.config.hcl.syntax import Expression, first_span
from bakery.config.number import to_text
from bakery.config.target import SSHEntry
from bakery.config.types import (
    BOOL,
    NUMBER,
    STRING,
    ListType,
    MapType,
    ObjectType,
    SetType,
    TupleType,
    Type,
    friendly_name,
)
from bakery.config.values import Value, boolean, list_of, map_of, null, number, object_of, string, wholly_known
from bakery.diagnostics import BakeryError

_STRINGS = ListType(STRING)
_MAP = MapType(STRING)
_WANTED: dict[Kind, Type] = {
    Kind.STRING: STRING,
    Kind.BOOL: BOOL,
    Kind.STRINGS: _STRINGS,
    Kind.MAP: _MAP,
}


def unsuitable(reason: str, expr: Expression) -> BakeryError:
    """A value that does not suit its attribute, in the peer's words and at its place."""
    return BakeryError.of("Unsuitable value type", f"Unsuitable value: {reason}", first_span(expr))


def fit(attribute: Attribute, value: Value, expr: Expression) -> Value:
    """The value converted to the attribute's type. What has entries is checked by `plain`, which knows their forms."""
    wanted = _WANTED.get(attribute.kind)
    if value.is_null and not attribute.nullable:
        raise unsuitable(f"{attribute.kind.value} required, but have null", expr)
    if wanted is None or value.type is wanted:
        return value
    try:
        return convert(value, wanted)
    except ConversionError as error:
        raise unsuitable(str(error), expr) from None


def plain(attribute: Attribute, value: Value, expr: Expression) -> Any:
    """What a draft holds for a fitted, known and non-null value."""
    match attribute.kind:
        case Kind.STRING | Kind.BOOL:
            return value.raw
        case Kind.STRINGS:
            texts = [_text(member, index, expr) for index, member in enumerate(value.raw)]
            return strings(texts)
        case Kind.MAP:
            return _map(attribute, value, expr)
        case Kind.RESOURCES:
            return _resources(value, expr)
        case _:
            return _entries(attribute, value, expr)


def strings(texts: list[str]) -> list[str]:
    """A list of texts without empty and repeated members."""
    return distinct(text for text in texts if text)


def _text(member: Value, index: int, expr: Expression) -> str:
    if member.is_null:
        raise unsuitable(f"element {index}: string required, but have null", expr)
    text: str = member.raw
    return text


def _map(attribute: Attribute, value: Value, expr: Expression) -> dict[str, str]:
    if attribute.name == "contexts":
        absent = [key for key, member in value.raw.items() if member.is_null]
        if absent:
            raise unsuitable(f'string required for "{absent[0]}", but have null', expr)
    return {key: member.raw for key, member in value.raw.items() if member.raw is not None}


def _resources(value: Value, expr: Expression) -> dict[str, str | int]:
    if not isinstance(value.type, ObjectType | MapType):
        raise unsuitable(f"object required, but have {friendly_name(value.type)}", expr)
    found: dict[str, str | int] = {}
    for key, member in value.raw.items():
        if key not in RESOURCE_TEXTS and key not in RESOURCE_NUMBERS:
            raise unsuitable(f'unsupported attribute "{key}"', expr)
        if member.is_null:
            continue
        try:
            raw = convert(member, STRING if key in RESOURCE_TEXTS else NUMBER).raw
        except ConversionError as error:
            raise unsuitable(f"{key}: {error}", expr) from None
        if not isinstance(raw, str | int):
            raise unsuitable(f"{key}: a whole number is required", expr)
        found[key] = raw
    return found


def _entries(attribute: Attribute, value: Value, expr: Expression) -> list[Any]:
    if not isinstance(value.type, ListType | SetType | TupleType):
        raise unsuitable(f"list of entries required, but have {friendly_name(value.type)}", expr)
    entries: list[Any] = []
    for index, member in enumerate(value.raw):
        try:
            entries.extend(_entry(attribute.name, member))
        except ValueError as error:
            raise unsuitable(f"element {index}: {error}", expr) from None
    return tidy_entries(attribute, entries)


def tidy_entries(attribute: Attribute, entries: list[Any]) -> list[Any]:
    """Entries of one attribute without repeated ones: the first place stays, in keyed lists the last value counts."""
    if attribute.key:
        return keyed(entries, attribute.key)
    return entries if attribute.name == "policy" else distinct(entries)


def check_portable(attribute: Attribute, data: Any, expr: Expression) -> None:
    """Refuses what the peer has no word for. Raises BakeryError."""
    if attribute.name == "secret" and any(entry.command for entry in data):
        raise unsuitable("a secret from a command is for bakery's own files: rename this one to bakery.hcl", expr)


def _entry(name: str, member: Value) -> list[Any]:
    if member.is_null:
        raise ValueError(f"an entry of {name} must not be null")
    if member.type == STRING:
        return PARSERS[name](member.raw) if member.raw else []
    if not isinstance(member.type, ObjectType | MapType):
        raise ValueError(f"an entry of {name} must be a string or an object, not {friendly_name(member.type)}")
    if name == "ssh":
        return [_ssh(member)]
    pairs = {key.lower(): _attr(key, part) for key, part in member.raw.items() if part.raw is not None}
    return [OBJECTS[name](pairs)]


def _ssh(member: Value) -> SSHEntry:
    unknown = member.raw.keys() - {"id", "paths"}
    if unknown:
        raise ValueError(f"unexpected key '{min(unknown)}' in an ssh entry")
    name, paths = member.raw.get("id"), member.raw.get("paths")
    texts: tuple[str, ...] = ()
    if paths is not None and paths.raw is not None:
        if not isinstance(paths.raw, tuple):
            raise ValueError("paths of an ssh entry must be a list")
        texts = tuple(_attr("paths", path) for path in paths.raw)
    return SSHEntry("" if name is None or name.raw is None else _attr("id", name), texts)


def _attr(key: str, value: Value) -> str:
    try:
        text: str | None = convert(value, STRING).raw
    except ConversionError as error:
        raise ValueError(f"{key}: {error}") from None
    if text is None:
        raise ValueError(f"{key}: must not be null")
    return text


# --- references: what `target.NAME.ATTR` gives ---


def absent_value(attribute: Attribute) -> Value:
    """What a reference to an attribute that is not set gives."""
    if attribute.kind is Kind.ENTRIES:
        return list_of(_entry_type(attribute.name), ())
    if attribute.name == "description":
        return string("")
    return null(_WANTED.get(attribute.kind, _RESOURCES))


def reference_value(attribute: Attribute, fitted: Value, expr: Expression) -> Value:
    """What a reference to a set attribute gives: entries come as maps of string, secrets and ssh as objects."""
    if attribute.kind is Kind.ENTRIES and wholly_known(fitted) and not fitted.is_null:
        return entries_value(attribute, _entries(attribute, fitted, expr))
    if attribute.kind is Kind.RESOURCES and wholly_known(fitted) and not fitted.is_null:
        return _resources_value(_resources(fitted, expr))
    return fitted


def plain_value(attribute: Attribute, data: Any) -> Value:
    """The value of what a draft holds."""
    match attribute.kind:
        case Kind.STRING:
            return string(data)
        case Kind.BOOL:
            return boolean(data)
        case Kind.STRINGS:
            return list_of(STRING, map(string, data))
        case Kind.MAP:
            return map_of(STRING, {key: string(text) for key, text in data.items()})
        case Kind.RESOURCES:
            return _resources_value(data)
        case _:
            return entries_value(attribute, data)


def entries_value(attribute: Attribute, entries: list[Any]) -> Value:
    """Entries as values."""
    return list_of(_entry_type(attribute.name), [_entry_value(attribute.name, entry) for entry in entries])


_SECRET = ObjectType({"env": STRING, "id": STRING, "src": STRING})
_SSH = ObjectType({"id": STRING, "paths": _STRINGS})
_RESOURCES = ObjectType(
    {key: STRING if key in RESOURCE_TEXTS else NUMBER for key in sorted((*RESOURCE_TEXTS, *RESOURCE_NUMBERS))}
)


def _entry_type(name: str) -> Type:
    return {"secret": _SECRET, "ssh": _SSH}.get(name, _MAP)


def _entry_value(name: str, entry: Any) -> Value:
    if name == "secret":
        return object_of({"id": string(entry.id), "src": string(entry.src), "env": string(entry.env)})
    if name == "ssh":
        return object_of({"id": string(entry.id), "paths": list_of(STRING, map(string, entry.paths))})
    pairs = {
        key: "true" if data is True else "false" if data is False else data for key, data in entry_pairs(entry).items()
    }
    return map_of(STRING, {key: string(text) for key, text in pairs.items()})


def _resources_value(data: dict[str, str | int]) -> Value:
    members = {key: null(type) for key, type in _RESOURCES.attributes.items()}
    for key, raw in data.items():
        members[key] = string(raw) if isinstance(raw, str) else number(raw)
    return object_of(members)


def text_of(value: Value) -> str:
    """A known value as people read it: strings as they are, anything else as JSON."""
    if value.raw is None:
        return ""
    match value.type:
        case t if t == STRING:
            return str(value.raw)
        case t if t == BOOL:
            return "true" if value.raw else "false"
        case t if t == NUMBER:
            return to_text(value.raw)
        case _:
            from bakery.config.functions import BUILTINS

            encode = BUILTINS["jsonencode"]
            return str(encode.call([value]).raw)
