"""HCL native syntax to syntax trees."""

from __future__ import annotations

from bakery.config.hcl.source import Source
from bakery.config.hcl.syntax import Body, Expression
from bakery.diagnostics import Diagnostic, SourceFile


def parse_body(file: SourceFile) -> tuple[Body, list[Diagnostic]]:
    """A whole file. Whatever is wrong with it is in the diagnostics; the body holds what could be read."""
    raise NotImplementedError


def parse_expression(source: Source) -> tuple[Expression, list[Diagnostic]]:
    """A text that is one expression."""
    raise NotImplementedError


def parse_template(source: Source) -> tuple[Expression, list[Diagnostic]]:
    """A text that is one template, as between quotes but without escapes."""
    raise NotImplementedError
