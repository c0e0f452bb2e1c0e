"""Answers of `subrequests` as JSON and as text, both as BuildKit's frontend gives them."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Sequence
from typing import Any

from engine.errors import EngineError
from engine.frontends.contract import FrontendWarning
from engine.frontends.dockerfile.outline import Outline, OutlineMount
from engine.frontends.dockerfile.subrequests import Checked, TargetList
from engine.llb.definition import Place
from engine.llb.ops import Position, Range

_RULE = "-" * 20


def lint_json(checked: Checked) -> dict[str, Any]:
    """What checks found."""
    source = checked.source
    encoded = {"filename": source.filename, "data": _base64(source.data), "language": source.language}
    out: dict[str, Any] = {"warnings": [_warning(warning) for warning in checked.warnings], "sources": [encoded]}
    if checked.error is not None:
        merged = [r for place in checked.error.places for r in place.ranges]
        out["buildError"] = {"message": checked.error.message, "location": _ranges(merged)}
    return out


def _warning(warning: FrontendWarning) -> dict[str, Any]:
    found = {
        "ruleName": warning.rule,
        "description": warning.description,
        "url": warning.url,
        "detail": warning.detail,
        "location": _ranges([r for place in warning.places for r in place.ranges]),
    }
    return {key: value for key, value in found.items() if value or key == "location"}


def outline_json(outline: Outline) -> dict[str, Any]:
    """What a target can be given."""
    args = [
        _present({"name": a.name, "description": a.description, "value": a.value, "location": _ranges(a.place.ranges)})
        for a in outline.args
    ]
    out = {
        "name": outline.name,
        "description": outline.description,
        "args": args,
        "secrets": [_mount(mount) for mount in outline.secrets],
        "ssh": [_mount(mount) for mount in outline.ssh],
        "sources": [_base64(outline.source.data)],
    }
    return _present(out)


def _mount(mount: OutlineMount) -> dict[str, Any]:
    return _present({"name": mount.name, "required": mount.required, "location": _ranges(mount.place.ranges)})


def targets_json(found: TargetList) -> dict[str, Any]:
    """The targets."""
    stages = [
        _present(
            {
                "name": stage.name,
                "default": stage.default,
                "description": stage.description,
                "base": stage.base,
                "platform": stage.platform,
                "location": _ranges(stage.place.ranges),
            }
        )
        for stage in found.stages
    ]
    return {"targets": stages, "sources": [_base64(found.source.data)]}


def _present(fields: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if value}


def _ranges(ranges: Sequence[Range]) -> dict[str, Any]:
    return {"ranges": [{"start": _position(r.start), "end": _position(r.end)} for r in ranges]} if ranges else {}


def _position(position: Position | None) -> dict[str, int]:
    return {"line": position.line} if position else {}


def _base64(data: bytes) -> str:
    return b64encode(data).decode()


# ---------------------------------------------------------------- text


def lint_text(warnings: Iterable[FrontendWarning], filename: str = "") -> str:
    """Each warning with the lines it is about; `filename` in place of the frontend's name for the file."""
    return "".join(warning_text(warning, filename) for warning in warnings)


def warning_text(warning: FrontendWarning, filename: str = "") -> str:
    """One warning."""
    address = f" - {warning.url}" if warning.url else ""
    places = "".join(excerpt(place, filename) for place in warning.places)
    return f"\nWARNING: {warning.rule}{address}\n{warning.detail}\n{places}"


def error_text(error: EngineError, filename: str = "") -> str:
    """Why a Dockerfile cannot be built, with the lines."""
    return f"{error.message}\n" + "".join(excerpt(place, filename) for place in error.places)


def excerpt(place: Place, filename: str = "") -> str:
    """The lines of a place and some around: two on each side, more of one side where the other has none."""
    lines = place.source.data.decode("utf-8", "replace").split("\n")
    marked = {line for r in place.ranges if r.start for line in range(r.start.line, _last(r) + 1)}
    if not marked or not 1 <= min(marked) <= len(lines):
        return ""
    start = first = min(marked)
    end = min(max(marked), len(lines))
    shown, wanted = 0, 4 if start == end else 2
    while shown < wanted:
        if start > 1:
            start, shown = start - 1, shown + 1
        if end != len(lines):
            end, shown = end + 1, shown + 1
        shown += 1
    rows = [f" {n:3} | {'>>>' if n in marked else '   '} {lines[n - 1]}\n" for n in range(start, end + 1)]
    return f"{filename or place.source.filename}:{first}\n{_RULE}\n{''.join(rows)}{_RULE}\n"


def _last(r: Range) -> int:
    start = r.start.line if r.start else 0
    return max(start, r.end.line if r.end else 0)


def outline_text(outline: Outline) -> str:
    """What a target can be given, as tables."""
    out = ""
    if outline.name or outline.description:
        rows = [["TARGET:", outline.name or "(default)"]]
        rows += [["DESCRIPTION:", outline.description]] if outline.description else []
        out += _table(rows, 1) + "\n"
    if outline.args:
        out += _table(
            [["BUILD ARG", "VALUE", "DESCRIPTION"], *([a.name, a.value, a.description] for a in outline.args)]
        )
        out += "\n"
    for head, mounts in (("SECRET", outline.secrets), ("SSH", outline.ssh)):
        if mounts:
            out += _table([[head, "REQUIRED"], *([m.name, "true" if m.required else ""] for m in mounts)]) + "\n"
    return out


def targets_text(found: TargetList) -> str:
    """The targets, as a table."""
    rows = [["TARGET", "DESCRIPTION"]]
    for stage in found.stages:
        mark = "(default)" if stage.default else ""
        rows.append([f"{stage.name} {mark}".strip(), stage.description])
    return _table(rows, 1)


def _table(rows: list[list[str]], gap: int = 3) -> str:
    """Columns as Go's tabwriter sets them: all but the last padded."""
    widths = [max(len(row[i]) for row in rows) + gap for i in range(len(rows[0]) - 1)]
    return "".join(
        "".join(cell.ljust(w) for cell, w in zip(row, widths, strict=False)) + row[-1] + "\n" for row in rows
    )
