"""A definition as data that any format can be written from: blocks by name, values with their expressions as text."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from bakery.config.draft import TargetDraft
from bakery.config.entries import entry_pairs
from bakery.config.hcl.syntax import (
    Attribute,
    Body,
    Expression,
    JsonString,
    Literal,
    Object,
    ObjectKey,
    Template,
    Tuple,
    keyword,
)
from bakery.config.hcl.syntax import TemplateWrap as Wrap
from bakery.config.target import Group
from bakery.diagnostics import BakeryError
from bakery.values import frozen


@frozen
class Text:
    """A string: pieces of plain text (str) and expressions between them."""

    parts: tuple[str | Expr, ...]

    @property
    def plain(self) -> str | None:
        """The text, if there is no expression in it."""
        return "".join(map(str, self.parts)) if all(isinstance(part, str) for part in self.parts) else None


@frozen
class Expr:
    """An expression of the language, as written."""

    text: str


@dataclass(slots=True)
class Document:
    """Blocks by type and name. Values are None, bool, int, float, Text, Expr, lists and dicts of such."""

    attributes: dict[str, Any] = field(default_factory=dict)
    variable: dict[str, dict[str, Any]] = field(default_factory=dict)
    function: dict[str, dict[str, Any]] = field(default_factory=dict)
    group: dict[str, dict[str, Any]] = field(default_factory=dict)
    target: dict[str, dict[str, Any]] = field(default_factory=dict)
    again: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    """Further blocks of targets, which merge with the first of their name."""

    def sections(self) -> list[tuple[str, dict[str, dict[str, Any]]]]:
        """Block types with their blocks, in the order in which they are written."""
        return [
            ("variable", self.variable),
            ("function", self.function),
            ("group", self.group),
            ("target", self.target),
        ]

    def add_body(self, body: Body) -> None:
        """Add what an HCL or JSON file says, expressions kept. Raises BakeryError for what has no other spelling."""
        for name, attribute in body.attributes.items():
            self.attributes[name] = value_of(attribute.expr)
        sections = dict(self.sections())
        for block in body.blocks:
            if block.type not in sections or len(block.labels) != 1:
                continue
            content = {name: _special(name, block.type, item) for name, item in block.body.attributes.items()}
            validations = [
                {name: value_of(item.expr) for name, item in inner.body.attributes.items()}
                for inner in block.body.blocks
                if inner.type == "validation"
            ]
            if validations:
                content["validation"] = validations
            if block.type == "target" and block.labels[0] in self.target:
                self.again.append((block.labels[0], content))
            else:
                sections[block.type][block.labels[0]] = content

    def add_drafts(self, drafts: dict[str, TargetDraft], groups: dict[str, Group]) -> None:
        """Add evaluated targets and groups: what is inherited stays with the parents."""
        for name, group in groups.items():
            described = {"description": _text(group.description)} if group.description else {}
            self.group[name] = {**described, "targets": [_text(target) for target in group.targets]}
        for name, draft in drafts.items():
            inherits = {"inherits": [_text(parent) for parent in draft.inherits]} if draft.inherits else {}
            self.target[name] = {**inherits, **{key: _data(value) for key, value in draft.values.items()}}


def _text(text: str) -> Text:
    return Text((text,))


def _data(value: Any) -> Any:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, dict):
        return {key: _data(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_data(item) for item in value]
    if value is None or isinstance(value, bool | int):
        return value
    return {key: _data(item) for key, item in entry_pairs(value).items()}


def _special(name: str, block_type: str, attribute: Attribute) -> Any:
    """Types and parameter names are bare in HCL and strings in JSON; here they are expressions."""
    expr = attribute.expr
    if (block_type, name) in (("variable", "type"), ("function", "variadic_params")):
        return Expr(bare(expr))
    if (block_type, name) == ("function", "params") and isinstance(expr, Tuple):
        return [Expr(bare(element)) for element in expr.elements]
    return value_of(expr)


def bare(expr: Expression) -> str:
    """The text of an expression; of a JSON string, what it holds."""
    return expr.source.text if isinstance(expr, JsonString) else expr.source.text[expr.start : expr.end]


def value_of(expr: Expression) -> Any:
    """An expression as data, as far as it is written out. Raises BakeryError for a directive in a JSON string."""
    match expr:
        case JsonString(template=inner):
            return value_of(inner)
        case Literal(value=value) if isinstance(value.raw, str):
            return _text(value.raw)
        case Literal(value=value) if value.raw is None or isinstance(value.raw, bool):
            return value.raw
        case Wrap(wrapped=inner):
            return Expr(bare(inner))
        case Template(parts=parts) if not _has_directive(expr):
            return Text(tuple(_part(part) for part in parts))
        case Tuple(elements=elements):
            return [value_of(element) for element in elements]
        case Object(items=items) if all(_key(item.key) is not None for item in items):
            return {str(_key(item.key)): value_of(item.value) for item in items}
        case Template() if expr.source.places is not None:
            raise BakeryError.of("cannot convert", "a %{…} directive in a JSON string has no other spelling", expr.span)
        case _:
            return Expr(bare(expr))


def _has_directive(expr: Template) -> bool:
    text = bare(expr).replace("%%{", "")
    return "%{" in text


def _part(part: Expression) -> str | Expr:
    if isinstance(part, Literal) and isinstance(part.value.raw, str):
        return part.value.raw
    return Expr(bare(part))


def _key(key: Expression) -> str | None:
    match key:
        case ObjectKey(expr=inner, forced=False):
            word = keyword(inner)
            return word if word is not None else _key(inner)
        case ObjectKey():
            return None
        case Literal() | Template() | JsonString():
            value = value_of(key)
            return value.plain if isinstance(value, Text) else None
        case _:
            return None
