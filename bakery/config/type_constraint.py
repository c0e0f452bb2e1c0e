"""Type constraints as written: `list(string)`, `object({port = number, tls = optional(bool)})`."""

from __future__ import annotations

from typing import Final

from bakery.config.hcl.parser import parse_expression
from bakery.config.hcl.syntax import Call, Expression, JsonString, Object, ObjectKey, Tuple, keyword
from bakery.config.types import ANY, BOOL, NUMBER, STRING, ListType, MapType, ObjectType, SetType, TupleType, Type
from bakery.diagnostics import BakeryError, Diagnostic, Span

_PRIMITIVES: Final[dict[str, Type]] = {"bool": BOOL, "string": STRING, "number": NUMBER, "any": ANY}

_NEEDS: Final = {
    "list": "specifying the element type",
    "set": "specifying the element type",
    "map": "specifying the element type",
    "object": "specifying the attribute types and values as a map",
    "tuple": "specifying the element types as a list",
}


def parse_type(expr: Expression) -> Type:
    """The type that an expression spells; in JSON, a string that holds one. Raises BakeryError with all problems."""
    reader = _Reader()
    type = reader.read(reader.bare(expr))
    if reader.problems:
        raise BakeryError(*reader.problems)
    return type


class _Reader:
    """Reads types; problems are collected, with the wildcard in their place."""

    def __init__(self) -> None:
        self.problems: list[Diagnostic] = []

    def bare(self, expr: Expression) -> Expression:
        """The expression, or the one that a JSON string holds."""
        if not isinstance(expr, JsonString):
            return expr
        inner, problems = parse_expression(expr.source)
        self.problems += problems
        return inner

    def error(self, detail: str, span: Span) -> Type:
        if not self.problems or self.problems[-1].summary == "Invalid type specification":
            self.problems.append(Diagnostic("Invalid type specification", detail, span))
        return ANY

    def read(self, expr: Expression) -> Type:
        word = keyword(expr)
        if word is not None:
            if word in _PRIMITIVES:
                return _PRIMITIVES[word]
            if word in _NEEDS:
                return self.error(self._needs(word), expr.span)
            return self.error(f'The keyword "{word}" is not a valid type specification.', expr.span)
        if isinstance(expr, Call):
            return self._constructed(expr)
        return self.error(
            "A type specification is either a primitive type keyword (bool, number, string) or a complex type "
            "constructor call, like list(string).",
            expr.span,
        )

    def _needs(self, word: str) -> str:
        return f"The {word} type constructor requires one argument {_NEEDS[word]}."

    def _constructed(self, call: Call) -> Type:
        arguments = call.source.span(call.open, call.end)
        if call.name in _PRIMITIVES:
            kind = "Type constraint" if call.name == "any" else "Primitive type"
            return self.error(f'{kind} keyword "{call.name}" does not expect arguments.', arguments)
        if call.name in _NEEDS and len(call.arguments) != 1:
            if len(call.arguments) > 1:
                arguments = call.source.span(call.arguments[1].start, call.arguments[-1].end)
            return self.error(self._needs(call.name), arguments)
        match call.name:
            case "list":
                return ListType(self.read(call.arguments[0]))
            case "set":
                return SetType(self.read(call.arguments[0]))
            case "map":
                return MapType(self.read(call.arguments[0]))
            case "object":
                return self._object(call.arguments[0])
            case "tuple":
                return self._tuple(call.arguments[0])
            case "optional":
                detail = 'Keyword "optional" is valid only as a modifier for object type attributes.'
                return self.error(detail, call.name_span)
        return self.error(f'Keyword "{call.name}" is not a valid type constructor.', call.span)

    def _tuple(self, expr: Expression) -> Type:
        if not isinstance(expr, Tuple):
            return self.error("Tuple type constructor requires a list of element types.", expr.span)
        return TupleType(tuple(map(self.read, expr.elements)))

    def _object(self, expr: Expression) -> Type:
        if not isinstance(expr, Object):
            return self.error(
                "Object type constructor requires a map whose keys are attribute names and whose values are the "
                "corresponding attribute types.",
                expr.span,
            )
        attributes: dict[str, Type] = {}
        optional: set[str] = set()
        for item in expr.items:
            key = item.key
            name = keyword(key.expr) if isinstance(key, ObjectKey) and not key.forced else None
            if name is None:
                self.error("Object constructor map keys must be attribute names.", key.span)
            elif name in attributes:
                self.error("Object constructor map keys must be unique.", key.span)
            else:
                attributes[name] = self._attribute(name, item.value, optional)
        return ObjectType(dict(sorted(attributes.items())), frozenset(optional))

    def _attribute(self, name: str, expr: Expression, optional: set[str]) -> Type:
        if not (isinstance(expr, Call) and expr.name == "optional"):
            return self.read(expr)
        span = expr.source.span(expr.open, expr.end)
        if not expr.arguments:
            return self.error("Optional attribute modifier requires the attribute type as its argument.", span)
        if len(expr.arguments) > 1:
            self.error("Optional attribute modifier expects only one argument: the attribute type.", span)
        optional.add(name)
        return self.read(expr.arguments[0])
