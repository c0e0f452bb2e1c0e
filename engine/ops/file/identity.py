"""The cache map of a file op: BuildKit's digest of its actions, and which content of its inputs counts.

Source: `solver/llbsolver/ops/file.go` of BuildKit; the digest is checked against caches that it exported.
"""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Iterable
from typing import Any

from engine.digests import Digest
from engine.llb.go_json import go_json, tagged_digest
from engine.llb.ops import ChownOpt, FileAction, FileOp, UserOpt
from engine.ops.contract import CacheMap, Dependency, Selection
from engine.patterns import has_wildcard
from engine.values import replace

TAG = "buildkit.file.v0"


def cache_map(op: FileOp, inputs: int) -> CacheMap:
    """The identity of a file op with a number of inputs."""
    selections: dict[int, list[Selection]] = {}
    changed: set[int] = set()
    actions = []
    for action in op.actions:
        changed.add(action.input)
        for index, selection in _selections(action, inputs):
            selections.setdefault(index, []).append(selection)
        actions.append(go_json(_without_folder(action, inputs)))
    indexes = [[action.input, action.secondary_input, action.output] for action in op.actions]
    extra = {} if _is_usual(indexes) else {"indexes": indexes}
    return CacheMap(
        tagged_digest(TAG, Actions=actions, **extra),
        tuple(_dependency(selections.get(i, []) if i not in changed else []) for i in range(inputs)),
    )


def body_of(action: FileAction) -> Any:
    """The one member that is set."""
    return action.copy or action.mkfile or action.mkdir or action.rm or action.symlink


def _without_folder(action: FileAction, inputs: int) -> Any:
    """What is hashed of an action: of a source path only its last name, the rest is told by the content."""
    if action.copy is not None and 0 <= action.secondary_input < inputs:
        return replace(action.copy, src=_base(action.copy.src))
    return body_of(action)


def _base(path: str) -> str:
    """Go's `path.Base`."""
    if not path:
        return "."
    return posixpath.basename(path.rstrip("/")) or "/"


def _selections(action: FileAction, inputs: int) -> Iterable[tuple[int, Selection]]:
    copy = action.copy
    owner = getattr(body_of(action), "owner", None)
    if isinstance(owner, ChownOpt) and action.symlink is None:  # the peer forgets the owner of a link
        yield from _named(owner.user, "/etc/passwd")
        yield from _named(owner.group, "/etc/group")
    if copy is not None and 0 <= action.secondary_input < inputs:
        yield (
            action.secondary_input,
            Selection(
                copy.src,
                wildcard=copy.allow_wildcard and has_wildcard(copy.src),
                follow_links=copy.follow_symlink,
                include=copy.include_patterns,
                exclude=copy.exclude_patterns,
                required=copy.required_paths,
            ),
        )


def _named(user: UserOpt | None, file: str) -> Iterable[tuple[int, Selection]]:
    if user is not None and user.by_name is not None:
        yield user.by_name.input, Selection(file, follow_links=True)


def _dependency(selections: list[Selection]) -> Dependency:
    if not selections:
        return Dependency()
    paths = sorted((s.path.encode() for s in selections), reverse=True)
    selector = Digest("sha256:" + hashlib.sha256(b"\0".join(paths)).hexdigest())
    return Dependency(selector, _distinct(selections))


def _distinct(selections: list[Selection]) -> tuple[Selection, ...]:
    """Plain paths without those inside of others, then those with wildcards or filters; by path."""
    filtered = [s for s in selections if s.wildcard or s.include or s.exclude]
    out: list[Selection] = []
    for follow in (False, True):
        paths = {s.path for s in selections if s not in filtered and s.follow_links == follow}
        outer = [p for p in paths if not any(p != q and p.startswith(q.rstrip("/") + "/") for q in paths)]
        out += [Selection(path, follow_links=follow) for path in sorted(outer)]
    return tuple(sorted(out + filtered, key=lambda s: s.path.encode()))


def _is_usual(indexes: list[list[int]]) -> bool:
    """Whether the indexes are those of a plain chain; older versions did not hash them, and their caches live on.

    The chain is tested with the number of actions where the number of inputs is meant: a quirk that is kept.
    """
    count = len(indexes)
    for i, (first, second, output) in enumerate(indexes):
        if first != (0 if i == 0 else count + i - 1) or second not in (-1, 1):
            return False
        if output != (0 if i == count - 1 else -1):
            return False
    return bool(indexes)
