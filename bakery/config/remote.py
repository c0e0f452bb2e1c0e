"""Definitions from elsewhere: a git repository, a tar archive, or a single file over HTTP.

Nothing of a repository or archive is written anywhere but git's own objects in a temporary folder: files are read from
them by name, so that no path or link in them reaches this machine.
"""

from __future__ import annotations

import base64
import io
import os
import posixpath
import subprocess
import tarfile
import tempfile
import urllib.parse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bakery.config.discover import DEFAULT_NAMES, MAX_SIZE, Found, decoded, format_of, is_own, read
from bakery.config.paths import CWD
from bakery.config.textforms import clean_path
from bakery.diagnostics import BakeryError
from bakery.values import frozen

MAX_FILE = 2 * 1000 * 1000
"""Bytes of a single file that is a definition."""

MAX_ARCHIVE = 100 * 1000 * 1000
"""Bytes of an archive with a definition in it."""

TIMEOUT = 60.0
"""Seconds without an answer."""

ReadFile = Callable[[str], bytes | None]


@frozen
class RemoteDefinition:
    """The files of a remote definition; `context` is what a `.` context means, None where contexts are local."""

    files: list[Found]
    context: str | None


def is_git(url: str) -> bool:
    """Whether a URL names a git repository rather than a file or archive."""
    if url.startswith(("git://", "ssh://", "git@", "github.com/")):
        return True
    return urllib.parse.urlsplit(url).path.endswith(".git")


def fetch_definition(url: str, names: Sequence[str], env: Mapping[str, str], cwd: Path) -> RemoteDefinition:
    """Fetch what `url` names and read the files `names` (or those with well-known names) from it.

    A name with `cwd://` is a local file. Raises BakeryError.
    """
    if is_git(url):
        return RemoteDefinition(_from_git(url, names, env, cwd), url)
    data = _download(url)
    archive = _archive(data)
    if archive is not None:
        return RemoteDefinition(_files(archive, names, cwd, url), url)
    if len(data) > MAX_FILE:
        raise BakeryError.of(f"{url} is too large", f"a definition may have {MAX_FILE // 1_000_000} MB")
    name = urllib.parse.urlsplit(url).path
    found = [Found(decoded(url, data), format_of(name), is_own(name), url)] if data else []
    return RemoteDefinition([*found, *(_local(name, cwd) for name in names if name.startswith(CWD))], None)


def _files(read_file: ReadFile, names: Sequence[str], cwd: Path, url: str) -> list[Found]:
    found: list[Found] = []
    for name in names or DEFAULT_NAMES:
        if name.startswith(CWD):
            found.append(_local(name, cwd))
            continue
        data = read_file(clean_path(name))
        if data:
            found.append(Found(decoded(name, data), format_of(name), is_own(name), name))
        elif data is None and names:
            raise BakeryError.of(f"open {name}: no such file or directory", f"in {url}")
    return found


def _local(name: str, cwd: Path) -> Found:
    found = read(name.removeprefix(CWD), cwd)
    if found is None:
        raise BakeryError.of(f"{name} is empty")
    return found


# --- git ---


@frozen
class GitRef:
    """A repository URL, the ref to take, and the folder in it."""

    repository: str
    ref: str = "HEAD"
    folder: str = ""


def parse_git_url(url: str) -> GitRef:
    """`URL#ref:folder`, or `URL?ref=…&subdir=…`. Raises BakeryError for a ref that git would read as an option."""
    base, _, fragment = url.partition("#")
    ref, _, folder = fragment.partition(":")
    if "?" in base:
        base, _, query = base.partition("?")
        pairs = dict(urllib.parse.parse_qsl(query))
        ref = ref or pairs.get("ref") or pairs.get("branch") or pairs.get("tag") or pairs.get("commit") or ""
        folder = folder or pairs.get("subdir", "")
    if ref.startswith("-"):
        raise BakeryError.of(f"invalid git ref {ref}", f"in {url}")
    return GitRef("https://" + base if base.startswith("github.com/") else base, ref or "HEAD", folder.strip("/"))


def _from_git(url: str, names: Sequence[str], env: Mapping[str, str], cwd: Path) -> list[Found]:
    where = parse_git_url(url)
    with tempfile.TemporaryDirectory(prefix="bakery-definition-") as folder:
        _git(folder, env, "init", "--quiet", "--bare", where=url)
        _git(folder, env, "fetch", "--quiet", "--depth=1", "--no-tags", "--", where.repository, where.ref, where=url)

        def read_file(name: str) -> bytes | None:
            path = posixpath.normpath(posixpath.join(where.folder, name))
            listed = _git(folder, env, "ls-tree", "-l", "FETCH_HEAD", "--", path, where=url).split()
            # mode, kind, object, size: only regular files count, never links.
            if len(listed) < 4 or not listed[0].startswith(b"100"):
                return None
            if int(listed[3]) > MAX_SIZE:
                raise BakeryError.of(f"{name} is too large", f"a definition may have {MAX_SIZE // 1_000_000} MB")
            return _git(folder, env, "cat-file", "blob", listed[2].decode(), where=url)

        return _files(read_file, names, cwd, url)


def _git(folder: str, env: Mapping[str, str], *arguments: str, where: str) -> bytes:
    try:
        done = subprocess.run(
            ["git", *arguments],
            cwd=folder,
            env=_git_environment(env, where),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TIMEOUT * 5,
            check=False,
        )
    except FileNotFoundError:
        raise BakeryError.of("git was not found", f"it is needed to read {where}") from None
    except subprocess.TimeoutExpired:
        raise BakeryError.of(f"failed to fetch {where}", f"git did not end within {TIMEOUT * 5:.0f} s") from None
    if done.returncode:
        reason = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise BakeryError.of(f"failed to fetch {where}", reason[-1] if reason else f"git exited with {done.returncode}")
    return done.stdout


def _git_environment(env: Mapping[str, str], url: str) -> dict[str, str]:
    """Git's environment: the user's, without prompts or helpers that a URL could name, and a token in a header."""
    own = {
        **env,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ALLOW_PROTOCOL": "https:http:ssh:git",
        "GIT_SSH_COMMAND": env.get("GIT_SSH_COMMAND", "ssh -oBatchMode=yes"),
    }
    if env.get("BUILDX_BAKE_GIT_SSH"):
        own["SSH_AUTH_SOCK"] = env["BUILDX_BAKE_GIT_SSH"].split(",")[0]
    header = env.get("BUILDX_BAKE_GIT_AUTH_HEADER")
    token = env.get("BUILDX_BAKE_GIT_AUTH_TOKEN")
    if not header and token:
        header = "basic " + base64.b64encode(f"x-access-token:{token}".encode()).decode()
    host = urllib.parse.urlsplit(url)
    if header and host.scheme in ("http", "https"):
        own |= {
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": f"http.{host.scheme}://{host.netloc}/.extraHeader",
            "GIT_CONFIG_VALUE_0": f"Authorization: {header}",
        }
    return own


# --- http ---


def _download(url: str) -> bytes:
    import http.client
    import urllib.error
    import urllib.request

    request = urllib.request.Request(url, headers={"User-Agent": "bakery"})
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:  # http(s) only: see is_remote_url
            data: bytes = answer.read(MAX_ARCHIVE + 1)
    except (urllib.error.URLError, http.client.HTTPException, OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise BakeryError.of(f"failed to fetch {url}", str(reason)) from None
    if len(data) > MAX_ARCHIVE:
        raise BakeryError.of(f"{url} is too large", f"an archive may have {MAX_ARCHIVE // 1_000_000} MB")
    return data


def _archive(data: bytes) -> ReadFile | None:
    """A reader of the regular files of a tar archive, compressed or not; None for anything else."""
    try:
        archive = tarfile.open(fileobj=io.BytesIO(data), mode="r:*")  # noqa: SIM115 - read_file reads on from it
    except (tarfile.TarError, EOFError, OSError):
        return None

    def read_file(name: str) -> bytes | None:
        try:
            for member in archive:
                if member.isreg() and os.path.normpath(member.name) == name:
                    opened = archive.extractfile(member)
                    return opened.read(MAX_SIZE + 1) if opened is not None else None
        except (tarfile.TarError, EOFError, OSError) as error:
            raise BakeryError.of("the archive cannot be read", str(error)) from None
        return None

    return read_file
