"""What every expression of a bake file may refer to: variables, top-level attributes and functions.

Variables are worked out when first asked for, once; `resolve` works out all, as the peer does before any target.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from bakery.config.conversion import ConversionError, convert
from bakery.config.definition import TEMPLATE, Definition, Problems, body_start, missing
from bakery.config.functions import BUILTINS
from bakery.config.hcl.evaluate import evaluate
from bakery.config.hcl.scope import unknown_variable
from bakery.config.override_value import parse_json, parse_typed, parse_untyped
from bakery.config.type_constraint import parse_type
from bakery.config.types import BOOL, STRING, Type
from bakery.config.user_function import function_problems, user_function
from bakery.config.values import UNKNOWN_VALUE, Value, null, string
from bakery.diagnostics import BakeryError, Diagnostic
from bakery.values import frozen

if TYPE_CHECKING:
    from bakery.config.functions.function import Function
    from bakery.config.hcl.syntax import Block, Expression, ScopeTraversal


@frozen
class Overrides:
    """Where variables may get values from: `--var` first, then the environment (empty if lookups are disabled)."""

    flags: Mapping[str, str]
    environment: Mapping[str, str]

    def get(self, name: str) -> str | None:
        """The overriding text for a variable."""
        return self.flags.get(name, self.environment.get(name))


class Globals:
    """The outermost scope of a definition. Implements the evaluator's Scope."""

    def __init__(self, definition: Definition, overrides: Overrides, builtins: Mapping[str, Value]) -> None:
        self._definition = definition
        self._overrides = overrides
        self._values: dict[str, Value] = dict(builtins)
        self._types: dict[str, Type | None] = {}
        self._functions: dict[str, Function | None] = {}
        self._path: dict[str, Expression | None] = {}
        self._without_user_functions = False

    # --- the Scope of expressions ---

    def variable(self, reference: ScopeTraversal) -> Value:
        """The value of a variable, a top-level attribute or a built-in; raises BakeryError."""
        name = reference.name
        known = self._values.get(name)
        if known is not None:
            return known
        if name not in self._definition.variables and name not in self._definition.attributes:
            raise unknown_variable(reference, self.names())
        return self._work_out(name)

    def function(self, name: str) -> Function | None:
        """A built-in function, else one that a file defines: a built-in cannot be replaced."""
        if name in self._functions:
            return self._functions[name]
        if name == TEMPLATE:
            from bakery.config.bakery_yaml import template_function

            return self._functions.setdefault(name, template_function())
        found = BUILTINS.get(name)
        if found is not None:
            return self._functions.setdefault(name, found)
        block = self._definition.functions.get(name)
        if block is not None and not self._without_user_functions:
            found = user_function(block, self, evaluate)
            self._functions[name] = found
        return found

    def function_names(self) -> Iterable[str]:
        """All names of functions."""
        return [*BUILTINS, *self._definition.functions]

    def names(self) -> list[str]:
        """All names of variables and top-level attributes."""
        return [*self._values, *self._definition.variables, *self._definition.attributes]

    # --- all at once ---

    def resolve(self) -> None:
        """Work out and validate every variable, and check every function. Raises BakeryError with all that is wrong."""
        problems = Problems()
        known = {*self.names(), *self._values}
        problems.found.extend(function_problems(self._definition.functions, known, set(BUILTINS)))
        problems.stop_if_any()
        for name in [*self._definition.variables, *self._definition.attributes]:
            if name not in self._values:
                problems.attempt(lambda name=name: self._work_out(name))  # type: ignore[misc]
        problems.stop_if_any()
        self._without_user_functions = True  # conditions may only use built-in ones
        for block in self._definition.variables.values():
            self._validate(block, problems)
        self._without_user_functions = False
        problems.stop_if_any()

    def value(self, name: str) -> Value:
        """The value of a resolved variable."""
        return self._values[name]

    def declared_type(self, name: str) -> Type | None:
        """The declared type of a variable that has been worked out, if it has one."""
        return self._types.get(name)

    def text(self, expr: Expression) -> str:
        """An expression of the outermost scope as text; empty for null. Raises BakeryError."""
        try:
            return str(convert(evaluate(expr, self), STRING).raw or "")
        except ConversionError as error:
            raise BakeryError.of("Invalid value", str(error), expr.span) from None

    # --- one variable ---

    def _work_out(self, name: str) -> Value:
        if name in self._path:
            cycle = [*list(self._path)[list(self._path).index(name) :], name]
            asking = self._path[cycle[-2]]
            raise BakeryError.of(
                "Invalid expression",
                f"variable cycle not allowed for {name}" + (f": {' → '.join(cycle)}" if len(cycle) > 2 else ""),
                asking.span if asking is not None else None,
            )
        block = self._definition.variables.get(name)
        default = self._default_expr(name, block)
        self._path[name] = default
        try:
            value = self._resolved(name, block, default)
        except BakeryError:
            # Reported once, by whoever asked first; others see an unknown.
            self._values[name] = UNKNOWN_VALUE
            raise
        finally:
            del self._path[name]
        self._values[name] = value
        return value

    def _default_expr(self, name: str, block: Block | None) -> Expression | None:
        attribute = self._definition.attributes.get(name)
        if attribute is None and block is not None:
            attribute = block.body.attributes.get("default")
        return attribute.expr if attribute is not None else None

    def _resolved(self, name: str, block: Block | None, default: Expression | None) -> Value:
        value = evaluate(default, self) if default is not None else None
        if block is None:
            assert value is not None
            return value
        declared = block.body.attributes.get("type")
        # A top-level attribute of the same name is the default, and its type counts rather than the declared one.
        typed = declared is not None and name not in self._definition.attributes
        wanted = parse_type(declared.expr) if declared is not None and typed else None
        self._types[name] = wanted
        if wanted is not None and value is not None:
            value = self._fitting(name, block, value, wanted)
        try:
            override = self._override(name, wanted, value)
        except ValueError as error:
            raise BakeryError.of("Invalid value", str(error), body_start(block)) from None
        if override is not None:
            return override
        if value is not None:
            return value
        return string("") if wanted is None else null(wanted)

    def _fitting(self, name: str, block: Block, value: Value, wanted: Type) -> Value:
        try:
            return convert(value, wanted)
        except ConversionError as error:
            from bakery.config.types import friendly_name

            raise BakeryError.of(
                "Invalid value",
                f"invalid type {friendly_name(wanted)} for variable {name} default value: {error}",
                body_start(block),
            ) from None

    def _override(self, name: str, wanted: Type | None, default: Value | None) -> Value | None:
        json_name = f"{name}_JSON"
        as_json = None if json_name in self._definition.variables else self._overrides.get(json_name)
        plain = self._overrides.get(name)
        if wanted is not None:
            if as_json is not None:
                return parse_json(name, as_json, wanted)
            return None if plain is None else parse_typed(name, plain, wanted)
        # An untyped variable takes NAME_JSON only for want of NAME, and as it stands: the peer's habit.
        text = as_json if plain is None else plain
        if text is None:
            return None
        return parse_untyped(name, text, string("") if default is None else default)

    def _validate(self, block: Block, problems: Problems) -> None:
        for inner in block.body.blocks:
            if inner.type == "validation":
                problems.attempt(lambda inner=inner: self._check(inner))  # type: ignore[misc]

    def _check(self, validation: Block) -> None:
        condition = validation.body.attributes.get("condition")
        message = validation.body.attributes.get("error_message")
        absent = [name for name in ("condition", "error_message") if name not in validation.body.attributes]
        if condition is None or message is None:
            raise BakeryError(*(missing(name, validation) for name in absent))
        result = evaluate(condition.expr, self)
        try:
            holds = convert(result, BOOL)
        except ConversionError as error:
            raise BakeryError.of(
                "Invalid condition result", f"Invalid condition result value: {error}", condition.expr.span
            ) from None
        if holds.is_null or not holds.is_known:
            raise BakeryError.of(
                "Invalid condition result",
                "Condition expression must return either true or false, not null.",
                condition.expr.span,
            )
        if not holds.raw:
            raise BakeryError(Diagnostic("Validation failed", self.text(message.expr), condition.expr.span))
