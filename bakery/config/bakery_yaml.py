"""`bakery.yaml`: the model of bake files in YAML, read into the same syntax trees as HCL.

    variables: {TAG: v1, PORT: {type: number, default: 80}}
    functions: {image: {params: [name], result: "registry.example.com/{{ name }}:{{ TAG }}"}}
    groups: {default: [app]}
    targets: {app: {tags: ["{{ image('app') }}"]}}

A string with Jinja in it becomes a call of the function `TEMPLATE`, whose name no file can write.
"""

from __future__ import annotations

from collections.abc import Iterator

from bakery.config import number as numbers
from bakery.config.definition import TEMPLATE, unknown_name
from bakery.config.functions.function import Function, Parameter
from bakery.config.hcl.source import Source
from bakery.config.hcl.syntax import (
    Attribute,
    Block,
    Body,
    Call,
    Expression,
    JsonString,
    Literal,
    Object,
    ObjectItem,
    Tuple,
)
from bakery.config.values import NULL, Value, boolean, number, string
from bakery.config.yaml_nodes import YamlNode, read_yaml
from bakery.diagnostics import BakeryError, Diagnostic, SourceFile

_SECTIONS = {"variables": "variable", "functions": "function", "groups": "group", "targets": "target"}
_VARIABLE = frozenset({"default", "type", "description", "validation"})


def parse_bakery_yaml(file: SourceFile) -> tuple[Body, list[Diagnostic]]:
    """A whole file. Raises BakeryError for what is not YAML; other problems are in the diagnostics."""
    documents = read_yaml(file)
    source = Source(file)
    reader = _Reader()
    attributes: dict[str, Attribute] = {}
    blocks: list[Block] = []
    for document in documents:
        if document.value is None:
            continue
        if not document.is_map:
            raise BakeryError.of("Invalid file", "a map with variables, groups and targets is required", document.span)
        for key, node in document.value.items():
            if key == "include":
                attributes[key] = reader.attribute(key, document, node)
            elif key in _SECTIONS:
                blocks.extend(reader.section(_SECTIONS[key], key, node))
            elif not key.startswith("x-"):
                known = [*_SECTIONS, "include"]
                reader.problems.append(unknown_name("section", key, known, document.key_span(key), True))
    return Body(source, 0, len(file.text), attributes, tuple(blocks)), reader.problems


def template_function() -> Function:
    """The function that renders strings with Jinja in them."""
    from bakery.config.jinja_text import render_call

    def unreachable(arguments: object) -> Value:
        raise AssertionError("templates are rendered before their arguments are")

    return Function(TEMPLATE, (Parameter("text"),), None, unreachable, render_call)


class _Reader:
    def __init__(self) -> None:
        self.problems: list[Diagnostic] = []

    def section(self, block_type: str, key: str, node: YamlNode) -> Iterator[Block]:
        """The blocks of one section."""
        if node.value is None:
            return
        if not node.is_map:
            self._error(f"{key} must be a map by name", node)
            return
        for name, child in node.value.items():
            body = self._body(block_type, child)
            if body is not None:
                yield self._block(block_type, name, node, child, body)

    def attribute(self, name: str, parent: YamlNode, node: YamlNode, text: str | None = None) -> Attribute:
        """One key as an attribute. `text` replaces the text of the value."""
        key = parent.keys.get(name, node)
        expr = _expression(node if text is None else node.with_value(text))
        return Attribute(node.source, key.start, max(key.start, expr.end), name, expr, key.start, key.end)

    def _body(self, block_type: str, node: YamlNode) -> Body | None:
        match block_type:
            case "variable" if not self._is_long_variable(node):
                return self._single("default", node)
            case "group" if node.is_list:
                return self._single("targets", node)
            case "target" if node.value is None:
                return Body(node.source, node.start, node.end, {}, ())
        if not node.is_map:
            self._error(f"a map is required for a {block_type}", node)
            return None
        attributes = {
            name: self.attribute(name, node, child)
            for name, child in node.value.items()
            if not (block_type == "variable" and name == "validation") and not name.startswith("x-")
        }
        validations = list(self._validations(node)) if block_type == "variable" else []
        return Body(node.source, node.start, node.end, attributes, tuple(validations))

    def _is_long_variable(self, node: YamlNode) -> bool:
        return node.is_map and bool(node.value) and node.value.keys() <= _VARIABLE

    def _single(self, name: str, node: YamlNode) -> Body:
        return Body(node.source, node.start, node.end, {name: self.attribute(name, node, node)}, ())

    def _validations(self, variable: YamlNode) -> Iterator[Block]:
        node = variable.value.get("validation")
        for item in node.value if node is not None and node.is_list else () if node is None else (node,):
            if not item.is_map:
                self._error("a map with condition and error_message is required", item)
                continue
            attributes = {}
            for name, child in item.value.items():
                # A condition is an expression, whether or not it is written between braces.
                bare = name == "condition" and isinstance(child.value, str) and "{{" not in child.value
                attributes[name] = self.attribute(name, item, child, f"{{{{ {child.value} }}}}" if bare else None)
            body = Body(item.source, item.start, item.end, attributes, ())
            at = (item.start, item.start)
            yield Block(item.source, item.start, item.end, "validation", (), body, at, (), at, (item.end, item.end))

    def _block(self, block_type: str, name: str, parent: YamlNode, node: YamlNode, body: Body) -> Block:
        key = parent.keys.get(name, node)
        label, opens, closes = (key.start, key.end), (node.start, node.start), (node.end, node.end)
        return Block(node.source, key.start, node.end, block_type, (name,), body, label, (label,), opens, closes)

    def _error(self, detail: str, node: YamlNode) -> None:
        self.problems.append(Diagnostic("Invalid value", detail, node.span))


def _expression(node: YamlNode) -> Expression:
    source, start, end = node.source, node.start, node.end
    if node.is_list:
        return Tuple(source, start, end, tuple(map(_expression, node.value)), start)
    if node.is_map:
        items = [
            ObjectItem(Literal(source, node.keys[key].start, node.keys[key].end, string(key)), _expression(child))
            for key, child in node.value.items()
        ]
        return Object(source, start, end, tuple(items), start)
    if not isinstance(node.value, str):
        return Literal(source, start, end, _scalar(node))
    literal = Literal(source, start, end, string(node.value))
    if "{{" in node.value or "{%" in node.value or "{#" in node.value:
        return Call(source, start, end, TEMPLATE, (literal,), False, end, start, end)
    # For readers that want what stands in a string: types and parameter names.
    inside = [min(start + offset, end) for offset in range(len(node.value) + 1)]
    return JsonString(source.embed(node.value, inside), 0, len(node.value), literal, token=(start, end))


def _scalar(node: YamlNode) -> Value:
    value = node.value
    if value is None:
        return NULL
    if isinstance(value, bool):
        return boolean(value)
    try:
        return number(numbers.parse(node.text))
    except numbers.NumberError:
        return number(value)
