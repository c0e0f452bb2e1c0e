"""What a function is: parameters with types, and what it does with arguments that fit them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from bakery.config.types import ANY, Type
from bakery.config.values import Value
from bakery.values import frozen

if TYPE_CHECKING:
    from bakery.config.hcl.scope import Scope
    from bakery.config.hcl.syntax import Expression


class FunctionError(Exception):
    """A call that fails as a whole, for a reason that follows `Call to function "f" failed: `."""


class ArgumentError(FunctionError):
    """A call that fails for one argument; `index` counts from 0."""

    def __init__(self, index: int, message: str) -> None:
        super().__init__(message)
        self.index = index


@frozen
class Parameter:
    """One parameter. Arguments are converted to `type`; null and unknown ones only reach functions that take them."""

    name: str
    type: Type = ANY
    takes_null: bool = False
    takes_unknown: bool = False


@frozen
class Function:
    """A function of the bake language.

    `call` gets arguments already converted to the types of `params` (then of `variadic`, any number). It may raise
    ArgumentError, FunctionError, ConversionError, NumberError, LimitError, or BakeryError for places of its own.
    `special`, if given, gets the unevaluated arguments instead: for functions that decide themselves what to evaluate
    (`try`, `can`, `convert`).
    """

    name: str
    params: tuple[Parameter, ...]
    variadic: Parameter | None
    call: Callable[[Sequence[Value]], Value]
    special: Callable[[Sequence[Expression], Scope], Value] | None = None

    def parameter(self, index: int) -> Parameter | None:
        """What the argument at an index is for; None if there are too many."""
        return self.params[index] if index < len(self.params) else self.variadic

    def parameters(self, count: int) -> tuple[Parameter, ...]:
        """What so many arguments are for, as far as there may be so many."""
        if self.variadic is None:
            return self.params[:count]
        return (*self.params[:count], *[self.variadic] * (count - len(self.params)))


Implementation = Callable[[Sequence[Value]], Value]


def definer(table: dict[str, Function]) -> Callable[..., Callable[[Implementation], Implementation]]:
    """A decorator that puts a function into a table, under its own name without a trailing underscore."""

    def define(*params: Parameter, variadic: Parameter | None = None) -> Callable[[Implementation], Implementation]:
        def add(implementation: Implementation) -> Implementation:
            name = implementation.__name__.removesuffix("_")
            table[name] = Function(name, params, variadic, implementation)
            return implementation

        return add

    return define


_INT64 = 1 << 63


def whole(args: Sequence[Value], index: int) -> int:
    """A number argument as an integer. Raises ArgumentError."""
    raw = args[index].raw
    if not isinstance(raw, int) or not -_INT64 <= raw < _INT64:
        bounds = f"between {-_INT64} and {_INT64 - 1} inclusive"
        raise ArgumentError(index, f"value must be a whole number, {bounds}")
    return raw
