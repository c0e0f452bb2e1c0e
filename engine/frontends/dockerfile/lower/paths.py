"""Paths in instructions, on Unix and on Windows images. Windows paths lose their drive and get slashes."""

from __future__ import annotations

from engine.frontends.dockerfile.gotext import quote
from engine.frontends.dockerfile.source import DockerfileError
from engine.llb.paths import clean, join

WINDOWS = "windows"


def to_slash(path: str, os: str) -> str:
    """With forward slashes, where the image's are backward."""
    return path.replace("\\", "/") if os == WINDOWS else path


def without_drive(path: str, os: str, *, keep_slash: bool = False) -> str:
    """A Windows path without `C:`; others as they are.

    Raises:
        DockerfileError: for another drive, a drive alone, or a network path.
    """
    if os != WINDOWS:
        return path
    if len(path) == 2 and path[1] == ":":
        raise DockerfileError(f"removing drive letter: No relative path specified in {quote(path)}")
    if to_slash(path[:2], os) == "//":
        raise DockerfileError("removing drive letter: UNC paths are not supported")
    drive, colon, rest = path.partition(":")
    if colon and drive.lower() != "c":
        raise DockerfileError("removing drive letter: The specified path is not on the system drive (C:)")
    text = to_slash(rest if colon else path, os)
    cleaned = clean(text)
    return cleaned + "/" if keep_slash and len(cleaned) > 1 and text.endswith("/") else cleaned


def is_absolute(path: str, os: str) -> bool:
    """Whether a path begins at the root."""
    try:
        return without_drive(path, os).startswith("/")
    except DockerfileError:
        return False


def normalize(parent: str, path: str, os: str, *, keep_slash: bool = False) -> str:
    """An absolute path, below `parent` where it is relative. An absolute Unix path is not cleaned.

    Raises:
        DockerfileError: as `without_drive`.
    """
    path = written = to_slash(path, os)
    parent = without_drive(to_slash(parent, os) or "/", os, keep_slash=keep_slash)
    if not parent.startswith("/"):
        parent = join("/", parent)
    path = without_drive(path or parent, os, keep_slash=keep_slash)
    if not path.startswith("/"):
        path = join(parent, path)
    if keep_slash:
        if written.endswith("/") and not path.endswith("/"):
            path += "/"
        elif written.endswith("/."):
            path += "." if path == "/" else "/."
    return path


def destination(cwd: str, path: str, os: str) -> str:
    """Where ADD and COPY put things: below the working directory, a slash at the end kept."""
    path = without_drive(path, os, keep_slash=True)
    if path.startswith("/"):
        return normalize("/", path, os, keep_slash=True)
    return normalize(cwd, "./" if path in ("", ".") else path, os, keep_slash=True)


def workdir(current: str, path: str, os: str) -> str:
    """The new working directory as the image's config has it.

    Raises:
        DockerfileError: as `without_drive`.
    """
    found = normalize(current, path, os)
    return found.replace("/", "\\") if os == WINDOWS else found
