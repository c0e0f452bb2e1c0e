"""Why a step was not simply known, in words."""

from __future__ import annotations

from engine.events import Change, Decided, How

SHOWN = 3
"""Changes named in one line."""
# The words of `engine.solver.reasons.Cause`; a word that is not here is shown as it is.
_CAUSES = {
    "first": "never built here before",
    "new": "a new step",
    "anew": "the cache was not to be used",
    "operation": "the instruction changed",
    "base": "the base image changed",
    "source": "a source changed",
    "files": "files changed",
    "input": "a step that it builds upon changed",
    "unfinished": "it did not finish the last time",
    "lost": "its result was no longer there",
}


def why(decided: Decided | None) -> str:
    """One line without an end; empty if there is nothing to say."""
    if decided is None:
        return ""
    if decided.how is How.CONTENT:
        return "known by the content of its inputs"
    if decided.how is How.EQUAL:
        return "the same work as another step of this build"
    shown = [change(each) for each in decided.changes[:SHOWN]]
    others = len(decided.changes) - len(shown) + decided.more
    if others:
        shown.append(f"and {others:,} more")
    return ", ".join(shown) or cause(decided)


def cause(decided: Decided) -> str:
    """The main reason, without what exactly changed."""
    return _CAUSES.get(decided.cause, decided.cause)


def change(one: Change) -> str:
    """What is different, such as `argument N: 1 → 2`."""
    subject = f"{one.kind} {one.name}".strip()
    if one.before is None and one.after is None:
        return f"{subject} changed"
    if one.before is None:
        return f"{subject} is new"
    if one.after is None:
        return f"{subject} is gone"
    if one.before == one.after or not (one.before or one.after):
        return f"{subject} changed"
    return f"{subject} changed" if one.kind == "file" else f"{subject}: {one.before} → {one.after}"
