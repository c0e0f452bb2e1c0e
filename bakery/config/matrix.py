"""One target block with a matrix to many targets: the cartesian product of its axes, in declaration order."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import field

from bakery.config.conversion import ConversionError, convert
from bakery.config.definition import NAME, TargetBlock, invalid_name
from bakery.config.hcl.evaluate import evaluate
from bakery.config.hcl.scope import ChildScope, Scope
from bakery.config.hcl.syntax import Expression, Object
from bakery.config.types import STRING, friendly_name
from bakery.config.values import Value, is_iterable, members_of
from bakery.diagnostics import BakeryError, Span
from bakery.values import frozen

MAX_COMBINATIONS = 20_000
"""More targets than this from one block are a mistake."""


@frozen
class Expanded:
    """One target that a block stands for; `axes` are the matrix values its expressions see."""

    name: str
    source: TargetBlock
    axes: Mapping[str, Value] = field(default_factory=dict)


def expand(source: TargetBlock, scope: Scope) -> list[Expanded]:
    """All targets of a block: itself, or one per combination of its matrix. Raises BakeryError."""
    attributes = source.block.body.attributes
    matrix, name = attributes.get("matrix"), attributes.get("name")
    label = source.block.label_spans[0] if matrix is not None or name is not None else None
    if matrix is None:
        if name is not None:
            raise BakeryError.of("Invalid name", "name requires matrix", label)
        return [Expanded(source.label, source)]
    axes = _axes(matrix.expr, scope, label)
    count = math.prod(len(values) for values in axes.values())
    if count > MAX_COMBINATIONS:
        raise BakeryError.of(
            "Invalid matrix",
            f"{count} combinations are more than {MAX_COMBINATIONS}",
            matrix.expr.span,
            hint="split the target, or narrow an axis",
        )
    expanded: dict[str, Expanded] = {}
    for values in itertools.product(*axes.values()):
        own = dict(zip(axes, values, strict=True))
        made = source.label if name is None else _name(name.expr, ChildScope(scope, own), label)
        if made in expanded:
            raise BakeryError.of(
                "Invalid name",
                f'duplicate name "{made}"',
                label,
                hint="every combination of the matrix needs a name of its own: use all axes in `name`",
            )
        expanded[made] = Expanded(made, source, own)
    return list(expanded.values())


def _axes(expr: Expression, scope: Scope, label: Span | None) -> dict[str, tuple[Value, ...]]:
    matrix = evaluate(expr, scope)
    if not isinstance(matrix.raw, dict):
        raise BakeryError.of("Invalid name", "matrix must be a map", label)
    axes = {axis: _values(axis, value, label) for axis, value in matrix.raw.items()}
    if isinstance(expr, Object):
        # The order in which the axes are written decides the order of combinations; the value is sorted by key.
        written = [convert(evaluate(item.key, scope), STRING).raw for item in expr.items]
        return {axis: axes[axis] for axis in dict.fromkeys(written) if axis in axes}
    return axes


def _values(axis: str, value: Value, label: Span | None) -> tuple[Value, ...]:
    if value.is_null or not value.is_known or not is_iterable(value.type):
        have = "null" if value.is_null else friendly_name(value.type)
        raise BakeryError.of("Invalid name", f"matrix values must be a list, but {axis} is {have}", label)
    return tuple(members_of(value))


def _name(expr: Expression, scope: Scope, label: Span | None) -> str:
    value = evaluate(expr, scope)
    try:
        text = convert(value, STRING)
    except ConversionError as error:
        raise BakeryError.of("Invalid name", str(error), label) from None
    if not isinstance(text.raw, str) or not NAME.fullmatch(text.raw):
        raise BakeryError(invalid_name(label, str(text.raw)))
    return text.raw
