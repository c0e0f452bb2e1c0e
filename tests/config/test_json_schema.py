"""The shipped JSON Schemas say what the model says."""

from __future__ import annotations

import json

from bakery.config.attributes import ATTRIBUTES
from bakery.config.definition import Dialect, known_attributes
from bakery.config.json_schema import FOLDER, files, json_schema, yaml_schema


def test_the_shipped_files_are_those_of_the_model() -> None:
    shipped = {path.name: path.read_text() for path in FOLDER.glob("*.json")}
    assert shipped == files()


def test_a_target_may_have_what_own_files_may_have() -> None:
    known = known_attributes("target", Dialect(own=True))
    for schema in (yaml_schema(), json_schema()):
        assert set(schema["$defs"]["target"]["properties"]) == known


def test_every_attribute_is_described() -> None:
    properties = json.loads((FOLDER / "bakery-yaml.schema.json").read_text())["$defs"]["target"]["properties"]
    assert all(properties[name]["description"] == attribute.description for name, attribute in ATTRIBUTES.items())


def test_blocks_have_the_attributes_that_the_reader_knows() -> None:
    properties = json_schema()["properties"]
    for block_type in ("variable", "function", "group"):
        schema = properties[block_type]["additionalProperties"]["anyOf"][0]
        extra = {"validation"} if block_type == "variable" else set()
        assert set(schema["properties"]) == known_attributes(block_type, Dialect()) | extra
