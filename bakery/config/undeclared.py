"""`--var NAME=…` where no file knows the name: the peer drops it without a word, and builds the wrong thing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from bakery.config.definition import Definition
from bakery.diagnostics import Diagnostic, Severity, SourceFile, did_you_mean

_JSON = "_JSON"


def without_effect(
    flags: Iterable[str],
    definition: Definition,
    built_in: Mapping[str, object],
    texts: Sequence[SourceFile],
    severity: Severity,
) -> list[Diagnostic]:
    """A problem for each `--var` name that changes nothing.

    Compose files (`texts`) declare no variables: there a name counts as known where it is written anywhere.
    """
    return [
        _problem(name, definition, built_in, severity)
        for name in flags
        if not _declared(name, definition) and not any(_written(name, file) for file in texts)
    ]


def _declared(name: str, definition: Definition) -> bool:
    return name in definition.variables or (name.endswith(_JSON) and name.removesuffix(_JSON) in definition.variables)


def _written(name: str, file: SourceFile) -> bool:
    return re.search(rf"(?<!\w){re.escape(name)}(?!\w)", file.text) is not None


def _problem(name: str, definition: Definition, built_in: Mapping[str, object], severity: Severity) -> Diagnostic:
    summary = f"--var {name} changes nothing"
    if name in built_in:
        return Diagnostic(summary, f"{name} is always there, as it is", None, severity)
    attribute = definition.attributes.get(name)
    if attribute is not None:
        hint = f'to let it be changed, write variable "{name}" {{ default = … }}'
        return Diagnostic(summary, f"{name} is an attribute, not a variable", attribute.name_span, severity, hint)
    near = did_you_mean(name, definition.variables)
    if near is None:
        hint = "`bakery ls` shows the variables that there are" if definition.variables else ""
        return Diagnostic(summary, "no variable of this name is declared", None, severity, hint)
    span = definition.variables[near].header_span
    return Diagnostic(summary, "no variable of this name is declared", span, severity, f'did you mean "{near}"?')
