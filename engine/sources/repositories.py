"""Git repositories: what a ref means at a remote, and a bare mirror of each with the commits that were wanted."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import trio

from engine.errors import SourceError
from engine.locks import file_lock
from engine.sources.git_process import Access, check_remote, git, shown
from engine.sources.pins import PinKind, Pins, moved
from engine.sources.secrets import GivenSecrets
from engine.state import State
from engine.values import frozen

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_BAD_REF = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|^-|/$|\.lock$|^/|\.$")


@frozen
class Remote:
    """A repository somewhere, and which secrets may be shown there."""

    url: str
    token_secret: str = "GIT_AUTH_TOKEN"
    header_secret: str = "GIT_AUTH_HEADER"
    known_hosts: str = ""


@frozen
class Meaning:
    """What a ref means now: the object it names (an annotated tag has one of its own), its commit, its full name."""

    object: str
    commit: str
    ref: str


def is_commit(text: str) -> bool:
    """Whether a ref is a commit's whole hash."""
    return _COMMIT.fullmatch(text) is not None


class Repositories:
    """All repositories that sources name. A ref is looked up once in the life of this object."""

    def __init__(self, state: State, secrets: GivenSecrets, pins: Pins | None = None) -> None:
        self._pins = pins or Pins()
        self._state = state
        self._secrets = secrets
        self._meanings: dict[tuple[Remote, str], Meaning] = {}
        self._asking: dict[tuple[Remote, str], trio.Lock] = {}
        self._locked: dict[str, str] = {}
        """Refs whose commits are known from a lock, by commit."""

    async def look_up(self, remote: Remote, ref: str) -> Meaning:
        """What a ref (a branch, a tag, a full ref, or "" for the default branch) means now. A commit means itself.

        Raises:
            SourceError: if the repository cannot be had or has no such ref.
        """
        check_remote(remote.url)
        if is_commit(ref):
            return Meaning(ref, ref, ref)
        if ref and _BAD_REF.search(ref):
            raise SourceError(f"{ref!r} is no name of a branch or tag of {shown(remote.url)}")
        name = f"{shown(remote.url)}#{ref}"
        if commit := self._pins.find(PinKind.GIT, name):
            self._pins.note(PinKind.GIT, name, commit)
            self._locked[commit] = ref
            return Meaning(commit, commit, commit)
        async with self._asking.setdefault((remote, ref), trio.Lock()):
            if (remote, ref) not in self._meanings:
                self._meanings[remote, ref] = await self._look_up(remote, ref)
                self._pins.note(PinKind.GIT, name, self._meanings[remote, ref].commit)
        return self._meanings[remote, ref]

    async def _look_up(self, remote: Remote, ref: str) -> Meaning:
        wanted = ref or "HEAD"
        said = await git(
            ["ls-remote", "--symref", "--", remote.url, wanted, f"{wanted}^{{}}"],
            what=f"look up {wanted} of {shown(remote.url)}",
            remote=remote.url,
            access=await self._access(remote),
        )
        found: dict[str, str] = {}
        default = "HEAD"
        for line in said.decode(errors="replace").splitlines():
            value, _, name = line.partition("\t")
            if value.startswith("ref: ") and name == "HEAD":
                default = value.removeprefix("ref: ")
            elif is_commit(value):
                found[name] = value
        if not ref:
            if "HEAD" not in found:
                raise SourceError(
                    f"the repository {shown(remote.url)} has no default branch", hint="name a branch: URL#BRANCH"
                )
            return Meaning(found["HEAD"], found["HEAD"], default)
        return _pick(found, ref, remote)

    async def commit_folder(self, remote: Remote, meaning: Meaning) -> Path:
        """A bare repository on this machine that has the commit, with all its files.

        Raises:
            SourceError: if the commit cannot be had.
        """
        name = hashlib.sha256(remote.url.encode()).hexdigest()[:40]
        mirror = self._state.root / "git" / name
        async with file_lock(self._state.locks / f"git-{name}"):
            if not (mirror / "HEAD").exists():
                mirror.mkdir(parents=True, exist_ok=True, mode=0o700)
                await git(
                    ["init", "--quiet", "--bare", "--", str(mirror)], what=f"make the mirror of {shown(remote.url)}"
                )
            if not await self._has(mirror, meaning.object):
                try:
                    await self._fetch(remote, mirror, meaning)
                except SourceError:
                    await self._compare(remote, meaning.commit)
                    raise
        return mirror

    async def _compare(self, remote: Remote, commit: str) -> None:
        """Looks where a ref has gone whose commit is known from a lock. Raises SourceError if it was moved."""
        if commit in self._locked:
            ref = self._locked[commit]
            now = (await self._look_up(remote, ref)).commit
            if now != commit:
                raise moved(f"{shown(remote.url)}#{ref}", commit, now) from None

    async def _fetch(self, remote: Remote, mirror: Path, meaning: Meaning) -> None:
        """The one commit by its hash; where the server does not give hashes, by its ref; at last, everything."""
        tries = [f"+{meaning.object}:refs/bakery/{meaning.object}"]
        if meaning.ref.startswith("refs/"):
            tries.append(f"+{meaning.ref}:refs/bakery/by-name/{meaning.ref}")
        error: SourceError | None = None
        for depth, specs in [*((["--depth=1"], [spec]) for spec in tries), ([], ["+refs/*:refs/all/*"])]:
            try:
                await git(
                    [
                        "fetch",
                        "--quiet",
                        "--no-tags",
                        "--force",
                        "--no-write-fetch-head",
                        *depth,
                        "--",
                        remote.url,
                        *specs,
                    ],
                    what=f"fetch {meaning.commit[:12]} of {shown(remote.url)}",
                    remote=remote.url,
                    access=await self._access(remote),
                    folder=mirror,
                )
            except SourceError as failed:
                error = error or failed
                continue
            if await self._has(mirror, meaning.object):
                return
        raise error or SourceError(
            f"the repository {shown(remote.url)} has no commit {meaning.commit}",
            hint="it may have been removed by a forced push: name another",
        )

    async def _has(self, mirror: Path, name: str) -> bool:
        try:
            await git(["cat-file", "-e", f"{name}^{{tree}}"], what="look for a commit", folder=mirror)
        except SourceError:
            return False
        return True

    async def _access(self, remote: Remote) -> Access:
        """The secrets for a remote, those for its host by name first (`GIT_AUTH_TOKEN.github.com`)."""
        known_hosts = self._known_hosts(remote.known_hosts) if remote.known_hosts else None
        host = urlsplit(remote.url).hostname if "://" in remote.url else None
        if host is None or not remote.url.startswith("http"):
            return Access(known_hosts=known_hosts)
        for suffix in (f".{host}", ""):
            if remote.header_secret and (header := await self._secrets.find(remote.header_secret + suffix)):
                return Access(header)
            if remote.token_secret and (token := await self._secrets.find(remote.token_secret + suffix)):
                return Access.of_token(token)
        return Access()

    def _known_hosts(self, lines: str) -> Path:
        path = self._state.root / "git" / f"known-hosts-{hashlib.sha256(lines.encode()).hexdigest()[:16]}"
        path.parent.mkdir(mode=0o700, exist_ok=True)
        path.write_text(lines)
        return path


def _pick(found: Mapping[str, str], ref: str, remote: Remote) -> Meaning:
    """As `git checkout` would: the full name, then a branch, then a tag."""
    full = "refs/" + ref.removeprefix("refs/")
    branch = "refs/heads/" + ref.removeprefix("refs/heads/")
    tag = "refs/tags/" + ref.removeprefix("refs/tags/")
    for name in (full, branch, tag):
        if name in found:
            return Meaning(found[name], found.get(f"{name}^{{}}", found[name]), name)
    raise SourceError(
        f"the repository {shown(remote.url)} has no ref {ref}",
        hint=f"see `git ls-remote {shown(remote.url)}` for those it has",
    )
