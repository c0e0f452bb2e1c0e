"""What a generator image has written: one in-toto statement a file, each about the result that it was shown.

Source: BuildKit's docs/attestations/sbom-protocol.md, and how it takes such a folder apart.
"""

from __future__ import annotations

import json
from typing import Any

from engine.attestations.sbom.document import PREDICATE_TYPE
from engine.attestations.statement import MAX_STATEMENT, Statement
from engine.errors import ExportError
from engine.tree import Tree

_CORE = "sbom"


def read_bundle(tree: Tree) -> list[Statement]:
    """The statements in the root of a tree, by name; the one about the result itself first.

    Raises:
        ExportError: if a file is no SPDX statement.
    """
    names = sorted(tree.names("/"), key=lambda name: (name.partition(".")[0] != _CORE, name))
    return [_statement(tree, name) for name in names]


def _statement(tree: Tree, name: str) -> Statement:
    fields = _object(tree, name)
    found = fields.get("predicateType")
    if found != PREDICATE_TYPE:
        raise ExportError(f"the SBOM generator's {name} says {found!r}, not the predicate type {PREDICATE_TYPE}")
    subjects, predicate = fields.get("subject") or [], fields.get("predicate")
    if not isinstance(predicate, dict) or not all(_is_subject(subject) for subject in subjects):
        raise ExportError(f"the SBOM generator's {name} is no in-toto statement")
    subjects = [{"name": item.get("name") or "_", "digest": item.get("digest") or {}} for item in subjects]
    return Statement(PREDICATE_TYPE, _sorted(predicate), name, subjects)


def _object(tree: Tree, name: str) -> dict[str, Any]:
    entry = tree.lstat(f"/{name}")
    if entry is None or not entry.is_file:
        raise ExportError(f"the SBOM generator's {name} is no regular file")
    if entry.size > MAX_STATEMENT:
        raise ExportError(f"the SBOM generator's {name} has {entry.size} bytes, more than the {MAX_STATEMENT} allowed")
    with tree.open(f"/{name}") as file:
        data = file.read(MAX_STATEMENT + 1)
    try:
        fields = json.loads(data)
    except (ValueError, RecursionError) as error:  # too deep for the reader is too deep for all that follows
        raise ExportError(f"the SBOM generator's {name} is no JSON: {error}") from error
    if not isinstance(fields, dict):
        raise ExportError(f"the SBOM generator's {name} is no in-toto statement")
    return fields


def _sorted(value: Any) -> Any:
    """JSON with the keys of all its objects in order: so the same facts are the same bytes, as with the peer."""
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, list) else value


def _is_subject(item: object) -> bool:
    return isinstance(item, dict) and isinstance(item.get("digest") or {}, dict)
