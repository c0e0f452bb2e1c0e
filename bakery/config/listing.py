"""Declared variables as `--list=variables` shows them."""

from __future__ import annotations

from bakery.config.decode import text_of
from bakery.config.definition import Definition
from bakery.config.globals import Globals
from bakery.config.printing import as_json
from bakery.config.target import VariableInfo
from bakery.config.types import STRING, Type, constraint_name
from bakery.config.values import Value


def _shown(value: Value, wanted: Type | None) -> str:
    if wanted == STRING:
        # The peer shows strings of declared type as JSON without the quotes around it.
        return as_json(value.raw).strip('"')
    return text_of(value)


def variable_infos(definition: Definition, scope: Globals) -> list[VariableInfo]:
    """The variables of the files with their final values, by name."""
    found: list[VariableInfo] = []
    for name in sorted(definition.variables):
        value, wanted = scope.value(name), scope.declared_type(name)
        described = definition.variables[name].body.attributes.get("description")
        found.append(
            VariableInfo(
                name,
                "" if wanted is None else constraint_name(wanted),
                None if value.is_null else _shown(value, wanted),
                "" if described is None else scope.text(described.expr),
            )
        )
    return found
