"""Mounting layers over each other with the kernel's overlay file system."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

from engine.errors import UnsupportedError
from engine.snapshots import namespace
from engine.snapshots.kernel import CLONE_FS, MS_RDONLY, mount, unmount, unshare
from engine.snapshots.overlay_format import OverlayFormat
from engine.snapshots.work import discard

MAX_LAYERS = 500
"""OVL_MAX_STACK of the kernel."""
_PAGE = 4096 - 1
"""mount(2) takes one page of options and cuts the rest off without a word."""


def mount_overlay(
    target: Path, lower: Sequence[Path], form: OverlayFormat, scratch: Path, upper: tuple[Path, Path] | None = None
) -> None:
    """Mounts layers, the lowest first, at `target`, for the calling thread's namespace.

    `upper` is the folder that takes the changes and its work folder, on one file system; without it the mount is
    read-only. `scratch` is an empty folder for what the mount needs besides; it goes with the mount.

    Raises:
        OSError: where the kernel refuses.
        UnsupportedError: for more than `MAX_LAYERS` layers.
    """
    if len(lower) > MAX_LAYERS:
        raise UnsupportedError(
            f"a file system of {len(lower)} layers, and the kernel can lay only {MAX_LAYERS} over each other",
            hint="join steps, or copy the result into a new stage",
        )
    namespace.enter()
    stack = [str(path) for path in reversed(lower)]
    if len(stack) < 2:  # the kernel wants one, or two when nothing is writable; an empty folder adds nothing
        (scratch / "empty").mkdir(exist_ok=True)
        stack.append(str(scratch / "empty"))
    options = [form.mount_options]
    if upper:
        options += [f"upperdir={_quoted(upper[0])}", f"workdir={_quoted(upper[1])}", *_volatile()]
    room = _PAGE - len(",".join(options).encode()) - len(",lowerdir=")
    plain = ":".join(_quoted(path) for path in stack)
    flags = 0 if upper else MS_RDONLY
    if len(plain.encode()) <= room:
        mount("overlay", target, "overlay", flags, ",".join([*options, "lowerdir=" + plain]))
        return
    here, stack = _shortened(stack, scratch, room)
    options.append("lowerdir=" + ":".join(_quoted(path) for path in stack))
    data = ",".join(options)

    def attempt() -> None:
        os.chdir(here)
        mount("overlay", target, "overlay", flags, data)

    _with_own_working_folder(attempt)


def overlay_works(folder: Path, form: OverlayFormat) -> bool:
    """Whether overlay mounts work with layers in a folder's file system; tried out, in that empty folder."""
    for name in ("lower", "upper", "work", "target"):
        (folder / name).mkdir()
    try:
        mount_overlay(folder / "target", [folder / "lower"], form, folder, (folder / "upper", folder / "work"))
        try:
            (folder / "lower" / "file").touch()
            (folder / "target" / "file").unlink()  # makes a whiteout, which some file systems below cannot hold
        finally:
            unmount(folder / "target")
    except OSError:
        return False
    finally:
        discard(folder)
    return True


def _shortened(stack: list[str], scratch: Path, room: int) -> tuple[str, list[str]]:
    """A working folder and the paths of the layers relative to it, so short that hundreds fit into one page."""
    here = os.path.commonpath(stack)
    relative = [os.path.relpath(path, here) for path in stack]
    if len(":".join(_quoted(path) for path in relative).encode()) <= room:
        return here, relative
    links = scratch / "l"
    discard(links)  # of an earlier mount
    links.mkdir()
    for number, path in enumerate(stack):
        (links / str(number)).symlink_to(path)
    return str(links), [str(number) for number in range(len(stack))]


def _quoted(path: Path | str) -> str:
    return str(path).replace("\\", "\\\\").replace(":", "\\:").replace(",", "\\,")


def _with_own_working_folder(work: Callable[[], None]) -> None:
    """Runs something in a thread whose working folder is its own, so that changing it changes no other thread's."""
    failure: list[BaseException] = []

    def run() -> None:
        try:
            namespace.enter()
            unshare(CLONE_FS)
            work()
        except BaseException as error:
            failure.append(error)

    thread = threading.Thread(target=run, name="mount")
    thread.start()
    thread.join()
    if failure:
        raise failure[0]


@cache
def _volatile() -> tuple[str, ...]:
    """`volatile` (Linux 5.10) leaves out syncing: an upper folder of a dead machine is thrown away in any case."""
    release = os.uname().release.split(".")
    return ("volatile",) if (int(release[0]), int(release[1].split("-")[0])) >= (5, 10) else ()
