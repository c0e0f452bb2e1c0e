"""Who a step runs as: `USER` names looked up in the passwd and group files of its own file system.

The rules are those of `GetExecUser` in opencontainers' libcontainer, which Docker and BuildKit use.
"""

from __future__ import annotations

import errno

from engine.tree import Tree, read_whole, resolve
from engine.values import frozen

_MAX_ID = (1 << 31) - 1


class UserNotFoundError(LookupError):
    """A name that is in no file, or a file that no name is looked for in."""


@frozen
class User:
    """Ids for a process; `groups` holds `gid`, too."""

    uid: int
    gid: int
    groups: tuple[int, ...]
    home: str


def find_user(tree: Tree, spec: str) -> User:
    """The user that `USER[:GROUP]` names, each a name or a number; the user is root if left out.

    Raises:
        UserNotFoundError: if a name, or a number out of range, cannot be found.
    """
    name, _, group = spec.partition(":")
    number = _asked(name or "0")
    entry = _passwd(tree, name, number)
    if entry is not None:
        login, uid, gid, home = entry
    elif number is not None:
        login, uid, gid, home = "", number, 0, "/"
    else:
        raise UserNotFoundError(f"unable to find user {name}: no matching entries in passwd file")
    groups = _groups(tree)
    if group:
        gid = _group(groups, group)
        return User(uid, gid, (gid,), home)
    member = [number for _, number, members in groups if login and login in members]
    return User(uid, gid, tuple(dict.fromkeys((gid, *member))), home)


def _passwd(tree: Tree, name: str, number: int | None) -> tuple[str, int, int, str] | None:
    for fields in _lines(tree, "/etc/passwd", 6):
        uid, gid = _number(fields[2]), _number(fields[3])
        if uid is None or gid is None:
            continue
        if uid == number if number is not None else fields[0] == name:
            return fields[0], uid, gid, fields[5] or "/"
    return None


def _groups(tree: Tree) -> list[tuple[str, int, list[str]]]:
    found = []
    for fields in _lines(tree, "/etc/group", 3):
        number = _number(fields[2])
        if number is not None:
            found.append((fields[0], number, fields[3].split(",") if len(fields) > 3 else []))
    return found


def _group(groups: list[tuple[str, int, list[str]]], wanted: str) -> int:
    number = _asked(wanted)
    if number is not None:
        return number
    for name, gid, _ in groups:
        if name == wanted:
            return gid
    raise UserNotFoundError(f"unable to find group {wanted}: no matching entries in group file")


def _asked(text: str) -> int | None:
    """The id that was asked for, None for a name."""
    if _number(text) is None and text.isascii() and text.isdigit():
        raise UserNotFoundError(f"uids and gids must be in range 0-{_MAX_ID}")
    return _number(text)


def _number(text: str) -> int | None:
    if text.isascii() and text.isdigit() and int(text) <= _MAX_ID:
        return int(text)
    return None


def _lines(tree: Tree, path: str, fields: int) -> list[list[str]]:
    """The lines of a colon-separated file with at least that many fields; none if there is no such file."""
    try:
        with tree.open(resolve(tree, path)) as file:
            text = read_whole(file, path).decode(errors="surrogateescape")
    except OSError as error:
        if error.errno == errno.EFBIG:
            raise UserNotFoundError(f"{path} is no list of users or groups: {error.strerror}") from error
        return []
    rows = (line.strip().split(":") for line in text.splitlines() if not line.startswith("#"))
    return [row for row in rows if len(row) >= fields]
