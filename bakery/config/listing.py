"""Declared variables as `--list=variables` shows them."""

from __future__ import annotations

from bakery.config.decode import text_of
from bakery.config.definition import Definition
from bakery.config.globals import Globals
from bakery.config.target import VariableInfo
from bakery.config.types import friendly_name


def variable_infos(definition: Definition, scope: Globals) -> list[VariableInfo]:
    """The variables of the files with their final values, by name."""
    found: list[VariableInfo] = []
    for name in sorted(definition.variables):
        value, wanted = scope.value(name), scope.declared_type(name)
        described = definition.variables[name].body.attributes.get("description")
        found.append(
            VariableInfo(
                name,
                "" if wanted is None else friendly_name(wanted),
                None if value.is_null else text_of(value),
                "" if described is None else scope.text(described.expr),
            )
        )
    return found
