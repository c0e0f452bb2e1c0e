"""`git://` vertices: a commit's files as a file system. Keys follow BuildKit (buildkit.md §3)."""

from __future__ import annotations

import hashlib
import os
import posixpath
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import trio

from engine.errors import SourceError
from engine.llb.definition import Vertex
from engine.results import LayerID, Snapshot
from engine.snapshots.store import Progress, SnapshotStore
from engine.sources.contract import Resolved
from engine.sources.git_checkout import Checkout, commit_time
from engine.sources.git_process import shown
from engine.sources.image import source_key
from engine.sources.repositories import Meaning, Remote, Repositories, is_commit

if TYPE_CHECKING:
    from engine.sources.fetch import LayerFetcher

SCHEME = "git://"


class GitSource:
    """A commit of a repository. Resolving asks what the ref means; the files are fetched when somebody reads them."""

    def __init__(
        self, vertex: Vertex, repositories: Repositories, fetcher: LayerFetcher, snapshots: SnapshotStore
    ) -> None:
        source = vertex.op.source
        assert source is not None
        location, _, fragment = source.identifier.removeprefix(SCHEME).partition("#")
        self._ref, _, subdir = fragment.partition(":")
        self._subdir = posixpath.normpath("/" + subdir).lstrip("/")
        self._attrs = source.attrs
        self._remote = Remote(
            source.attrs.get("git.fullurl") or f"https://{location}",
            source.attrs.get("git.authtokensecret", "GIT_AUTH_TOKEN"),
            source.attrs.get("git.authheadersecret", "GIT_AUTH_HEADER"),
            source.attrs.get("git.knownsshhosts", ""),
        )
        self._repositories = repositories
        self._fetcher = fetcher
        self._snapshots = snapshots

    async def resolve(self) -> Resolved:
        """What the ref means now."""
        for unknown in ("git.bundle", "git.checkoutbundle"):
            if self._attrs.get(unknown):
                raise SourceError(f"{unknown} is not supported")
        meaning = await self._meaning()
        key = self._key(meaning)
        # The address counts, too, for the files: relative submodules and a kept .git folder depend on it.
        name = hashlib.sha256(f"{self._remote.url}\0{key}".encode()).hexdigest()[:48]
        layer = LayerID(f"git-{name}")

        async def make(_: Progress) -> None:
            await self._make(layer, meaning)

        self._fetcher.promise(layer, make, f"git {shown(self._remote.url)} {meaning.commit}")
        return Resolved((source_key(key),), meaning.commit, Snapshot((layer,)))

    async def time(self) -> int:
        """When the commit was made."""
        return await commit_time(self._repositories, self._remote, await self._meaning())

    async def _meaning(self) -> Meaning:
        checksum = self._attrs.get("git.checksum", "")
        if checksum and self._attrs.get("git.fetchbycommit") == "true" and is_commit(checksum):
            return Meaning(checksum, checksum, checksum)
        meaning = await self._repositories.look_up(self._remote, self._ref)
        if checksum and not (meaning.commit.startswith(checksum) or meaning.object.startswith(checksum)):
            raise SourceError(
                f"{self._ref or 'the default branch'} of {shown(self._remote.url)} is the commit {meaning.commit},"
                f" but {checksum} is wanted",
                hint="it has moved: look at what changed, then write down its new commit",
            )
        return meaning

    def _key(self, meaning: Meaning) -> str:
        keep = self._attrs.get("git.keepgitdir") == "true"
        # A tag and the commit it names give the same files.
        key = meaning.object if keep else meaning.commit
        if keep:
            key += f".git#{meaning.ref}" if meaning.ref else ".git"
        if self._subdir:
            key += f":{self._subdir}"
        if self._attrs.get("git.skipsubmodules") == "true":
            key += "(skip-submodules)"
        if self._attrs.get("git.mtime") not in (None, "", "checkout"):
            key += f"(mtime={self._attrs['git.mtime']})"
        return key

    async def _make(self, layer: LayerID, meaning: Meaning) -> None:
        scratch = self._snapshots.work.make("git")
        try:
            with self._snapshots.new_layer(Snapshot()) as new:
                checkout = Checkout(self._repositories, scratch, self._attrs.get("git.skipsubmodules") != "true")
                await checkout.files(self._remote, meaning, self._subdir, new.path)
                if self._attrs.get("git.keepgitdir") == "true" and not self._subdir:
                    await checkout.git_folder(self._remote, meaning, new.path)
                if self._attrs.get("git.mtime") == "commit":
                    seconds = await commit_time(self._repositories, self._remote, meaning)
                    await trio.to_thread.run_sync(_set_times, new.path, seconds)
                description = f"git {shown(self._remote.url)} {meaning.commit}"
                await trio.to_thread.run_sync(lambda: new.commit(description, layer=layer))
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


def _set_times(top: Path, seconds: int) -> None:
    for folder, folders, files in os.walk(top, topdown=False):
        for name in (*files, *folders):
            os.utime(os.path.join(folder, name), (seconds, seconds), follow_symlinks=False)
    os.utime(top, (seconds, seconds))
