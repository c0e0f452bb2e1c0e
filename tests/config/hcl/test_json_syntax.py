"""JSON bake files read as the same trees as HCL, with places exact to the character."""

import pytest

from bakery.config.hcl.evaluate import evaluate
from bakery.config.hcl.json_syntax import BlockSchema, parse_json_body
from bakery.config.hcl.scope import RootScope
from bakery.config.hcl.syntax import Body
from bakery.config.type_constraint import parse_type
from bakery.config.types import STRING, ListType
from bakery.config.values import number, string, to_python
from bakery.diagnostics import BakeryError, SourceFile

SCHEMA = BlockSchema(
    blocks={"target": BlockSchema(1), "variable": BlockSchema(1, {"validation": BlockSchema()}), "pair": BlockSchema(2)}
)


def _read(text: str) -> Body:
    body, problems = parse_json_body(SourceFile("f.json", text), SCHEMA)
    assert problems == []
    return body


def _problems(text: str) -> list[str]:
    return [str(problem) for problem in parse_json_body(SourceFile("f.json", text), SCHEMA)[1]]


def test_strings_are_templates_and_a_lone_interpolation_keeps_its_type() -> None:
    body = _read('{"a": ["x${n}", "${n + 1}", "plain", "$${kept}", 1.50, true, null, {"k${n}": "v"}]}')
    value = evaluate(body.attributes["a"].expr, RootScope({"n": number(2)}))
    assert to_python(value) == ["x2", 3, "plain", "${kept}", 1.5, True, None, {"k2": "v"}]


def test_blocks_are_told_from_attributes_by_the_schema() -> None:
    body = _read(
        '{"free": 1, "target": {"a": {"x": 1}, "b": [{"x": 2}, {"x": 3}]}, "pair": {"l": {"m": {}}},'
        ' "variable": [{"V": {"validation": {"condition": true}}}], "//": "a remark"}'
    )
    assert list(body.attributes) == ["free"]
    assert [(block.type, block.labels) for block in body.blocks] == [
        ("target", ("a",)),
        ("target", ("b",)),
        ("target", ("b",)),
        ("pair", ("l", "m")),
        ("variable", ("V",)),
    ]
    assert [block.type for block in body.blocks[-1].body.blocks] == ["validation"]
    assert body.blocks[0].open_brace_span.text() == "{"
    assert body.blocks[0].label_spans[0].text() == '"a"'


def test_a_block_that_is_null_is_not_there() -> None:
    assert _read('{"target": {"a": null}}').blocks == ()


def test_places_are_exact_after_escapes() -> None:
    body = _read('{\n  "a": "\\u00e9\\n\\"${nope}\\""\n}')
    with pytest.raises(BakeryError) as caught:
        evaluate(body.attributes["a"].expr, RootScope())
    (problem,) = caught.value.diagnostics
    assert problem.span is not None
    assert problem.span.text() == "nope"
    assert str(problem.span) == "f.json:2,21-25"


def test_the_place_of_a_string_has_its_quotes() -> None:
    assert _read('{"a": "x"}').attributes["a"].expr.span.text() == '"x"'


def test_a_broken_template_is_told_only_to_who_evaluates_it() -> None:
    body = _read('{"a": "${"}')
    with pytest.raises(BakeryError, match="Missing expression|Invalid expression"):
        evaluate(body.attributes["a"].expr, RootScope())


def test_a_type_is_spelled_in_a_string() -> None:
    assert parse_type(_read('{"type": "list(string)"}').attributes["type"].expr) == ListType(STRING)


def test_characters_beyond_the_basic_plane_are_one_character() -> None:
    body = _read('{"a": "\\ud83d\\ude00 \\ud83d"}')
    assert evaluate(body.attributes["a"].expr, RootScope()) == string("😀 \ufffd")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", "f.json:1,1-1: Missing value; The JSON data ends prematurely."),
        ('"x"', "f.json:1,1-4: Root value must be object; The root value in a JSON-based configuration must be either "
         "a JSON object or a JSON array of objects."),
        ('{"a":1,}', "f.json:1,7-8: Trailing comma in object; JSON does not permit a trailing comma after the final "
         "property in an object."),
        ('{"a":[1,]}', "f.json:1,8-9: Trailing comma in array; JSON does not permit a trailing comma after the final "
         "value in an array."),
        ('{"a"=1}', "f.json:1,5-6: Missing property value colon; JSON uses a colon as its name/value delimiter, not an "
         "equals sign."),
        ('{"a":1 "b":2}', "f.json:1,8-11: Missing attribute seperator comma; A comma must appear between each property "
         "definition in an object."),
        ('{"a":1', "f.json:1,1-2: Unclosed object; No closing brace was found for this JSON object."),
        ('{"a":1}}', "f.json:1,8-9: Extraneous data after value; Extra characters appear after the JSON value."),
        ('{"a":nul}', 'f.json:1,6-9: Invalid JSON keyword; "nul" is not a valid JSON keyword. Did you mean "null"?'),
        ('{"a":NaN}', 'f.json:1,6-9: Invalid JSON keyword; The JavaScript identifier "NaN" cannot be used in JSON.'),
        ('{"a":01}', "f.json:1,6-8: Invalid JSON number; There is a syntax error in the given JSON number."),
        ('{"a":"\\q"}', "f.json:1,7-9: Invalid JSON string; There is a syntax error in the given JSON string."),
        ('{"a":"x\ny"}', "f.json:1,8-2,1: Invalid JSON string; There is a syntax error in the given JSON string."),
        ('{"a":1,"a":2}', 'f.json:1,8-11: Duplicate argument; The argument "a" was already set at f.json:1,2-7.'),
        ('{"target":{"a":3}}', "f.json:1,16-17: Incorrect JSON value type; Either a JSON object or a JSON array is "
         'required, representing the contents of one or more "target" blocks.'),
        ('{"target":{}}', "f.json:1,11-12: Missing block label; At least one object property is required, whose name "
         "represents the target block's name."),
        ("[" * 500, "f.json:1,1-1: Nesting too deep; Objects and arrays may nest 100 deep; here they nest deeper."),
    ],
)  # fmt: skip
def test_a_mistake_is_reported_at_its_place(text: str, wanted: str) -> None:
    assert _problems(text) == [wanted]
