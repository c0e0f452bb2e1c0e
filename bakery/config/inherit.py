"""Targets with what they inherit: parents first, left to right, then the target, then its overrides.

There is no linearisation, as in the peer: with `inherits = ["x", "y"]` all that y has, inherited or not, is laid
over x.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from bakery.config.draft import TargetDraft, distinct
from bakery.diagnostics import BakeryError, Span, did_you_mean

Override = Callable[[TargetDraft], None]
"""Changes a draft, of which nobody else holds the value lists, as `--set` asks."""

MAX_DEPTH = 300
"""Parents of parents of parents… to follow."""


class Inheritance:
    """Resolves targets by name. Every resolved parent is kept, so that a base of many targets is merged once."""

    def __init__(self, drafts: Mapping[str, TargetDraft], overrides: Mapping[str, list[Override]]) -> None:
        self._drafts = drafts
        self._overrides = overrides
        self._resolved: dict[str, TargetDraft | None] = {}
        self._met_cycle = False

    @property
    def names(self) -> Iterable[str]:
        """All declared targets."""
        return self._drafts.keys()

    def resolve(self, name: str, asking: Span | None = None) -> TargetDraft:
        """The target with all it inherits and its overrides; not to be changed. Raises BakeryError."""
        before = set(self._resolved)
        self._met_cycle = False
        result = self._resolve(name, 0, asking)
        assert result is not None
        if self._met_cycle:
            # Within a cycle the result of a parent depends on where one came from: keep none for other targets.
            self._resolved = {kept: self._resolved[kept] for kept in before}
        return result

    def _resolve(self, name: str, depth: int, asking: Span | None) -> TargetDraft | None:
        if name in self._resolved:
            known = self._resolved[name]
            # A cycle is tolerated, as in the peer: who is being resolved already adds nothing more.
            self._met_cycle |= known is None
            return known
        own = self._drafts.get(name)
        if own is None:
            raise not_found(name, self._drafts, asking)
        if depth >= MAX_DEPTH:
            raise BakeryError.of("inheritance is too deep", f"{MAX_DEPTH} parents of parents", own.span)
        self._resolved[name] = None
        result = TargetDraft(name, span=own.span, matrix=own.matrix, folder=own.folder)
        for parent in own.inherits:
            inherited = self._resolve(parent, depth + 1, own.span_of("inherits"))
            if inherited is not None:
                result.lay(inherited)
        result.lay(own)
        for edit in own.edits:
            edit(result.values)
        for override in self._overrides.get(name, ()):
            override(result)
        _normalise(result)
        self._resolved[name] = result
        return result


def _normalise(draft: TargetDraft) -> None:
    # On every level, as the peer does: a child that leaves the host's network keeps the entitlement of its parent.
    if draft.values.get("network") == "host":
        draft.values["entitlements"] = distinct([*draft.values.get("entitlements", ()), "network.host"])
    for name in ("output", "cache-to"):
        # An emptied list clears what its own target inherits, but not what a child inherits from others before it.
        if draft.values.get(name) == []:
            del draft.values[name]
    contexts = draft.values.get("contexts")
    if contexts and "" in contexts.values():
        draft.values["contexts"] = {name: where for name, where in contexts.items() if where != ""}


def not_found(name: str, known: Iterable[str], asking: Span | None = None) -> BakeryError:
    """The error for a target that no file declares. The peer gives no place; who asked is said where it is known."""
    there = list(known)
    near = did_you_mean(name, there)
    if near:
        hint = f'did you mean "{near}"?'
    elif name == "default" and there:
        some = ", ".join(there[:5]) + (", …" if len(there) > 5 else "")
        hint = f'name what to build ({some}), or write group "default" {{ targets = […] }}'
    elif there:
        hint = "`bakery ls` shows what there is"
    else:
        hint = 'the files declare no target: write one, such as target "default" {}'
    return BakeryError.of(f"failed to find target {name}", "", asking, hint)
