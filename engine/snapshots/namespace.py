"""The private mount namespace in which the engine makes its mounts.

Mounts made in it are seen by nobody else and are gone with the last process in it, however that ends: the host's mount
table is never touched, and nothing is left to clean up after `kill -9`.

A namespace belongs to a *thread*. A new thread starts in that of the thread that made it, so worker threads made before
the first mount would still see the host's. Therefore `enter()` is called by every thread before it mounts something,
touches a mounted path or starts a process that shall see one; after the first time in a thread it costs a look-up.
"""

from __future__ import annotations

import os
import threading

from engine.errors import UnsupportedError
from engine.snapshots import user_namespace
from engine.snapshots.kernel import CLONE_FS, CLONE_NEWNS, MS_REC, MS_SLAVE, mount, setns, unshare

_lock = threading.Lock()
_here = threading.local()
_namespace: tuple[int, int] | None = None
"""The process that made the namespace, and a descriptor of it. A fork starts anew, for it must not share our mounts."""


def enter() -> None:
    """Brings the calling thread into this process's private mount namespace, made when first needed.

    Raises:
        UnsupportedError: where the kernel does not allow it (not root, and not in a user namespace of one's own).
    """
    global _namespace
    pid = os.getpid()
    if getattr(_here, "pid", None) == pid:
        return
    with _lock:
        if _namespace is None or _namespace[0] != pid:
            _namespace = (pid, _make())
        else:
            _join(_namespace[1])
    _here.pid = pid


def _make() -> int:
    try:
        unshare(CLONE_NEWNS)
        # Slave rather than private: what the host mounts later (a removable disk with a context on it) is still seen.
        mount("none", "/", "", MS_REC | MS_SLAVE)
    except OSError as error:
        reason = user_namespace.problem() or error.strerror
        raise UnsupportedError(
            f"cannot make a private mount namespace: {reason}",
            hint="run as root, or allow this user to have user namespaces (sysctl user.max_user_namespaces)",
        ) from error
    return os.open("/proc/thread-self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)


def _join(namespace: int) -> None:
    ours = os.fstat(namespace)
    mine = os.stat("/proc/thread-self/ns/mnt")
    if (ours.st_dev, ours.st_ino) == (mine.st_dev, mine.st_ino):
        return
    folder = os.getcwd()
    unshare(CLONE_FS)  # setns(2) refuses a thread that shares its working folder with others
    setns(namespace, CLONE_NEWNS)
    os.chdir(folder)  # setns(2) has put us at the root
