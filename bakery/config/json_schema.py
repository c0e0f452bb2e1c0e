"""JSON Schemas of `bakery.yaml` and of the JSON form, made from the table of attributes.

The files in `schema/` are what editors read; `python -m bakery.config.json_schema` writes them anew, and a test holds
them against this module.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bakery.config.attributes import ATTRIBUTES, RESOURCE_NUMBERS, RESOURCE_TEXTS, Attribute, Kind
from bakery.config.edits import NAMES

FOLDER = Path(__file__).parent / "schema"

_TEXT = {"type": ["string", "number", "boolean", "null"]}
_ENTRY = {
    "anyOf": [
        {"type": "string"},
        {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean", "array", "null"]}},
    ]
}


def yaml_schema() -> dict[str, Any]:
    """The schema of `bakery.yaml`."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "bakery.yaml",
        "type": "object",
        "additionalProperties": False,
        "patternProperties": {"^x-": {}},
        "properties": {
            "include": _or_text({"type": "array", "items": {"type": "string"}}),
            "variables": _by_name({"anyOf": [_variable(), {"not": {"type": "object"}}, {"type": "object"}]}),
            "functions": _by_name(_function(["params", "result"])),
            "groups": _by_name({"anyOf": [{"type": "array", "items": {"type": "string"}}, _group()]}),
            "targets": _by_name({"anyOf": [{"$ref": "#/$defs/target"}, {"type": "null"}]}),
        },
        "$defs": {"target": _target()},
    }


def json_schema() -> dict[str, Any]:
    """The schema of `bakery.json`, and of `docker-bake.json` as far as it is portable."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "bakery.json",
        "type": "object",
        "properties": {
            "include": _or_text({"type": "array", "items": {"type": "string"}}),
            "variable": _blocks(_variable()),
            "function": _blocks(_function(["params", "result"])),
            "group": _blocks(_group()),
            "target": _blocks({"$ref": "#/$defs/target"}),
        },
        "$defs": {"target": _target()},
    }


def _by_name(schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": ["object", "null"], "additionalProperties": schema}


def _blocks(schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": {"anyOf": [schema, {"type": "array", "items": schema}]}}


def _or_text(schema: dict[str, Any]) -> dict[str, Any]:
    """A value, or a string with an expression that gives one."""
    return {"anyOf": [schema, {"type": "string"}]}


def _object(properties: dict[str, Any], required: list[str] | None = None) -> dict[str, Any]:
    found: dict[str, Any] = {
        "type": "object",
        "additionalProperties": False,
        "patternProperties": {"^x-": {}},
        "properties": properties,
    }
    return {**found, "required": required} if required else found


def _variable() -> dict[str, Any]:
    validation = _object({"condition": _TEXT, "error_message": {"type": "string"}}, ["condition", "error_message"])
    return _object(
        {
            "default": {},
            "type": {"type": "string", "description": "string, number, bool, list(string), map(number), object({…})…"},
            "description": {"type": "string"},
            "validation": {"anyOf": [validation, {"type": "array", "items": validation}]},
        }
    )


def _function(required: list[str]) -> dict[str, Any]:
    names = {"type": "array", "items": {"type": "string"}}
    return _object({"params": names, "variadic_params": {"type": "string"}, "result": {}}, required)


def _group() -> dict[str, Any]:
    targets = _or_text({"type": "array", "items": {"type": "string"}})
    return _object({"targets": targets, "description": {"type": "string"}}, ["targets"])


def _target() -> dict[str, Any]:
    strings = _or_text({"type": "array", "items": {"type": "string"}})
    properties: dict[str, Any] = {
        "inherits": {**strings, "description": "Targets whose settings this one takes over."},
        "matrix": {**_or_text({"type": "object"}), "description": "Axes: one target per combination of their values."},
        "name": {"type": "string", "description": "The name of each target of a matrix."},
    }
    for name, attribute in ATTRIBUTES.items():
        properties[name] = {**_attribute(attribute), "description": attribute.description}
    for name, (verb, of) in NAMES.items():
        schema = _attribute(ATTRIBUTES[of]) if verb == "append" else strings
        what = f"Added to the {of} that are inherited." if verb == "append" else f"Taken from the {of} inherited."
        properties[name] = {**schema, "description": what}
    return _object(properties)


def _attribute(attribute: Attribute) -> dict[str, Any]:
    match attribute.kind:
        case Kind.STRING:
            return dict(_TEXT)
        case Kind.BOOL:
            return {"type": ["boolean", "string", "null"]}
        case Kind.STRINGS:
            return {"anyOf": [{"type": "array", "items": _TEXT}, {"type": ["string", "null"]}]}
        case Kind.MAP:
            return {"anyOf": [{"type": "object", "additionalProperties": _TEXT}, {"type": ["string", "null"]}]}
        case Kind.RESOURCES:
            texts = {key: {"type": ["string", "number"]} for key in (*RESOURCE_TEXTS, *RESOURCE_NUMBERS)}
            return _or_text({"type": "object", "additionalProperties": False, "properties": texts})
        case _:
            return _or_text({"type": "array", "items": _ENTRY})


def files() -> dict[str, str]:
    """The schema files by name."""
    schemas = {"bakery-yaml.schema.json": yaml_schema(), "bakery-json.schema.json": json_schema()}
    return {name: json.dumps(schema, indent=2, ensure_ascii=False) + "\n" for name, schema in schemas.items()}


if __name__ == "__main__":
    for name, text in files().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
