"""How one op differs from another: variables, arguments, command, options."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from engine.events import Change
from engine.llb.ops import KEEP, Op
from engine.llb.wire import WireError, decode
from engine.solver.makeup import Makeup

_LONGEST = 400
"""Characters of a value that are shown."""


def op_changes(before: Makeup, now: Makeup) -> Iterator[Change]:
    """What of a step's own work has changed, its inputs left aside."""
    try:
        old, new = decode(Op, before.body), decode(Op, now.body)
    except WireError:
        yield Change("command", "instruction", _short(before.instruction), _short(now.instruction))
        return
    rewritten = before.instruction != now.instruction
    if rewritten:
        yield Change("command", "instruction", _short(before.instruction), _short(now.instruction))
    old_values, new_values = dict(_flat(old)), dict(_flat(new))
    for name in dict.fromkeys((*old_values, *new_values)):
        one, two = old_values.get(name), new_values.get(name)
        kind, shown = name
        if one != two and not (kind == "command" and rewritten):
            yield Change(kind, shown, one, two)


def _flat(op: Op) -> Iterator[tuple[tuple[str, str], str]]:
    """Each part of an op by kind and name. Parts that have names are told by them, so that order is no change."""
    if op.platform is not None:
        yield (
            ("option", "platform"),
            "/".join(filter(None, (op.platform.os, op.platform.architecture, op.platform.variant))),
        )
    body: Any = op.body
    if op.exec is not None and op.exec.meta is not None:
        meta = op.exec.meta
        yield ("command", "command"), _short(" ".join(meta.args))
        for text in meta.env:
            name, _, value = text.partition("=")
            yield ("variable", name), _short(value)
        for mount in op.exec.mounts:
            parts = _fields(dataclasses.replace(mount, dest=""), "")
            yield ("option", f"mount {mount.dest}"), ", ".join(f"{name} {value}" for name, value in parts)
        body = dataclasses.replace(op.exec, meta=dataclasses.replace(meta, args=(), env=()), mounts=())
    for name, value in _fields(body, ""):
        yield ("option", name), value


def _fields(value: Any, name: str) -> Iterator[tuple[str, str]]:
    if dataclasses.is_dataclass(value):
        for each in dataclasses.fields(value):
            inner = getattr(value, each.name)
            if each.name == "mode" and isinstance(inner, int) and inner > 0:
                yield f"{name} mode".strip(), f"{inner:04o}"
            elif inner not in (None, "", 0, KEEP, False, (), b""):
                yield from _fields(inner, f"{name} {each.name}".strip())
    elif isinstance(value, tuple):
        for number, item in enumerate(value):
            yield from _fields(item, f"{name} {number + 1}" if len(value) > 1 else name)
    else:
        yield name, _short(value.decode(errors="replace") if isinstance(value, bytes) else str(value))


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"
