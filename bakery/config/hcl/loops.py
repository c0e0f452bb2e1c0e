"""For-expressions, splats, and the joining of template loops."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from bakery.config.conversion import ConversionError, convert
from bakery.config.hcl.scope import ChildScope
from bakery.config.hcl.stream import MAX_ERRORS
from bakery.config.hcl.syntax import For, Splat, TemplateJoin
from bakery.config.types import ANY, BOOL, STRING, ListType, SetType, TupleType, friendly_name
from bakery.config.values import (
    EMPTY_TUPLE,
    UNKNOWN_VALUE,
    Value,
    check_weight,
    elements,
    is_iterable,
    list_of,
    members_of,
    object_of,
    string,
    tuple_of,
    unknown,
)
from bakery.config.work import charge

if TYPE_CHECKING:
    from bakery.config.hcl.evaluate import Evaluator

_CONDITION: Final = "Invalid 'for' condition"
_KEY: Final = "Invalid object key"


def joined(texts: Sequence[str]) -> Value:
    """Texts joined to a string. Raises LimitError before it would become too long."""
    check_weight(sum(map(len, texts)) >> 6)
    return string("".join(texts))


def template_join(evaluator: Evaluator, expr: TemplateJoin) -> Value:
    """The strings that a `%{for}` directive makes, joined."""
    made = evaluator.value(expr.items)
    if not made.is_known:
        return unknown(STRING)
    texts = []
    for member in made.raw:
        if not member.is_known:
            return unknown(STRING)
        texts.append(member.raw)
    return joined(texts)


def for_each(evaluator: Evaluator, expr: For) -> Value:
    """A tuple or object with an element for each element of a collection."""
    collection = evaluator.value(expr.collection)
    if collection.is_null:
        detail = "A null value cannot be used as the collection in a 'for' expression."
        return evaluator.error("Iteration over null value", detail, expr.collection)
    if collection.type == ANY:
        return UNKNOWN_VALUE
    if not is_iterable(collection.type):
        name = friendly_name(collection.type)
        detail = f"A value of type {name} cannot be used as the collection in a 'for' expression."
        return evaluator.error("Iteration over non-iterable value", detail, expr.collection)
    if not _condition_makes_sense(evaluator, expr) or not collection.is_known:
        return UNKNOWN_VALUE
    return _Loop(expr, evaluator).run(collection)


def _condition_makes_sense(evaluator: Evaluator, expr: For) -> bool:
    """Try the condition on unknown elements first: what is wrong whatever the element is gets reported once."""
    if expr.condition is None:
        return True
    errors = len(evaluator.diagnostics)
    names = [name for name in (expr.key_name, expr.value_name) if name]
    trial = evaluator.within(ChildScope(evaluator.scope, dict.fromkeys(names, UNKNOWN_VALUE)))
    result = trial.value(expr.condition)
    if result.is_null:
        evaluator.error("Condition is null", "The value of the 'if' clause must not be null.", expr.condition)
    else:
        try:
            convert(result, BOOL)
        except ConversionError as problem:
            evaluator.error(_CONDITION, f"The 'if' clause value is invalid: {problem}.", expr.condition)
    return len(evaluator.diagnostics) == errors


class _Loop:
    """One run of a for-expression."""

    def __init__(self, expr: For, evaluator: Evaluator) -> None:
        self.expr = expr
        self.evaluator = evaluator
        self.is_known = True
        self.weight = 0
        self.values: list[Value] = []
        self.members: dict[str, Value] = {}
        self.groups: dict[str, list[Value]] = {}

    def run(self, collection: Value) -> Value:
        expr, outer = self.expr, self.evaluator
        for key, element in elements(collection):
            charge(1)
            if len(outer.diagnostics) >= MAX_ERRORS:
                return UNKNOWN_VALUE  # one mistake in a loop is told often enough
            own = {expr.value_name: element}
            if expr.key_name and expr.key_name != expr.value_name:
                own[expr.key_name] = key
            inner = outer.within(ChildScope(outer.scope, own))
            if self._included(inner):
                if expr.key is None:
                    self.values.append(self._weighed(inner.value(expr.value)))
                else:
                    self._add_member(inner)
        if not self.is_known:
            return UNKNOWN_VALUE
        if expr.key is None:
            return tuple_of(self.values)
        if expr.group:
            self.members = {key: tuple_of(values) for key, values in self.groups.items()}
        return object_of(self.members)

    def _weighed(self, value: Value) -> Value:
        self.weight = check_weight(self.weight + value.weight)
        return value

    def _complain(self, summary: str, detail: str, inner: Evaluator, *, at_key: bool) -> None:
        """Report the first of what goes wrong element by element; the result is unknown from then on."""
        if self.is_known:
            place = self.expr.key if at_key else self.expr.condition
            assert place is not None
            inner.error(summary, detail, place)
        self.is_known = False

    def _included(self, inner: Evaluator) -> bool:
        if self.expr.condition is None:
            return True
        result = inner.value(self.expr.condition)
        if result.is_null:
            self._complain(_CONDITION, "The value of the 'if' clause must not be null.", inner, at_key=False)
            return False
        try:
            included = convert(result, BOOL)
        except ConversionError as problem:
            self._complain(_CONDITION, f"The 'if' clause value is invalid: {problem}.", inner, at_key=False)
            return False
        self.is_known = self.is_known and included.is_known
        return included.raw is True

    def _add_member(self, inner: Evaluator) -> None:
        expr = self.expr
        assert expr.key is not None
        key = inner.value(expr.key)
        if key.is_null:
            detail = "Key expression in 'for' expression must not produce a null value."
            self._complain(_KEY, detail, inner, at_key=True)
            return
        if not key.is_known:
            self.is_known = False
            return
        try:
            name = convert(key, STRING).raw
        except ConversionError as problem:
            self._complain(_KEY, f"The key expression produced an invalid result: {problem}.", inner, at_key=True)
            return
        value = self._weighed(inner.value(expr.value))
        if expr.group:
            self.groups.setdefault(name, []).append(value)
        elif name in self.members:
            detail = (
                f"Two different items produced the key \"{name}\" in this 'for' expression. If duplicates are "
                "expected, use the ellipsis (...) after the value expression to enable grouping by key."
            )
            inner.error("Duplicate object key", detail, expr.key)
        else:
            self.members[name] = value


def splat(evaluator: Evaluator, expr: Splat) -> Value:
    """What is taken from each element; a single value counts as a tuple of one, null as the empty tuple."""
    errors = len(evaluator.diagnostics)
    value = evaluator.value(expr.target)
    if len(evaluator.diagnostics) > errors:
        return UNKNOWN_VALUE
    is_sequence = isinstance(value.type, TupleType | ListType | SetType)
    if value.is_null:
        if not is_sequence:
            return EMPTY_TUPLE
        detail = "Splat expressions (with the * symbol) cannot be applied to null sequences."
        return evaluator.error("Splat of null value", detail, expr.target)
    if value.type == ANY or not value.is_known:
        return UNKNOWN_VALUE
    taken = []
    for member in members_of(value) if is_sequence else [value]:
        charge(1)
        if len(evaluator.diagnostics) >= MAX_ERRORS:
            break
        evaluator.items[id(expr.item)] = member
        taken.append(evaluator.value(expr.each))
    evaluator.items.pop(id(expr.item), None)
    if len(evaluator.diagnostics) > errors:
        return UNKNOWN_VALUE
    if not isinstance(value.type, ListType | SetType):
        return tuple_of(taken)
    if not taken:
        evaluator.items[id(expr.item)] = unknown(value.type.element)
        each = evaluator.value(expr.each)
        evaluator.items.pop(id(expr.item))
        return list_of(each.type, ())
    if any(member.type != taken[0].type for member in taken):
        detail = (
            "The second level of splat expression produced elements of different types, so it isn't possible to "
            "construct a valid list to represent the top-level result.\n\nConsider using a for expression instead, to "
            "produce a tuple-typed result which can therefore have non-homogenous element types."
        )
        return evaluator.error("Invalid nested splat expressions", detail, expr.each)
    return list_of(taken[0].type, taken)
