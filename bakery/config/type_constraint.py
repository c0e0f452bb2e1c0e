"""Type constraints as written: `list(string)`, `object({port = number, tls = optional(bool)})`."""

from __future__ import annotations

from bakery.config.hcl.syntax import Expression
from bakery.config.types import Type


def parse_type(expr: Expression) -> Type:
    """The type that an expression spells. Raises BakeryError at the part that spells none."""
    raise NotImplementedError
