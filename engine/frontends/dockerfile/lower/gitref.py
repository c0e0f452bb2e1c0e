"""Git addresses where an instruction or context could also mean a file or a page.

`https://…` is a repository only if its path ends in `.git`; `github.com/…` is one for contexts, but a path for ADD.
"""

from __future__ import annotations

from engine.frontends.dockerfile.gotext import parse_bool, quote
from engine.llb import giturl
from engine.llb.sources import GitOptions
from engine.values import record

_SWITCHES = ("submodules", "keep-git-dir", "fetch-by-commit")


class NotGit(ValueError):
    """A text that means something else."""


class BadGitRef(ValueError):
    """A git address with a query that makes no sense."""


@record
class GitRef:
    """A repository, and what of it. `like_path`: written as `github.com/…`. None: not said."""

    remote: str
    like_path: bool = False
    ref: str = ""
    subdir: str = ""
    checksum: str = ""
    keep_git_dir: bool | None = None
    submodules: bool | None = None
    mtime: str = ""
    fetch_by_commit: bool = False

    def options(self, *, keep_git_dir: bool = False, checksum: str = "", mtime: str = "") -> GitOptions:
        """The options of the source; the arguments are what is said elsewhere."""
        return GitOptions(
            ref=self.ref,
            subdir=self.subdir,
            checksum=checksum or self.checksum,
            keep_git_dir=keep_git_dir or bool(self.keep_git_dir),
            skip_submodules=self.submodules is False,
            mtime=self.mtime or mtime,
            fetch_by_commit=self.fetch_by_commit,
        )


def parse(text: str) -> GitRef:
    """A git address.

    Raises:
        NotGit: if the text is none.
        BadGitRef: if its query makes no sense.
    """
    if text.startswith(("./", "../")):
        raise NotGit("invalid argument")
    try:
        if text.startswith("github.com/"):
            url = giturl.from_url("https://" + text)
            found = GitRef(url.remote.removeprefix("https://"), like_path=True)
        else:
            url = giturl.parse(text)
            found = GitRef(url.remote)
    except giturl.GitURLError as error:
        raise NotGit(str(error)) from None
    if not found.like_path and url.scheme in ("http", "https") and not url.path.endswith(".git"):
        raise NotGit("invalid argument")
    found.ref, found.subdir = url.ref, url.subdir
    _load(found, url.query)
    return found


def is_git(text: str) -> bool:
    """Whether a text is a git address that makes sense."""
    try:
        parse(text)
    except ValueError:
        return False
    return True


def _load(found: GitRef, query: dict[str, list[str]]) -> None:
    tag = branch = ""
    for key in sorted(query):
        value = _single(key, query[key])
        if key == "ref":
            found.ref = _same("ref", found.ref, value)
        elif key == "tag":
            tag = value
        elif key == "branch":
            branch = value
        elif key == "subdir":
            found.subdir = _same("subdir", found.subdir, value)
        elif key in ("checksum", "commit"):
            found.checksum = value
        elif key == "mtime":
            if value not in ("checkout", "commit"):
                raise BadGitRef(f'invalid mtime value: {quote(value)} (must be "checkout" or "commit")')
            found.mtime = value
        elif key in _SWITCHES:
            setattr(found, key.replace("-", "_"), _switch(key, value))
        else:
            raise BadGitRef(f"unexpected query {quote(key)}")
    if tag:
        found.ref = _same("ref", found.ref, _full("refs/tags/", tag))
    if branch:
        if tag:
            raise BadGitRef("branch conflicts with tag")
        found.ref = _same("ref", found.ref, _full("refs/heads/", branch))


def _single(key: str, values: list[str]) -> str:
    if len(values) > 1:
        raise BadGitRef(f"query {quote(key)} has multiple values")
    if not values[0] and key not in _SWITCHES:
        raise BadGitRef(f"query {quote(key)} has no value")
    return values[0]


def _same(what: str, known: str, value: str) -> str:
    if known and known != value:
        raise BadGitRef(f"{what} conflicts: {quote(known)} vs {quote(value)}")
    return value


def _switch(key: str, value: str) -> bool:
    on = parse_bool(value) if value else True
    if on is None:
        raise BadGitRef(f"invalid {key} value: {quote(value)}")
    return on


def _full(prefix: str, name: str) -> str:
    return name if name.startswith(prefix) else prefix + name
