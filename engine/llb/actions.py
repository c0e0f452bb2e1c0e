"""File actions, chained: `copy(...).mkdir(...)`; `State.file` makes one vertex of a chain.

Index rules of BuildKit's client: the base is an input of the op once, every copy's source is one; action i+1 works on
the result of action i (`number of inputs + i`); only the last has an output.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from engine.errors import DefinitionError
from engine.llb.definition import Edge, Vertex
from engine.llb.nodes import Defining, Label, Node, Output, settled
from engine.llb.ops import (
    KEEP,
    NO_OUTPUT,
    SCRATCH,
    ChownOpt,
    Copy,
    FileAction,
    FileOp,
    MkDir,
    MkFile,
    NamedUserOpt,
    Rm,
    Symlink,
    UserOpt,
)
from engine.llb.paths import clean, join, normalize
from engine.values import frozen

if TYPE_CHECKING:
    from engine.llb.state import State

_FILE_CAPS = frozenset({"file.base"})
_UID = re.compile(r"[+-]?[0-9]+")
_UID_MIN, _UID_MAX = -(1 << 31), (1 << 31) - 1
_MODE_BITS = 0o777

Owner = str | tuple[int, int]
"""`USER[:GROUP]`, or two numbers."""

Step = Callable[[str, int], dict[str, Any]]
"""The one member of a FileAction, given the working directory and the base's number among the inputs (-1: none)."""


@frozen
class _Link:
    step: Step
    source: Output | None = None


@frozen
class Actions:
    """A chain of file actions, to be given to `State.file`. The methods are the functions of this module."""

    links: tuple[_Link, ...]

    def copy(self, source: State, src: str, dest: str, **options: object) -> Actions:
        """See `copy`."""
        return Actions(self.links + copy(source, src, dest, **options).links)  # type: ignore[arg-type]

    def mkdir(self, path: str, mode: int = 0o755, **options: object) -> Actions:
        """See `mkdir`."""
        return Actions(self.links + mkdir(path, mode, **options).links)  # type: ignore[arg-type]

    def mkfile(self, path: str, mode: int = 0o644, data: bytes = b"", **options: object) -> Actions:
        """See `mkfile`."""
        return Actions(self.links + mkfile(path, mode, data, **options).links)  # type: ignore[arg-type]

    def rm(self, path: str, **options: bool) -> Actions:
        """See `rm`."""
        return Actions(self.links + rm(path, **options).links)

    def symlink(self, oldpath: str, newpath: str, **options: object) -> Actions:
        """See `symlink`."""
        return Actions(self.links + symlink(oldpath, newpath, **options).links)  # type: ignore[arg-type]


@frozen
class CopyOptions:
    """How a copy behaves; the fields are those of `engine.llb.ops.Copy`. `mode` is bits, or chmod's symbols."""

    follow_symlink: bool = False
    dir_copy_contents: bool = False
    attempt_unpack: bool = False
    create_dest_path: bool = False
    allow_wildcard: bool = False
    allow_empty_wildcard: bool = False
    always_replace_existing_dest_paths: bool = False
    include_patterns: tuple[str, ...] = ()
    exclude_patterns: tuple[str, ...] = ()
    required_paths: tuple[str, ...] = ()
    mode: int | str | None = None


def copy(
    source: State,
    src: str,
    dest: str,
    *,
    options: CopyOptions | None = None,
    owner: Owner | None = None,
    timestamp: int = KEEP,
) -> Actions:
    """Copies `src` of another state to `dest`. `owner` is `USER[:GROUP]`, names or numbers; `timestamp` nanoseconds."""
    opt = options or CopyOptions()
    path = clean(src)
    path = path if path.startswith("/") else join(source.cwd, path)
    symbols = opt.mode if isinstance(opt.mode, str) else ""
    bits = KEEP if opt.mode is None else 0 if isinstance(opt.mode, str) else opt.mode

    def step(cwd: str, base: int) -> dict[str, Any]:
        return {
            "copy": Copy(
                src=path,
                dest=normalize(cwd, dest, keep_slash=True),
                owner=chown(owner, base),
                mode=bits,
                follow_symlink=opt.follow_symlink,
                dir_copy_contents=opt.dir_copy_contents,
                attempt_unpack=opt.attempt_unpack,
                create_dest_path=opt.create_dest_path,
                allow_wildcard=opt.allow_wildcard,
                allow_empty_wildcard=opt.allow_empty_wildcard,
                timestamp=timestamp,
                include_patterns=opt.include_patterns,
                exclude_patterns=opt.exclude_patterns,
                always_replace_existing_dest_paths=opt.always_replace_existing_dest_paths,
                mode_str=symbols,
                required_paths=opt.required_paths,
            )
        }

    return Actions((_Link(step, source.output),))


def mkdir(
    path: str, mode: int = 0o755, *, parents: bool = False, owner: Owner | None = None, timestamp: int = KEEP
) -> Actions:
    """Makes a folder."""

    def step(cwd: str, base: int) -> dict[str, Any]:
        made = MkDir(normalize(cwd, path), mode & _MODE_BITS, parents, chown(owner, base), timestamp)
        return {"mkdir": made}

    return Actions((_Link(step),))


def mkfile(
    path: str, mode: int = 0o644, data: bytes = b"", *, owner: Owner | None = None, timestamp: int = KEEP
) -> Actions:
    """Writes a file."""

    def step(cwd: str, base: int) -> dict[str, Any]:
        made = MkFile(normalize(cwd, path), mode & _MODE_BITS, data, chown(owner, base), timestamp)
        return {"mkfile": made}

    return Actions((_Link(step),))


def rm(path: str, *, allow_not_found: bool = False, allow_wildcard: bool = False) -> Actions:
    """Removes a path, or the paths that match it."""

    def step(cwd: str, base: int) -> dict[str, Any]:
        return {"rm": Rm(normalize(cwd, path), allow_not_found, allow_wildcard)}

    return Actions((_Link(step),))


def symlink(oldpath: str, newpath: str, *, owner: Owner | None = None, timestamp: int = KEEP) -> Actions:
    """Makes a symbolic link `newpath` to `oldpath`; both are taken as they are."""

    def step(cwd: str, base: int) -> dict[str, Any]:
        return {"symlink": Symlink(oldpath, newpath, chown(owner, base), timestamp)}

    return Actions((_Link(step),))


def chown(owner: Owner | None, base: int) -> ChownOpt | None:
    """The owner of `USER[:GROUP]`: numbers and `root` by id, other words by name in the base's passwd and group."""
    if owner is None:
        return None
    if isinstance(owner, tuple):
        return ChownOpt(UserOpt(by_id=owner[0]), UserOpt(by_id=owner[1]))
    user, colon, group = owner.partition(":")
    return ChownOpt(_user(user, base), _user(group, base) if colon else None)


def _user(word: str, base: int) -> UserOpt:
    if word == "root":
        return UserOpt(by_id=0)
    if _UID.fullmatch(word) and _UID_MIN <= int(word) <= _UID_MAX:
        return UserOpt(by_id=int(word) & 0xFFFFFFFF)
    return UserOpt(by_name=NamedUserOpt(word, base)) if word else UserOpt(by_id=0)


class FileNode(Node):
    """A chain of file actions on a base (None: an empty file system), with the base's working directory."""

    __slots__ = ("actions", "base", "cwd")

    def __init__(self, base: Output | None, cwd: str, actions: Actions, label: Label) -> None:
        super().__init__(label)
        if not actions.links:
            raise DefinitionError("a file vertex needs an action")
        self.base, self.cwd, self.actions = base, cwd, actions

    def inputs(self) -> tuple[Output, ...]:
        """See `Node.inputs`: the base, then the sources from the last to the first, as BuildKit's client walks."""
        sources = (link.source for link in reversed(self.actions.links))
        return tuple(output for output in (self.base, *sources) if output is not None)

    def make(self, work: Defining) -> Vertex:
        """See `Node.make`."""
        numbers: dict[Edge, int] = {}

        def number(output: Output | None) -> int:
            found = settled(output)
            return SCRATCH if found is None else numbers.setdefault(work.edge(found), len(numbers))

        base = number(self.base)
        sources = [number(link.source) for link in self.actions.links]
        last = len(sources) - 1
        actions = tuple(
            FileAction(
                base if at == 0 else len(numbers) + at - 1,
                second,
                0 if at == last else NO_OUTPUT,
                **link.step(self.cwd, base),
            )
            for at, (link, second) in enumerate(zip(self.actions.links, sources, strict=True))
        )
        return work.vertex(self, FileOp(actions), tuple(numbers), None, _FILE_CAPS)
