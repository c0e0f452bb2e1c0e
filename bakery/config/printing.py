"""A project as JSON and lists as tables, exactly in the peer's form, so that scripts can read either."""

from __future__ import annotations

import json
from collections.abc import Callable
from json.encoder import encode_basestring
from typing import Any

from bakery.config.attributes import ATTRIBUTES, RESOURCE_ORDER, Kind
from bakery.config.entries import entry_pairs
from bakery.config.target import Listing, NamedDescription, Project, Target

_TEMPLATES = frozenset({"args", "labels", "annotations", "dockerfile-inline", "extra-hosts"})
"""Attributes whose texts are escaped so that the printed JSON can be loaded again."""


def print_json(project: Project) -> str:
    """The JSON of `--print`: groups and targets by name, ending with a newline."""
    groups = {
        name: {
            **({"description": group.description} if group.description else {}),
            # The group that Compose files make has no place; without members it is null, one that is written is [].
            "targets": list(group.targets) or ([] if group.span else None),
        }
        for name, group in sorted(project.groups.items())
    }
    targets = {name: target_json(target) for name, target in sorted(project.targets.items())}
    return as_json({"group": groups, "target": targets} if groups else {"target": targets}) + "\n"


def target_json(target: Target) -> dict[str, Any]:
    """One target as `--print` shows it: keys in fixed order, unset and empty ones left out."""
    found: dict[str, Any] = {}
    for name, attribute in ATTRIBUTES.items():
        value = getattr(target, attribute.field)
        if value or (value is False or value == ""):
            shown = _shown(name, attribute.kind, value)
            if shown is not None and (name != "description" or shown):
                found[name] = shown
    return found


def _shown(name: str, kind: Kind, value: Any) -> Any:
    if value is None:
        return None
    escape = _escaped if name in _TEMPLATES else str
    match kind:
        case Kind.BOOL:
            return value
        case Kind.STRING:
            return escape(value)
        case Kind.STRINGS:
            return [escape(text) for text in value] or None
        case Kind.MAP:
            return {key: escape(text) for key, text in sorted(value.items())} or None
        case Kind.RESOURCES:
            return {key: value[key] for key in RESOURCE_ORDER if key in value} or None
        case _:
            return [entry_pairs(entry) for entry in value] or None


def _escaped(text: str) -> str:
    return text.replace("${", "$${").replace("%{", "%%{")


def as_json(data: Any) -> str:
    """JSON as Go writes it with two spaces: `<`, `>`, `&` and line separators escaped, other characters as they are."""
    parts: list[str] = []
    _write(data, "\n", parts.append)
    text = "".join(parts)
    for char in "<>&\u2028\u2029":
        if char in text:
            text = text.replace(char, f"\\u{ord(char):04x}")
    return text


def _write(data: Any, newline: str, put: Callable[[str], None]) -> None:
    """Indented JSON in pieces; the standard library's takes three times as long once it has to indent."""
    if isinstance(data, str):
        put(encode_basestring(data))
    elif isinstance(data, dict) and data:
        inner = newline + "  "
        opening = "{" + inner
        for key, value in data.items():
            if isinstance(value, str):
                put(f"{opening}{encode_basestring(key)}: {encode_basestring(value)}")
            else:
                put(f"{opening}{encode_basestring(key)}: ")
                _write(value, inner, put)
            opening = "," + inner
        put(newline + "}")
    elif isinstance(data, list) and data:
        inner = newline + "  "
        opening = "[" + inner
        for value in data:
            put(opening)
            _write(value, inner, put)
            opening = "," + inner
        put(newline + "]")
    else:
        put(json.dumps(data))


def targets_table(listing: Listing) -> str:
    """`--list=targets`."""
    rows: list[tuple[str, ...]] = [("TARGET", "DESCRIPTION")]
    rows += [(item.name, _described(item)) for item in listing.targets]
    return _table(rows)


def _described(item: NamedDescription) -> str:
    if item.group is None:
        return item.description
    members = ", ".join(item.group)
    return f"{item.description} ({members})" if item.description else members


def targets_json(listing: Listing) -> str:
    """`--list=type=targets,format=json`."""
    items: list[dict[str, Any]] = []
    for item in listing.targets:
        data: dict[str, Any] = {"name": item.name}
        if _described(item):
            data["description"] = _described(item)
        if item.group is not None:
            data["group"] = True
        items.append(data)
    return as_json(items) + "\n"


def variables_table(listing: Listing) -> str:
    """`--list=variables`."""
    rows: list[tuple[str, ...]] = [("VARIABLE", "TYPE", "VALUE", "DESCRIPTION")]
    rows += [
        (item.name, item.type, "<null>" if item.value is None else item.value, item.description)
        for item in listing.variables
    ]
    return _table(rows)


def variables_json(listing: Listing) -> str:
    """`--list=type=variables,format=json`."""
    items: list[dict[str, Any]] = []
    for item in listing.variables:
        data = {"name": item.name, "description": item.description, "type": item.type}
        data = {key: text for key, text in data.items() if text}
        if item.value is not None:
            data["value"] = item.value
        items.append(data)
    return as_json(items) + "\n"


def _table(rows: list[tuple[str, ...]]) -> str:
    # Tabs to stops of eight, as Go's tabwriter fills them: cut and awk scripts split on tabs.
    widths = [(max(map(len, column)) // 8 + 1) * 8 for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [cell + "\t" * ((width - len(cell) + 7) // 8) for cell, width in zip(row[:-1], widths, strict=False)]
        lines.append("".join(cells) + row[-1])
    return "\n".join(lines) + "\n"
