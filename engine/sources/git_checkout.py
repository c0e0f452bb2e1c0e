"""Writes a commit's files into a folder: its submodules, too, and a `.git` folder where one is wanted."""

from __future__ import annotations

import itertools
import posixpath
from pathlib import Path
from urllib.parse import urlsplit

from engine.errors import SourceError
from engine.sources.git_process import check_remote, git, shown
from engine.sources.repositories import Meaning, Remote, Repositories

MAX_DEPTH = 16
"""How deep submodules may be nested."""
_GITLINK = "160000"


class Checkout:
    """One checkout. `scratch` is a folder for indexes."""

    def __init__(self, repositories: Repositories, scratch: Path, submodules: bool) -> None:
        self._repositories = repositories
        self._scratch = scratch
        self._submodules = submodules
        self._numbers = itertools.count()

    async def files(self, remote: Remote, meaning: Meaning, subdir: str, target: Path, depth: int = 0) -> None:
        """A commit's files, or those of one of its folders, into an empty folder.

        Raises:
            SourceError: if something cannot be had, or there is no such folder.
        """
        if depth > MAX_DEPTH:
            raise SourceError(f"the submodules of {shown(remote.url)} are nested more than {MAX_DEPTH} deep")
        mirror = await self._repositories.commit_folder(remote, meaning)
        tree = await self._tree(mirror, remote, meaning, subdir)
        place = {"GIT_INDEX_FILE": str(self._scratch / f"index-{next(self._numbers)}")}
        what = f"check out {meaning.commit[:12]} of {shown(remote.url)}"
        # A tree of its own instead of a checkout of paths: git itself refuses names that lead out of the folder.
        where = [f"--git-dir={mirror}", f"--work-tree={target}"]
        await git([*where, "read-tree", tree], what=what, environment=place, folder=target)
        await git(
            [*where, "checkout-index", "--all", "--force", "--quiet"], what=what, environment=place, folder=target
        )
        if self._submodules:
            await self._check_out_submodules(mirror, remote, meaning, subdir, target, depth)

    async def _tree(self, mirror: Path, remote: Remote, meaning: Meaning, subdir: str) -> str:
        wanted = f"{meaning.object}^{{tree}}" if not subdir else f"{meaning.object}^{{commit}}:{subdir}"
        try:
            found = await git(["rev-parse", "--verify", "--quiet", "--end-of-options", wanted], what="", folder=mirror)
            kind = await git(["cat-file", "-t", found.decode().strip()], what="", folder=mirror)
        except SourceError:
            kind = b""
        if kind.strip() != b"tree":
            raise SourceError(f"{meaning.commit[:12]} of {shown(remote.url)} has no folder {subdir}")
        return found.decode().strip()

    async def _check_out_submodules(
        self, mirror: Path, remote: Remote, meaning: Meaning, subdir: str, target: Path, depth: int
    ) -> None:
        commit = f"{meaning.object}^{{commit}}"
        listed = await git(["ls-tree", "-r", "-z", "--full-tree", commit], what="list submodules", folder=mirror)
        links: dict[str, str] = {}
        for line in listed.decode(errors="surrogateescape").split("\0"):
            about, _, path = line.partition("\t")
            if about.startswith(_GITLINK):
                links[path] = about.split()[2]
        if not links:
            return
        urls = await self._urls(mirror, meaning)
        for path, pinned in links.items():
            inside = posixpath.relpath(path, subdir) if subdir else path
            if inside.startswith("../") or path not in urls:
                continue  # not in this folder, or (as `git submodule` has it) no submodule but a stray link
            url = check_remote(_absolute(remote.url, urls[path]))
            child = Remote(url, remote.token_secret, remote.header_secret, remote.known_hosts)
            await self.files(child, Meaning(pinned, pinned, pinned), "", target / inside, depth + 1)

    async def _urls(self, mirror: Path, meaning: Meaning) -> dict[str, str]:
        """The addresses of submodules by their paths, from `.gitmodules`."""
        try:
            said = await git(
                ["config", "--blob", f"{meaning.object}^{{commit}}:.gitmodules", "--null", "--list"],
                what="",
                folder=mirror,
            )
        except SourceError:
            return {}
        entries: dict[str, dict[str, str]] = {}
        for item in said.decode(errors="surrogateescape").split("\0"):
            key, _, value = item.partition("\n")
            section, _, name = key.rpartition(".")
            if section.startswith("submodule."):
                entries.setdefault(section, {})[name] = value
        return {e["path"]: e["url"] for e in entries.values() if "path" in e and "url" in e}

    async def git_folder(self, remote: Remote, meaning: Meaning, target: Path) -> None:
        """A `.git` folder for files that are there: one commit deep, detached, with its remote as `origin`."""
        mirror = await self._repositories.commit_folder(remote, meaning)
        what = f"keep the .git folder of {shown(remote.url)}"
        where = ["-C", str(target)]
        await git([*where, "init", "--quiet"], what=what)
        await git([*where, "remote", "add", "--", "origin", shown(remote.url)], what=what)
        tag = f"+{meaning.object}:{meaning.ref}" if meaning.ref.startswith("refs/tags/") else meaning.object
        options = ["--quiet", "--depth=1", "--no-tags", "--no-write-fetch-head"]
        # Names the commit for a moment: a fetch takes only what has a name, unless the other side allows more.
        name = f"refs/bakery/{meaning.object}"
        await git(["update-ref", name, meaning.object], what=what, folder=mirror)
        spec = tag.replace(f"+{meaning.object}", f"+{name}") if tag != meaning.object else name
        await git([*where, "fetch", *options, "--", f"file://{mirror}", spec], what=what, local=True)
        await git([*where, "update-ref", "--no-deref", "HEAD", f"{meaning.object}^{{commit}}"], what=what)
        await git([*where, "reset", "--quiet", "--mixed"], what=what)


async def commit_time(repositories: Repositories, remote: Remote, meaning: Meaning) -> int:
    """When a commit was made, in seconds since 1970. Raises SourceError."""
    mirror = await repositories.commit_folder(remote, meaning)
    said = await git(
        ["show", "--no-patch", "--format=%ct", "--end-of-options", f"{meaning.object}^{{commit}}"],
        what="read a commit's time",
        folder=mirror,
    )
    return int(said)


def _absolute(base: str, url: str) -> str:
    """A submodule's address; one that begins with `./` or `../` is relative to that of its parent (gitmodules(5))."""
    if not url.startswith(("./", "../")):
        return url
    if "://" in base:
        parts = urlsplit(base)
        return parts._replace(path=posixpath.normpath(posixpath.join(parts.path, url))).geturl()
    host, _, path = base.partition(":")
    return f"{host}:{posixpath.normpath(posixpath.join(path, url))}"
