"""HCL-JSON to the same syntax trees as native HCL (https://github.com/hashicorp/hcl/blob/main/json/spec.md).

Every string is a template; arrays and objects are tuples and objects. What is a block rather than an attribute, JSON
itself cannot tell: a schema does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field

from bakery.config.hcl.json_reader import (
    JsonArray,
    JsonNode,
    JsonObject,
    JsonScalar,
    JsonSyntaxError,
    JsonText,
    read_json,
)
from bakery.config.hcl.parser import MAX_FILE_SIZE, parse_template
from bakery.config.hcl.source import Source
from bakery.config.hcl.stream import MAX_NESTING, NestingError
from bakery.config.hcl.syntax import (
    Attribute,
    Block,
    Body,
    Expression,
    JsonString,
    Literal,
    Object,
    ObjectItem,
    ObjectKey,
    Tuple,
)
from bakery.config.values import string
from bakery.diagnostics import Diagnostic, SourceFile
from bakery.values import frozen

_WRONG_TYPE = "Incorrect JSON value type"


@frozen
class BlockSchema:
    """Which properties of a JSON object are blocks.

    `labels` is how many label levels a block of this kind has; `blocks` are the kinds of blocks within it. Every
    other property is an attribute. The schema of a file is that of its (label-less) body.
    """

    labels: int = 0
    blocks: Mapping[str, BlockSchema] = field(default_factory=dict)


def parse_json_body(file: SourceFile, schema: BlockSchema) -> tuple[Body, list[Diagnostic]]:
    """A whole JSON file. Whatever is wrong with it is in the diagnostics; the body holds what could be read."""
    source = Source(file)
    empty = Body(source, 0, 0, {}, ())
    if len(file.text) > MAX_FILE_SIZE:
        detail = f"The file has {len(file.text)} characters; the limit is {MAX_FILE_SIZE}."
        return empty, [Diagnostic("File too large", detail, source.span(0, 0))]
    try:
        node = read_json(source)
    except JsonSyntaxError as problem:
        return empty, [problem.diagnostic]
    except (NestingError, RecursionError):
        detail = f"Objects and arrays may nest {MAX_NESTING} deep; here they nest deeper."
        return empty, [Diagnostic("Nesting too deep", detail, source.span(0, 0))]
    if not isinstance(node, JsonObject | JsonArray):
        detail = "The root value in a JSON-based configuration must be either a JSON object or a JSON array of objects."
        return empty, [Diagnostic("Root value must be object", detail, source.span(node.start, node.end))]
    builder = _Builder(source)
    return builder.body(node, schema), builder.diagnostics


class _Builder:
    """Builds syntax trees from JSON values."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.diagnostics: list[Diagnostic] = []

    def error(self, summary: str, detail: str, node: JsonNode) -> None:
        end = node.start + 1 if isinstance(node, JsonObject | JsonArray) else node.end
        self.diagnostics.append(Diagnostic(summary, detail, self.source.span(node.start, end)))

    def body(self, node: JsonNode, schema: BlockSchema) -> Body:
        attributes: dict[str, Attribute] = {}
        blocks: list[Block] = []
        for name, value in self._properties(node, "to define arguments and child blocks"):
            if name.text == "//":
                continue
            nested = schema.blocks.get(name.text)
            if nested is not None:
                blocks.extend(self._blocks(name, value, nested, ()))
            elif name.text in attributes:
                place = attributes[name.text].span
                detail = f'The argument "{name.text}" was already set at {place}.'
                self.error("Duplicate argument", detail, name)
            else:
                expr = self.expression(value)
                attributes[name.text] = Attribute(
                    self.source, name.start, value.end, name.text, expr, name.start, name.end
                )
        return Body(self.source, node.start, node.end, attributes, tuple(blocks))

    def _properties(self, node: JsonNode, purpose: str) -> Iterator[tuple[JsonText, JsonNode]]:
        """The properties of an object, or of all objects in an array."""
        if isinstance(node, JsonObject):
            yield from node.properties
        elif isinstance(node, JsonArray):
            for member in node.members:
                if isinstance(member, JsonObject):
                    yield from member.properties
                else:
                    self.error(_WRONG_TYPE, f"A JSON object is required here, {purpose}.", member)
        elif not _is_null(node):
            detail = f"Either a JSON object or JSON array of objects is required here, {purpose}."
            self.error(_WRONG_TYPE, detail, node)

    def _blocks(
        self, kind: JsonText, node: JsonNode, schema: BlockSchema, labels: tuple[JsonText, ...]
    ) -> Iterator[Block]:
        """The blocks under a property: first a level of objects for each label, then a body or an array of them."""
        if len(labels) < schema.labels:
            found = list(self._properties(node, "to specify name labels for this block"))
            if not found:
                detail = (
                    f"At least one object property is required, whose name represents the {kind.text} block's name."
                )
                self.error("Missing block label", detail, node)
            for label, value in found:
                yield from self._blocks(kind, value, schema, (*labels, label))
        elif isinstance(node, JsonObject):
            yield self._block(kind, node, schema, labels)
        elif isinstance(node, JsonArray):
            for member in node.members:
                yield self._block(kind, member, schema, labels)
        elif not _is_null(node):
            detail = (
                "Either a JSON object or a JSON array is required, representing the contents of one or more "
                f'"{kind.text}" blocks.'
            )
            self.error(_WRONG_TYPE, detail, node)

    def _block(self, kind: JsonText, node: JsonNode, schema: BlockSchema, labels: tuple[JsonText, ...]) -> Block:
        return Block(
            source=self.source,
            start=node.start,
            end=node.end,
            type=kind.text,
            labels=tuple(label.text for label in labels),
            body=self.body(node, schema),
            type_range=(kind.start, kind.end),
            label_ranges=tuple((label.start, label.end) for label in labels),
            open_range=(node.start, node.start + 1),
            close_range=(node.end - 1, node.end),
        )

    def expression(self, node: JsonNode) -> Expression:
        match node:
            case JsonScalar(start, end, value):
                return Literal(self.source, start, end, value)
            case JsonText():
                return self._string(node)
            case JsonArray(start, end, members):
                return Tuple(self.source, start, end, tuple(map(self.expression, members)), start + 1)
            case JsonObject(start, end, properties):
                items = tuple(self._item(name, value) for name, value in properties)
                return Object(self.source, start, end, items, start + 1)

    def _item(self, name: JsonText, value: JsonNode) -> ObjectItem:
        key = ObjectKey(self.source, name.start, name.end, self._string(name), forced=True)
        return ObjectItem(key, self.expression(value))

    def _string(self, node: JsonText) -> JsonString:
        content = self.source.embed(node.text, node.places)
        problems: list[Diagnostic] = []
        if "${" in node.text or "%{" in node.text:
            template, problems = parse_template(content)
        else:
            template = Literal(content, 0, len(node.text), string(node.text))
        return JsonString(content, 0, len(node.text), template, tuple(problems), (node.start, node.end))


def _is_null(node: JsonNode) -> bool:
    return isinstance(node, JsonScalar) and node.value.is_null
