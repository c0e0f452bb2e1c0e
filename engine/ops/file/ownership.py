"""Whom a file action's result belongs to: numbers, or names looked up in the user files of a tree.

A name that is not in them is no error and means 0, as for the peer.
"""

from __future__ import annotations

from collections.abc import Callable

from engine.errors import StepError
from engine.llb.ops import ChownOpt, UserOpt
from engine.tree import Tree, resolve
from engine.values import frozen

_MOST = 10 << 20


@frozen
class Owner:
    """Numbers of user and group."""

    uid: int
    gid: int


def find_owner(owner: ChownOpt | None, tree_of: Callable[[int], Tree]) -> Owner | None:
    """The owner that an action asks for; None if it asks for none. `tree_of` opens the tree behind an index.

    Raises:
        StepError: for a name without a file system to look it up in, or a user file that is none.
    """
    if owner is None:
        return None
    uid = gid = 0
    if owner.user is not None:
        uid, gid = _user(owner.user, tree_of)
    if owner.group is not None:
        group = _group(owner.group, tree_of)
        gid = gid if group is None else group
    return Owner(uid, gid)


def _user(user: UserOpt, tree_of: Callable[[int], Tree]) -> tuple[int, int]:
    """A user's number and main group; of a user given by number the group has the same."""
    if user.by_name is None:
        return user.by_id or 0, user.by_id or 0
    for fields in _lines(_tree(user, tree_of), "/etc/passwd"):
        if fields[0] == user.by_name.name:
            return _number(fields, 2), _number(fields, 3)
    return 0, 0


def _group(group: UserOpt, tree_of: Callable[[int], Tree]) -> int | None:
    if group.by_name is None:
        return group.by_id or 0
    for fields in _lines(_tree(group, tree_of), "/etc/group"):
        if fields[0] == group.by_name.name:
            return _number(fields, 2)
    return None


def _tree(user: UserOpt, tree_of: Callable[[int], Tree]) -> Tree:
    assert user.by_name is not None
    if user.by_name.input < 0:
        raise StepError(
            f"invalid user index: {user.by_name.input}",
            hint=f"there is no /etc/passwd to look {user.by_name.name!r} up in: give the owner as numbers",
        )
    return tree_of(user.by_name.input)


def _lines(tree: Tree, path: str) -> list[list[str]]:
    real = resolve(tree, path)
    entry = tree.lstat(real)
    if entry is None:
        return []
    if not entry.is_file:
        raise StepError(f"{path} is not a regular file")
    if entry.size > _MOST:
        raise StepError(f"{path} exceeds {_MOST} bytes")
    with tree.open(real) as file:
        text = file.read(_MOST).decode(errors="surrogateescape")
    return [line.strip().split(":") for line in text.split("\n") if line.strip()]


def _number(fields: list[str], index: int) -> int:
    try:
        return int(fields[index])
    except (IndexError, ValueError):
        return 0
