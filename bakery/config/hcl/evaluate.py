"""Expressions to values.

Evaluation goes on after an error with an unknown value in its place, so that one run reports all of them; an unknown
makes what depends on it unknown, without further complaint. Results are as in the reference implementation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from bakery.config.conversion import ConversionError, convert, unify
from bakery.config.hcl import calls, loops, operators
from bakery.config.hcl.access import AccessError, get_attribute, get_index
from bakery.config.hcl.differences import describe_difference
from bakery.config.hcl.scope import Scope
from bakery.config.hcl.syntax import (
    AttributeStep,
    Binary,
    Call,
    Conditional,
    Expression,
    For,
    Index,
    JsonString,
    Literal,
    Object,
    ObjectKey,
    Parens,
    RelativeTraversal,
    ScopeTraversal,
    Splat,
    SplatItem,
    Step,
    SyntaxErrorExpr,
    Template,
    TemplateJoin,
    TemplateWrap,
    Tuple,
    Unary,
    keyword,
)
from bakery.config.number import to_text
from bakery.config.types import ANY, BOOL, NUMBER, STRING, Type
from bakery.config.values import (
    NULL,
    UNKNOWN_VALUE,
    LimitError,
    Value,
    object_of,
    string,
    tuple_of,
    unknown,
)
from bakery.config.work import charge_values, with_allowance
from bakery.diagnostics import BakeryError, Diagnostic

_INTERPOLATION: Final = "Invalid template interpolation value"


def evaluate(expr: Expression, scope: Scope) -> Value:
    """The value of an expression, wholly known. Raises BakeryError with every problem found in it."""
    evaluator = Evaluator(scope)
    try:
        value = with_allowance(lambda: evaluator.value(expr))
    except RecursionError:
        detail = "The expression, or a value in it, is nested too deep to be evaluated."
        raise BakeryError.of("Nesting too deep", detail, expr.span) from None
    if evaluator.diagnostics:
        raise BakeryError(*evaluator.diagnostics)
    return value


class Evaluator:
    """Evaluates expressions in one scope; errors go to `diagnostics`."""

    def __init__(
        self,
        scope: Scope,
        diagnostics: list[Diagnostic] | None = None,
        items: dict[int, Value] | None = None,
    ) -> None:
        self.scope = scope
        self.diagnostics = [] if diagnostics is None else diagnostics
        self.items = {} if items is None else items  # of the splats being evaluated, by identity of their item node

    def within(self, scope: Scope) -> Evaluator:
        """An evaluator for another scope that reports to the same place."""
        return Evaluator(scope, self.diagnostics, self.items)

    def value(self, expr: Expression) -> Value:
        """The value of an expression, unknown if there is an error in it."""
        try:
            return _RULES[type(expr)](self, expr)
        except LimitError as problem:
            return self.error("Value too large", f"{problem}.", expr)

    def error(self, summary: str, detail: str, place: Expression | Step, type: Type = ANY) -> Value:
        """Note a problem; the value of what has it is unknown."""
        self.diagnostics.append(Diagnostic(summary, detail, place.span))
        return unknown(type)

    def apart(self, expr: Expression) -> tuple[Value, list[Diagnostic]]:
        """The value of an expression and its problems, which are not reported (yet)."""
        inner = Evaluator(self.scope, [], self.items)
        return inner.value(expr), inner.diagnostics

    # --- leaves ----------------------------------------------------------------------------------------------------

    def literal(self, expr: Literal) -> Value:
        return expr.value

    def syntax_error(self, expr: SyntaxErrorExpr) -> Value:
        return UNKNOWN_VALUE

    def splat_item(self, expr: SplatItem) -> Value:
        return self.items.get(id(expr), UNKNOWN_VALUE)

    # --- references ------------------------------------------------------------------------------------------------

    def scope_traversal(self, expr: ScopeTraversal) -> Value:
        try:
            root = self.scope.variable(expr)
        except BakeryError as problem:
            self.diagnostics += problem.diagnostics
            return UNKNOWN_VALUE
        return self.steps(root, expr.steps)

    def relative_traversal(self, expr: RelativeTraversal) -> Value:
        return self.steps(self.value(expr.target), expr.steps)

    def steps(self, value: Value, steps: tuple[Step, ...]) -> Value:
        """What steps taken from a value lead to."""
        for step in steps:
            try:
                if isinstance(step, AttributeStep):
                    value = get_attribute(value, step.name)
                else:
                    value = get_index(value, step.key)
            except AccessError as problem:
                return self.error(problem.summary, problem.detail, step)
        return value

    def index(self, expr: Index) -> Value:
        collection, key = self.value(expr.collection), self.value(expr.key)
        try:
            return get_index(collection, key)
        except AccessError as problem:
            span = expr.source.span(expr.open, expr.end)
            self.diagnostics.append(Diagnostic(problem.summary, problem.detail, span))
            return UNKNOWN_VALUE

    # --- templates -------------------------------------------------------------------------------------------------

    def template(self, expr: Template) -> Value:
        texts: list[str] = []
        is_known = True
        for part in expr.parts:
            if isinstance(part, Literal) and isinstance(part.value.raw, str):
                texts.append(part.value.raw)
                continue
            value = self.value(part)
            if isinstance(value.raw, str):
                texts.append(value.raw)
            elif value.type is NUMBER and isinstance(value.raw, int):
                texts.append(to_text(value.raw))
            elif value.is_null:
                detail = "The expression result is null. Cannot include a null value in a string template."
                self.error(_INTERPOLATION, detail, part)
            elif not value.is_known:
                is_known = False
            else:
                try:
                    texts.append(convert(value, STRING).raw)
                except ConversionError as problem:
                    detail = f"Cannot include the given value in a string template: {problem}."
                    self.error(_INTERPOLATION, detail, part)
        return loops.joined(texts) if is_known else unknown(STRING)

    def template_wrap(self, expr: TemplateWrap) -> Value:
        return self.value(expr.wrapped)

    def template_join(self, expr: TemplateJoin) -> Value:
        return loops.template_join(self, expr)

    def json_string(self, expr: JsonString) -> Value:
        self.diagnostics += expr.problems
        return UNKNOWN_VALUE if expr.problems else self.value(expr.template)

    # --- structures ------------------------------------------------------------------------------------------------

    def parens(self, expr: Parens) -> Value:
        return self.value(expr.inner)

    def tuple(self, expr: Tuple) -> Value:
        return tuple_of([self.value(element) for element in expr.elements])

    def object(self, expr: Object) -> Value:
        members: dict[str, Value] = {}
        is_known = True
        for item in expr.items:
            errors = len(self.diagnostics)
            key = self.value(item.key)
            failed = len(self.diagnostics) > errors
            value = self.value(item.value)
            if failed:
                is_known = False
            elif key.is_null:
                self.error("Null value as key", "Can't use a null value as a key.", item.value)
                is_known = False
            else:
                name = self._key_name(item.key, key)
                is_known = is_known and name is not None
                if name is not None:
                    members[name] = value
        return object_of(members) if is_known else UNKNOWN_VALUE

    def _key_name(self, expr: Expression, key: Value) -> str | None:
        try:
            key = convert(key, STRING)
        except ConversionError as problem:
            self.error("Incorrect key type", f"Can't use this value as a key: {problem}.", expr)
            return None
        return key.raw if key.is_known else None

    def object_key(self, expr: ObjectKey) -> Value:
        if not expr.forced:
            if isinstance(expr.expr, ScopeTraversal) and expr.expr.steps:
                detail = (
                    "If this expression is intended to be a reference, wrap it in parentheses. If it's instead "
                    "intended as a literal name containing periods, wrap it in quotes to create a string literal."
                )
                return self.error("Ambiguous attribute key", detail, expr)
            name = keyword(expr.expr)
            if name is not None:
                return string(name)
        return self.value(expr.expr)

    # --- choices ---------------------------------------------------------------------------------------------------

    def conditional(self, expr: Conditional) -> Value:
        # both arms are always evaluated, because both have a say in the type; only the chosen one may complain
        true, true_problems = self.apart(expr.true)
        false, false_problems = self.apart(expr.false)
        charge_values(true, false)
        result_type = self._common_type(true, false)
        if result_type is None:
            detail = (
                "The true and false result expressions must have consistent types. "
                f"{describe_difference(true.type, false.type)}."
            )
            span = expr.source.span(expr.true.start, expr.false.end)
            self.diagnostics.append(Diagnostic("Inconsistent conditional result types", detail, span))
            return UNKNOWN_VALUE
        condition = self.value(expr.condition)
        if condition.is_null:
            detail = "The condition value is null. Conditions must either be true or false."
            return self.error("Null condition", detail, expr.condition, result_type)
        if not condition.is_known:
            return unknown(result_type)
        try:
            chosen = convert(condition, BOOL).raw
        except ConversionError:
            detail = "The condition expression must be of type bool."
            return self.error("Incorrect condition type", detail, expr.condition, result_type)
        self.diagnostics += true_problems if chosen else false_problems
        return self._arm(expr, chosen, true if chosen else false, result_type)

    def _common_type(self, true: Value, false: Value) -> Type | None:
        if true == NULL:
            return false.type
        if false == NULL:
            return true.type
        if ANY in (true.type, false.type):
            return ANY
        return unify([true.type, false.type])

    def _arm(self, expr: Conditional, chosen: bool, value: Value, result_type: Type) -> Value:
        try:
            return convert(value, result_type)
        except ConversionError as problem:
            arm, name = (expr.true, "true") if chosen else (expr.false, "false")
            detail = f"The {name} result value has the wrong type: {problem}."
            return self.error("Inconsistent conditional result types", detail, arm, result_type)

    def binary(self, expr: Binary) -> Value:
        return operators.binary(self, expr)

    def unary(self, expr: Unary) -> Value:
        return operators.unary(self, expr)

    def call(self, expr: Call) -> Value:
        return calls.call(self, expr)

    def for_(self, expr: For) -> Value:
        return loops.for_each(self, expr)

    def splat(self, expr: Splat) -> Value:
        return loops.splat(self, expr)


_RULES: Final[dict[type, Callable[[Evaluator, Any], Value]]] = {
    Literal: Evaluator.literal,
    Template: Evaluator.template,
    TemplateWrap: Evaluator.template_wrap,
    TemplateJoin: Evaluator.template_join,
    JsonString: Evaluator.json_string,
    ScopeTraversal: Evaluator.scope_traversal,
    RelativeTraversal: Evaluator.relative_traversal,
    Index: Evaluator.index,
    SplatItem: Evaluator.splat_item,
    Splat: Evaluator.splat,
    Call: Evaluator.call,
    Conditional: Evaluator.conditional,
    Binary: Evaluator.binary,
    Unary: Evaluator.unary,
    Tuple: Evaluator.tuple,
    ObjectKey: Evaluator.object_key,
    Object: Evaluator.object,
    For: Evaluator.for_,
    Parens: Evaluator.parens,
    SyntaxErrorExpr: Evaluator.syntax_error,
}
