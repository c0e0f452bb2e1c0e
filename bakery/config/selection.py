"""Names on the command line to groups and targets, and linked targets to those they link to."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping

from bakery.config.draft import TargetDraft, distinct
from bakery.config.inherit import Inheritance
from bakery.config.target import Group, OutputEntry
from bakery.config.textforms import path_match
from bakery.diagnostics import BakeryError, Span
from bakery.values import replace

DEFAULT = "default"
ALL = "all"
"""The name that means every target, unless the files give it another meaning."""


def requested_names(asked: Iterable[str], targets: Iterable[str], groups: Mapping[str, Group]) -> list[str]:
    """Names as asked, patterns replaced by the groups and targets they match. Raises BakeryError."""
    known = list(dict.fromkeys([*groups, *targets]))
    found: list[str] = []
    for name in asked or (DEFAULT,):
        # A Compose service may be asked for by its own name, dots and all.
        name = name.replace(".", "_")
        if not any(char in name for char in "*?[]"):
            found.append(name)
            continue
        matches = [candidate for candidate in known if _matches(name, candidate)]
        if not matches:
            raise BakeryError.of(f'could not find any target matching "{name}"')
        found.extend(matches)
    return distinct(found)


def _matches(pattern: str, name: str) -> bool:
    try:
        return path_match(pattern, name)
    except ValueError:
        return False


def with_all(groups: Mapping[str, Group], targets: Iterable[str]) -> dict[str, Group]:
    """The groups and, where the name is free, `all`: every target whose name does not begin with `_`."""
    names = list(targets)
    if ALL in groups or ALL in names:
        return dict(groups)
    return {**groups, ALL: Group(ALL, tuple(name for name in names if not name.startswith("_")))}


def reached(
    names: Iterable[str], groups: Mapping[str, Group], known: Container[str]
) -> tuple[dict[str, Span | None], dict[str, Group]]:
    """All targets (with the group that asks for each) and groups that names lead to. Raises BakeryError on a cycle.

    A group that lists its own name, one that it is listed by, or one without members means the target of that name.
    """
    targets: dict[str, Span | None] = {}
    found: dict[str, Group] = {}
    path: dict[str, None] = {}
    todo: list[tuple[str, Group | None, bool]] = [(name, None, False) for name in reversed(list(names))]
    while todo:
        name, asking, leaving = todo.pop()
        group = groups.get(name)
        if leaving:
            del path[name]
        elif group is None or (asking is not None and (name in path or not group.targets) and name in known):
            targets.setdefault(name, asking.span if asking else None)
        elif name in path:
            cycle = [*list(path)[list(path).index(name) :], name]
            raise BakeryError.of(
                f"failed to find target {name}", f"groups contain each other: {' → '.join(cycle)}", group.span
            )
        elif name not in found:
            found[name] = group
            path[name] = None
            todo.append((name, None, True))
            todo.extend((member, group, False) for member in reversed(group.targets))
    return targets, found


def printed_groups(names: Iterable[str], found: Mapping[str, Group]) -> dict[str, Group]:
    """The groups to show: those reached, and as `default` the names asked for."""
    asked = list(names)
    # As in the peer, a target `default` is listed only if it is asked for before anything else.
    others = [name for at, name in enumerate(asked) if name != DEFAULT or (DEFAULT not in found and at == 0)]
    groups = dict(found)
    kept = groups.get(DEFAULT)
    if others or kept is not None:
        members = distinct([*(kept.targets if kept else ()), *others])
        groups[DEFAULT] = Group(DEFAULT, tuple(sorted(members)), kept.description if kept else "")
    return groups


def linked(draft: TargetDraft) -> list[str]:
    """The targets that a target's contexts name, and those it combines."""
    return [
        *(
            where.removeprefix("target:")
            for where in draft.values.get("contexts", {}).values()
            if where.startswith("target:")
        ),
        *draft.values.get("combine", ()),
    ]


def follow_links(requested: Mapping[str, Span | None], inheritance: Inheritance) -> dict[str, TargetDraft]:
    """Requested targets and all they link to; those merely linked make nothing of their own but cache.

    What a linked target may do, whoever links to it must be granted too. Raises BakeryError.
    """
    drafts = {name: inheritance.resolve(name, asking) for name, asking in requested.items()}
    done: set[str] = set()
    for name in list(drafts):
        _follow(name, drafts, done, inheritance)
    return drafts


def _follow(start: str, drafts: dict[str, TargetDraft], done: set[str], inheritance: Inheritance) -> None:
    path: dict[str, None] = {}
    todo = [(start, False)]
    while todo:
        name, leaving = todo.pop()
        if leaving:
            del path[name]
            done.add(name)
            drafts[name] = _with_links(drafts[name], drafts)
            continue
        if name in done:
            continue
        path[name] = None
        todo.append((name, True))
        for other in reversed(distinct(linked(drafts[name]))):
            if other == name:
                raise BakeryError.of(f"target {name} cannot link to itself", span=drafts[name].span_of("contexts"))
            if other in path:
                raise BakeryError.of(f"infinite loop from {name} to {other}", span=drafts[name].span_of("contexts"))
            if other not in drafts:
                resolved = inheritance.resolve(other, drafts[name].span_of("contexts"))
                drafts[other] = _changed(resolved, "output", [OutputEntry("cacheonly")])
            if other not in done:
                todo.append((other, False))


def _with_links(draft: TargetDraft, drafts: Mapping[str, TargetDraft]) -> TargetDraft:
    links = linked(draft)
    if not links:
        return draft
    granted = list(draft.values.get("entitlements", ()))
    for other in links:
        _check_platforms(draft, drafts[other])
        granted.extend(drafts[other].values.get("entitlements", ()))
    return _changed(draft, "entitlements", distinct(granted)) if granted else draft


def _check_platforms(draft: TargetDraft, other: TargetDraft) -> None:
    own, theirs = draft.values.get("platforms", []), other.values.get("platforms", [])
    if len(own) > 1 and len(theirs) > 1 and not set(own) <= set(theirs):
        raise BakeryError.of(
            f"target {other.name} can't be used by {draft.name} because its platforms [{' '.join(own)}] "
            f"are not a subset of [{' '.join(theirs)}]",
            span=draft.span_of("contexts"),
            hint=f"build {other.name} for all platforms of {draft.name}",
        )


def _changed(draft: TargetDraft, name: str, value: object) -> TargetDraft:
    return replace(draft, values={**draft.values, name: value})
