"""Where a build's files and its Dockerfile come from: a folder, a repository, a web server, a text."""

from __future__ import annotations

import posixpath
import re

from engine import platforms
from engine.errors import DefinitionError, EngineError
from engine.frontends.contract import Bridge, Files, FrontendRequest, LocalFolder
from engine.frontends.dockerfile import dockerignore, localfile
from engine.frontends.dockerfile.gotext import parse_bool
from engine.frontends.dockerfile.lower import gitref
from engine.frontends.dockerfile.lower.names import internal
from engine.frontends.dockerfile.source import Source
from engine.llb import sources
from engine.llb.actions import CopyOptions, copy
from engine.llb.nodes import Label
from engine.llb.paths import join
from engine.llb.state import State, scratch
from engine.values import frozen

DOCKERFILE, DOCKERIGNORE = "Dockerfile", ".dockerignore"
_HTTP = re.compile(r"https?://")
_DOWNLOAD = "context"
_MAGIC = (b"BZh", b"\x1f\x8b\x08", b"\xfd7zXZ\x00")
_TAR_BLOCK = 512


@frozen
class Context:
    """The main context. `remote` is set for a repository or download; `ignored` are the rules of .dockerignore."""

    source: Source
    remote: State | None
    local: LocalFolder | None
    ignored: tuple[str, ...]

    def state(self, follow: tuple[str, ...]) -> State:
        """The files; of a folder only the paths that are used, or all if none are named."""
        if self.remote is not None:
            return self.remote
        if self.local is None:
            raise DefinitionError("the build has no context: name a folder, a repository or a URL")
        return sources.local(
            self.local.name,
            session=self.local.session,
            follow=follow,
            exclude=self.ignored,
            hint=self.local.name,
            label=Label(internal("load build context")),
        )


async def load(request: FrontendRequest, bridge: Bridge) -> Context:
    """Finds the context and reads the Dockerfile.

    Raises:
        DefinitionError: if there is no Dockerfile, or the context's address makes no sense.
        EngineError: from the bridge.
    """
    options = request.options
    filename = options.get("filename", DOCKERFILE)
    name = options.get("contextkey", "context")
    address = options.get(name, "")
    remote = _git_context(request, address)
    if remote is None and _HTTP.match(address):
        remote, filename = await _http_context(bridge, address, filename)
    from_context = remote if "dockerfilekey" not in options else None
    if remote is not None and "contextsubdir" in options:
        remote = scratch().file(
            copy(remote, options["contextsubdir"], "/", options=CopyOptions(dir_copy_contents=True))
        )
    local = request.locals.get(name) if remote is None else None
    if request.dockerfile is not None:
        source = Source(filename, request.dockerfile.encode("utf-8", "surrogateescape"))
        return Context(source, remote, local, _ignored(local, None))
    if from_context is not None:
        files = await bridge.files(from_context.define(platforms.host()))
        return Context(Source(filename, await _read_dockerfile(files, filename)), remote, None, ())
    if _HTTP.match(filename):
        return Context(await _download_dockerfile(bridge, filename), remote, local, _ignored(local, None))
    folder = request.locals.get(options.get("dockerfilekey", "dockerfile"))
    if folder is None:
        raise DefinitionError("the build has no folder to read the Dockerfile from")
    source = Source(filename, _read_local(folder, filename))
    return Context(source, remote, local, _ignored(local, folder, filename) if remote is None else ())


def _git_context(request: FrontendRequest, address: str) -> State | None:
    args = request.options
    keep = parse_bool(args.get("build-arg:BUILDKIT_CONTEXT_KEEP_GIT_DIR", "")) or False
    mtime = "commit" if args.get("build-arg:SOURCE_DATE_EPOCH") else ""
    return git_state(address, keep_git_dir=keep, mtime=mtime)


def git_state(address: str, *, keep_git_dir: bool = False, mtime: str = "") -> State | None:
    """The repository that an address means; None if it means none.

    Raises:
        DefinitionError: for a query that makes no sense.
    """
    try:
        ref = gitref.parse(address)
    except gitref.NotGit:
        return None
    except gitref.BadGitRef as error:
        raise DefinitionError(str(error)) from None
    options = ref.options(keep_git_dir=keep_git_dir, mtime=mtime)
    return sources.git(ref.remote, options, label=Label(internal(f"load git source {address}")))


async def _http_context(bridge: Bridge, url: str, filename: str) -> tuple[State, str]:
    """A download: an archive is a context; anything else is a Dockerfile by itself."""
    state = sources.http(url, filename=_DOWNLOAD, label=Label(internal("load remote build context")))
    files = await bridge.files(state.define(platforms.host()))
    try:
        head = await files.head("/" + _DOWNLOAD, _TAR_BLOCK)
    except OSError as error:
        raise DefinitionError(f"failed to read downloaded context: {error}") from None
    if not is_archive(head):
        return state, _DOWNLOAD
    return scratch().file(copy(state, "/" + _DOWNLOAD, "/", options=CopyOptions(attempt_unpack=True))), filename


async def _download_dockerfile(bridge: Bridge, url: str) -> Source:
    """A Dockerfile from a web server, for a context that is elsewhere."""
    state = sources.http(url, filename=DOCKERFILE, label=Label(internal(f"load build definition from {url}")))
    files = await bridge.files(state.define(platforms.host()))
    return Source(posixpath.basename(url) or DOCKERFILE, await _read_dockerfile(files, DOCKERFILE))


def is_archive(data: bytes) -> bool:
    """Whether bytes are a tar, or compressed by gzip, bzip2 or xz."""
    if data.startswith(_MAGIC):
        return True
    import tarfile

    try:
        tarfile.TarInfo.frombuf(data[:_TAR_BLOCK], "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True


async def _read_dockerfile(files: Files, filename: str) -> bytes:
    try:
        return await files.read(join("/", filename))
    except OSError as error:
        other = _lower_case(filename)
        if other and await files.exists(join("/", other)):
            return await files.read(join("/", other))
        raise _unreadable(filename, error) from None


def _read_local(folder: LocalFolder, filename: str) -> bytes:
    try:
        return localfile.read(folder.path, filename)
    except OSError as error:
        other = _lower_case(filename)
        if other:
            try:
                return localfile.read(folder.path, other)
            except OSError:
                pass
        raise _unreadable(filename, error) from None


def _lower_case(filename: str) -> str:
    """The other spelling that is looked for, if there is one."""
    folder, name = posixpath.split(filename)
    return posixpath.join(folder, DOCKERFILE.lower()) if name == DOCKERFILE else ""


def _unreadable(filename: str, error: OSError) -> EngineError:
    reason = (error.strerror or str(error)).lower()
    return DefinitionError(f"failed to read dockerfile: open {filename}: {reason}")


def _ignored(local: LocalFolder | None, dockerfiles: LocalFolder | None, filename: str = "") -> tuple[str, ...]:
    return tuple(dockerignore.patterns(ignore_file(local, dockerfiles, filename)[1]))


def ignore_file(local: LocalFolder | None, dockerfiles: LocalFolder | None, filename: str = "") -> tuple[str, str]:
    """`<Dockerfile>.dockerignore`, else the context's .dockerignore: its name and text, empty if there is none."""
    if dockerfiles is not None and filename:
        beside = _text(dockerfiles, filename + DOCKERIGNORE)
        if beside is not None:
            return filename + DOCKERIGNORE, beside
    return DOCKERIGNORE, (_text(local, DOCKERIGNORE) or "") if local is not None else ""


def ignored_in(folder: LocalFolder) -> tuple[str, ...]:
    """The rules of a folder's .dockerignore."""
    return tuple(dockerignore.patterns(_text(folder, DOCKERIGNORE) or ""))


def _text(folder: LocalFolder, name: str) -> str | None:
    try:
        return localfile.read(folder.path, name).decode("utf-8", "replace").replace("\r\n", "\n")
    except OSError:
        return None
