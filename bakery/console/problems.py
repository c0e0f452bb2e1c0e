"""Problems in bake files as text, in the peer's form: an excerpt with the place marked, then one `ERROR:` line.

Apart from `errors` because `--print` and `ls` need it, which are too quick to import the engine.
"""

from __future__ import annotations

from bakery.diagnostics import BakeryError, Diagnostic, Severity, excerpt

OTHERS_SHOWN = 20


def render(error: BakeryError, of: str = "") -> str:
    """All that is shown of an error: warnings, the first error with its excerpt, the others a line each, the hint.

    `of` stands before the message, such as `target app: `.
    """
    errors = [problem for problem in error.diagnostics if problem.severity is Severity.ERROR] or list(error.diagnostics)
    if not errors:
        return f"ERROR: {of}unknown error\n"
    first, *others = errors
    out = [warning(problem) for problem in error.diagnostics if problem not in errors]
    if first.span:
        out.append(excerpt(first.span.file.name, first.span.file.text, first.span.start.line, first.span.end.line))
        out.append("\n")
    out.append(f"ERROR: {of}{BakeryError(*errors)}\n")
    out += [f"also: {other}\n{_hint(other)}" for other in others[:OTHERS_SHOWN]]
    return "".join([*out, _hint(first)])


def warning(problem: Diagnostic) -> str:
    """A warning, in one line and a hint."""
    return f"WARNING: {problem}\n{_hint(problem)}"


def _hint(problem: Diagnostic) -> str:
    return f"hint: {problem.hint}\n" if problem.hint else ""
