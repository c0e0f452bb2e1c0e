"""Where expressions find names: a scope gives variables and functions by name, a child scope adds some of its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field
from typing import Protocol

from bakery.config.functions.function import Function
from bakery.config.hcl.syntax import ScopeTraversal
from bakery.config.values import Value
from bakery.diagnostics import BakeryError, did_you_mean
from bakery.values import frozen


class Scope(Protocol):
    """The names an expression may use. Lookups are lazy: nothing is evaluated before somebody refers to it."""

    def variable(self, reference: ScopeTraversal) -> Value:
        """The value of the name at the root of a reference.

        The whole reference is given, so that a scope may work out only the part of a large object (`target`, `group`)
        that its steps ask for. Raises BakeryError (see `unknown_variable`) if there is no such name.
        """
        ...

    def function(self, name: str) -> Function | None:
        """The function of that name, if there is one."""
        ...

    def function_names(self) -> Iterable[str]:
        """All names of functions, to suggest one for a misspelled name."""
        ...


def unknown_variable(reference: ScopeTraversal, names: Iterable[str]) -> BakeryError:
    """The error for a name that is not in scope, with a suggestion from the names that are."""
    near = did_you_mean(reference.name, names)
    detail = f'There is no variable named "{reference.name}".'
    return BakeryError.of(
        "Unknown variable", detail + (f' Did you mean "{near}"?' if near else ""), reference.name_span
    )


@frozen
class RootScope:
    """Values and functions held ready: the plainest scope."""

    variables: Mapping[str, Value] = field(default_factory=dict)
    functions: Mapping[str, Function] = field(default_factory=dict)

    def variable(self, reference: ScopeTraversal) -> Value:
        """The value of the name; raises BakeryError."""
        value = self.variables.get(reference.name)
        if value is None:
            raise unknown_variable(reference, self.variables)
        return value

    def function(self, name: str) -> Function | None:
        """The function of that name."""
        return self.functions.get(name)

    def function_names(self) -> Iterable[str]:
        """All names of functions."""
        return self.functions


@frozen
class ChildScope:
    """Some names of its own (loop variables, parameters, matrix axes) that hide those of the parent."""

    parent: Scope
    own: Mapping[str, Value]

    def variable(self, reference: ScopeTraversal) -> Value:
        """Our own value of the name, else the parent's."""
        value = self.own.get(reference.name)
        return self.parent.variable(reference) if value is None else value

    def function(self, name: str) -> Function | None:
        """The parent's function of that name."""
        return self.parent.function(name)

    def function_names(self) -> Iterable[str]:
        """The parent's names of functions."""
        return self.parent.function_names()
